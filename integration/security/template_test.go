//go:build integration

package security

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// ownKey is a key as an operator would name one.
const ownKey = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// stages are the sets of parameters on AWS that change what is deployed.
var stages = map[string]map[string]string{
	"as it is": {},
	"faults":   {"ChaosEnabled": "true"},
	"own key":  {"EncryptionKeyArn": ownKey},
	"API keys": {"ApiKeys": "required"},
	"all":      {"ChaosEnabled": "true", "EncryptionKeyArn": ownKey, "ApiKeys": "required", "StatusConcurrency": "100"},
}

// stage is a test of one of stages.
type stage struct {
	t     *testing.T
	stack *stack
}

// forStages runs a test for each stage.
func forStages(t *testing.T, test func(stage)) {
	t.Helper()
	for name := range stages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(stage{t, packaged(t, name)})
		})
	}
}

// stack is what CloudFormation gets, with every condition decided: what is not
// deployed is not in it. References are texts: Ref X is "X", GetAtt X Arn is
// "X.Arn", and Sub is its text.
type stack struct {
	resources map[string]resource
	// actions are those that policies name, with the types of resources that AWS
	// lets each be limited to; nil for an action that AWS does not know.
	actions map[string][]string
}

type resource struct {
	kind       string
	properties map[string]any
}

// ofType returns the ids of the resources of a type, sorted.
func (s *stack) ofType(kind string) []string {
	var ids []string
	for id, r := range s.resources {
		if r.kind == kind {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// names returns the ids of the stack's resources that a text refers to, sorted.
func (s *stack) names(text string) []string {
	var ids []string
	for _, word := range regexp.MustCompile(`\w+`).FindAllString(text, -1) {
		if _, ok := s.resources[word]; ok && !slices.Contains(ids, word) {
			ids = append(ids, word)
		}
	}
	slices.Sort(ids)
	return ids
}

// namesIn returns what names does, of all texts in a value.
func (s *stack) namesIn(value any) []string {
	var ids []string
	walk(value, func(text string) { ids = append(ids, s.names(text)...) })
	slices.Sort(ids)
	return slices.Compact(ids)
}

func walk(value any, visit func(string)) {
	switch v := value.(type) {
	case string:
		visit(v)
	case []any:
		for _, e := range v {
			walk(e, visit)
		}
	case map[string]any:
		for _, e := range v {
			walk(e, visit)
		}
	}
}

var (
	packagedMu sync.Mutex
	packagedOf = map[string]*stack{}
)

// packaged returns the template of a stage; it is translated once.
func packaged(t *testing.T, stage string) *stack {
	t.Helper()
	parameters, ok := stages[stage]
	if !ok {
		t.Fatalf("no stage %q", stage)
	}
	file := built(t, "template.yaml")
	packagedMu.Lock()
	defer packagedMu.Unlock()
	if s := packagedOf[stage]; s != nil {
		return s
	}
	args := []string{filepath.Join(root, "tools", "transform"), file}
	for name, value := range parameters {
		args = append(args, name+"="+value)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, ".venv", "bin", "python"), args...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("tools/transform: %v\n%s", err, complaints.String())
	}
	var translated struct {
		Template struct {
			Parameters map[string]struct{ Default any }
			Mappings   map[string]map[string]map[string]any
			Conditions map[string]any
			Resources  map[string]struct {
				Type       string
				Condition  string
				Properties map[string]any
			}
		} `json:"template"`
		Actions map[string][]string `json:"actions"`
	}
	if err := json.Unmarshal(output, &translated); err != nil {
		t.Fatal(err)
	}
	e := evaluation{parameters: map[string]any{}, conditions: translated.Template.Conditions, mappings: translated.Template.Mappings}
	for name, p := range translated.Template.Parameters {
		e.parameters[name] = p.Default
	}
	for name, value := range parameters {
		e.parameters[name] = value
	}
	s := &stack{resources: map[string]resource{}, actions: translated.Actions}
	for id, r := range translated.Template.Resources {
		if r.Condition != "" && !e.condition(t, r.Condition) {
			continue
		}
		properties, _ := e.value(t, r.Properties).(map[string]any)
		s.resources[id] = resource{kind: r.Type, properties: properties}
	}
	if len(s.resources) < 50 {
		t.Fatalf("only %d resources: the template was not read", len(s.resources))
	}
	packagedOf[stage] = s
	return s
}

// evaluation decides conditions.
type evaluation struct {
	parameters map[string]any
	conditions map[string]any
	mappings   map[string]map[string]map[string]any
}

// condition reports whether a condition of the template holds.
func (e evaluation) condition(t *testing.T, name string) bool {
	t.Helper()
	c, ok := e.conditions[name]
	if !ok {
		t.Fatalf("no condition %q", name)
	}
	return e.holds(t, c)
}

func (e evaluation) holds(t *testing.T, c any) bool {
	t.Helper()
	function, args := intrinsic(c)
	list, _ := args.([]any)
	switch {
	case function == "Condition":
		return e.condition(t, fmt.Sprint(args))
	case function == "Fn::Equals" && len(list) == 2:
		return fmt.Sprint(e.value(t, list[0])) == fmt.Sprint(e.value(t, list[1]))
	case function == "Fn::Not" && len(list) == 1:
		return !e.holds(t, list[0])
	case function == "Fn::And":
		return !slices.ContainsFunc(list, func(c any) bool { return !e.holds(t, c) })
	case function == "Fn::Or":
		return slices.ContainsFunc(list, func(c any) bool { return e.holds(t, c) })
	}
	t.Fatalf("a condition of which this test knows nothing: %v", c)
	return false
}

// intrinsic returns the function that a value is, or nothing.
func intrinsic(value any) (function string, args any) {
	fields, ok := value.(map[string]any)
	if !ok || len(fields) != 1 {
		return "", nil
	}
	for name, args := range fields {
		if name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::") {
			return name, args
		}
	}
	return "", nil
}

// nothing is AWS::NoValue.
type nothing struct{}

// value evaluates what does not depend on AWS, and makes a text of the rest.
func (e evaluation) value(t *testing.T, value any) any {
	t.Helper()
	switch function, args := intrinsic(value); function {
	case "":
	case "Condition":
		if _, isName := args.(string); isName {
			t.Fatalf("a condition in place of a value: %v", value)
		}
	case "Ref":
		name := fmt.Sprint(args)
		if name == "AWS::NoValue" {
			return nothing{}
		}
		if p, ok := e.parameters[name]; ok {
			return p
		}
		if strings.HasPrefix(name, "AWS::") {
			return "${" + name + "}"
		}
		return name
	case "Fn::GetAtt":
		if list, ok := args.([]any); ok {
			return fmt.Sprintf("%v.%v", list[0], list[1])
		}
		return args
	case "Fn::Sub":
		return e.sub(t, args)
	case "Fn::Join":
		list := args.([]any)
		var parts []string
		for _, part := range list[1].([]any) {
			parts = append(parts, fmt.Sprint(e.value(t, part)))
		}
		return strings.Join(parts, fmt.Sprint(list[0]))
	case "Fn::FindInMap":
		list := args.([]any)
		return e.mappings[fmt.Sprint(e.value(t, list[0]))][fmt.Sprint(e.value(t, list[1]))][fmt.Sprint(e.value(t, list[2]))]
	case "Fn::If":
		list := args.([]any)
		if e.condition(t, fmt.Sprint(list[0])) {
			return e.value(t, list[1])
		}
		return e.value(t, list[2])
	default:
		t.Fatalf("an intrinsic function of which this test knows nothing: %v", value)
	}
	switch v := value.(type) {
	case []any:
		list := []any{}
		for _, element := range v {
			if element = e.value(t, element); element != (nothing{}) {
				list = append(list, element)
			}
		}
		return list
	case map[string]any:
		fields := map[string]any{}
		for name, field := range v {
			if field = e.value(t, field); field != any(nothing{}) {
				fields[name] = field
			}
		}
		return fields
	}
	return value
}

func (e evaluation) sub(t *testing.T, args any) string {
	t.Helper()
	variables := maps.Clone(e.parameters)
	text, ok := args.(string)
	if !ok {
		list := args.([]any)
		text = fmt.Sprint(list[0])
		for name, variable := range list[1].(map[string]any) {
			variables[name] = e.value(t, variable)
		}
	}
	return regexp.MustCompile(`\$\{(\w+)\}`).ReplaceAllStringFunc(text, func(match string) string {
		if v, ok := variables[match[2:len(match)-1]]; ok {
			return fmt.Sprint(v)
		}
		return match
	})
}

// at walks through maps and fails where there is nothing.
func at(t *testing.T, value any, path ...string) any {
	t.Helper()
	found, ok := look(value, path...)
	if !ok {
		t.Fatalf("nothing at %s of %v", strings.Join(path, "."), value)
	}
	return found
}

// look walks through maps.
func look(value any, path ...string) (any, bool) {
	for _, name := range path {
		fields, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = fields[name]; !ok {
			return nil, false
		}
	}
	return value, true
}

// texts is one text, or a list of them; nil is none.
func texts(t *testing.T, value any) []string {
	t.Helper()
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, texts(t, e)...)
		}
		return all
	}
	t.Fatalf("neither a text nor a list: %v", value)
	return nil
}
