package template

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// noValue is what !Ref AWS::NoValue resolves to: the property is left out.
type noValue struct{}

// resolve makes plain values of a part of the template.
func (t *Template) resolve(n *yaml.Node) (any, error) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		value, err := t.intrinsic(n)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", n.Line, n.Tag, err)
		}
		return value, nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		all := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			value, err := t.resolve(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			if value != (noValue{}) {
				all[n.Content[i].Value] = value
			}
		}
		return all, nil
	case yaml.SequenceNode:
		all, err := t.list(n.Content)
		return all, err
	case yaml.AliasNode:
		return t.resolve(n.Alias)
	default:
		if n.Kind == 0 { // absent
			return nil, nil //nolint:nilnil // as YAML has it
		}
		var value any
		err := n.Decode(&value)
		return value, err
	}
}

func (t *Template) list(nodes []*yaml.Node) ([]any, error) {
	all := make([]any, 0, len(nodes))
	for _, item := range nodes {
		value, err := t.resolve(item)
		if err != nil {
			return nil, err
		}
		if value != (noValue{}) {
			all = append(all, value)
		}
	}
	return all, nil
}

// intrinsic resolves an intrinsic function in its short form
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html).
func (t *Template) intrinsic(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!Ref":
		return t.reference(n.Value)
	case "!GetAtt":
		id, attribute, _ := strings.Cut(n.Value, ".")
		return t.attribute(id, attribute)
	case "!Sub":
		return t.substitute(n)
	case "!FindInMap":
		keys, err := t.list(n.Content)
		if err != nil {
			return nil, err
		}
		if len(keys) != 3 {
			return nil, fmt.Errorf("%d keys, want 3", len(keys))
		}
		value, ok := t.file.Mappings[fmt.Sprint(keys[0])][fmt.Sprint(keys[1])][fmt.Sprint(keys[2])]
		if !ok {
			return nil, fmt.Errorf("nothing at %v", keys)
		}
		return value, nil
	case "!If":
		if len(n.Content) != 3 {
			return nil, fmt.Errorf("%d operands, want 3", len(n.Content))
		}
		holds, err := t.condition(n.Content[0].Value)
		if err != nil {
			return nil, err
		}
		if holds {
			return t.resolve(n.Content[1])
		}
		return t.resolve(n.Content[2])
	case "!Equals":
		sides, err := t.list(n.Content)
		if err != nil {
			return nil, err
		}
		return len(sides) == 2 && fmt.Sprint(sides[0]) == fmt.Sprint(sides[1]), nil
	case "!Not":
		operands, err := t.list(n.Content)
		if err != nil {
			return nil, err
		}
		if len(operands) != 1 {
			return nil, fmt.Errorf("%d operands, want 1", len(operands))
		}
		return operands[0] != true, nil
	default:
		return nil, fmt.Errorf("not known")
	}
}

// reference is !Ref: of a pseudo parameter, a parameter or a resource.
func (t *Template) reference(name string) (any, error) {
	switch name {
	case "AWS::NoValue":
		return noValue{}, nil
	case "AWS::StackName":
		return t.deployment.Stack, nil
	case "AWS::Region":
		return t.deployment.Region, nil
	case "AWS::AccountId":
		return t.deployment.Account, nil
	case "AWS::Partition":
		return "aws", nil
	case "AWS::URLSuffix":
		return "amazonaws.com", nil
	}
	if value, ok := t.parameter(name); ok {
		return value, nil
	}
	return t.ref(name)
}

var variable = regexp.MustCompile(`\$\{([^!}][^}]*)\}`)

// substitute is !Sub, with variables of its own or without.
func (t *Template) substitute(n *yaml.Node) (string, error) {
	text, own := n.Value, map[string]any{}
	if n.Kind == yaml.SequenceNode {
		if len(n.Content) != 2 {
			return "", fmt.Errorf("%d operands, want 2", len(n.Content))
		}
		text = n.Content[0].Value
		value, err := t.resolve(n.Content[1])
		if err != nil {
			return "", err
		}
		own, _ = value.(map[string]any)
	}
	var failed error
	text = variable.ReplaceAllStringFunc(text, func(found string) string {
		name := variable.FindStringSubmatch(found)[1]
		if value, ok := own[name]; ok {
			return fmt.Sprint(value)
		}
		var value any
		var err error
		if id, attribute, ok := strings.Cut(name, "."); ok {
			value, err = t.attribute(id, attribute)
		} else {
			value, err = t.reference(name)
		}
		if err != nil {
			failed = err
		}
		return fmt.Sprint(value)
	})
	return text, failed
}

// condition reports whether one of the template's conditions holds.
func (t *Template) condition(name string) (bool, error) {
	n, ok := t.file.Conditions[name]
	if !ok {
		return false, fmt.Errorf("no condition %s", name)
	}
	value, err := t.resolve(&n)
	if err != nil {
		return false, fmt.Errorf("condition %s: %w", name, err)
	}
	holds, _ := value.(bool)
	return holds, nil
}
