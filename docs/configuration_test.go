package docs_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// docs/configuration.md is rendered from template.yaml and samconfig.toml.
//
//	go test ./docs -run TestConfiguration -update
func TestConfiguration(t *testing.T) {
	t.Parallel()
	const name = "docs/configuration.md"
	tmpl := loadTemplate(t)
	stages, settings := stageSettings(t)
	rendered := "# Configuration\n" +
		"\n<!-- Rendered from template.yaml and samconfig.toml: go test ./docs -run TestConfiguration -update -->\n" +
		"\nA stack is configured by the parameters of [template.yaml](../template.yaml), and by nothing else: functions read only what the template puts into their environment. " +
		"[samconfig.toml](../samconfig.toml) sets parameters for each stage in `parameter_overrides`; `make deploy STAGE=…` deploys with them. " +
		"A change of parameters needs no other change: deploy again, and the functions' code stays as it is.\n" +
		"\n## Parameters\n\n" + parameterTable(t, tmpl) +
		"\n## What a parameter acts on\n\n" + usageTable(tmpl) +
		"\n## Stages\n\nWhat a stage sets; everything else has its default. SAM keeps the previous value of a parameter that a deployment does not name.\n\n" + stageTable(tmpl, stages, settings) +
		"\n## Size\n\nNumbers that have to fit together, in seconds and MB; `Size` chooses the column.\n\n" + sizeTable(tmpl) +
		"\n## Environment of the functions\n\n" + environmentTable(tmpl) +
		"\n## Outputs\n\n" + outputTable(tmpl)
	if strings.Contains(rendered, "|  |") || strings.Contains(rendered, "--- |\n\n") {
		t.Errorf("a cell or a table is empty:\n%s", rendered)
	}
	isRendered(t, name, rendered)
}

// document is template.yaml with its order and its intrinsic functions.
type document struct {
	Parameters yaml.Node `yaml:"Parameters"`
	Mappings   yaml.Node `yaml:"Mappings"`
	Conditions yaml.Node `yaml:"Conditions"`
	Globals    yaml.Node `yaml:"Globals"`
	Resources  yaml.Node `yaml:"Resources"`
	Outputs    yaml.Node `yaml:"Outputs"`

	conditions map[string][]string // parameters by condition
	uses       []use
}

// use is a place in the template where a value depends on a parameter, or on a
// number of the Size mapping.
type use struct {
	of       string // parameter, or "Size." and the number
	resource string // or "outputs"
	kind     string // type of the resource
	property string // the nearest key, empty if it decides whether there is the resource
	variable bool   // the property is a variable of a function's environment
}

func loadTemplate(t *testing.T) *document {
	t.Helper()
	d := &document{conditions: map[string][]string{}}
	if err := yaml.Unmarshal([]byte(read(t, "template.yaml")), d); err != nil {
		t.Fatal(err)
	}
	for name, node := range fields(&d.Conditions) {
		d.walk(node, use{}, func(u use) { d.conditions[name] = append(d.conditions[name], u.of) })
	}
	parameters := map[string]bool{}
	for name := range fields(&d.Parameters) {
		parameters[name] = true
	}
	record := func(u use) {
		if (parameters[u.of] || strings.HasPrefix(u.of, "Size.")) && !slices.Contains(d.uses, u) {
			d.uses = append(d.uses, u)
		}
	}
	d.walk(&d.Globals, use{}, func(u use) {
		u.resource = "every function"
		for _, r := range fields(&d.Resources) {
			if field(r, "Properties", u.property) != nil && value(r, "Type") == "AWS::Serverless::Function" {
				u.resource = "every other function"
			}
		}
		record(u)
	})
	for id, node := range fields(&d.Resources) {
		at := use{resource: id, kind: value(node, "Type")}
		for _, parameter := range d.conditions[value(node, "Condition")] {
			record(use{of: parameter, resource: id, kind: at.kind})
		}
		d.walk(field(node, "Properties"), at, record)
	}
	for id, node := range fields(&d.Outputs) {
		at := use{resource: "output " + id, kind: "outputs"}
		for _, parameter := range d.conditions[value(node, "Condition")] {
			record(use{of: parameter, resource: at.resource, kind: at.kind})
		}
		at.property = "Value"
		d.walk(field(node, "Value"), at, record)
	}
	return d
}

var substituted = regexp.MustCompile(`\$\{([A-Za-z]+)\}`)

// walk tells visit of everything that a value refers to.
func (d *document) walk(node *yaml.Node, at use, visit func(use)) {
	if node == nil {
		return
	}
	refer := func(name string) { u := at; u.of = name; visit(u) }
	content := node.Content
	switch node.Tag {
	case "!Ref":
		refer(node.Value)
	case "!Sub":
		text := node.Value
		if len(content) > 0 {
			text = content[0].Value
		}
		for _, m := range substituted.FindAllStringSubmatch(text, -1) {
			refer(m[1])
		}
	case "!If":
		for _, parameter := range d.conditions[content[0].Value] {
			refer(parameter)
		}
		content = content[1:]
	case "!FindInMap": // the only mapping that a parameter chooses from
		if content[0].Value == "Size" {
			refer("Size." + content[2].Value)
		}
		return
	}
	if node.Kind != yaml.MappingNode {
		for _, n := range content {
			d.walk(n, at, visit)
		}
		return
	}
	for key, n := range fields(node) {
		inner := at
		inner.property, inner.variable = key, at.property == "Variables" || at.variable
		if node.Tag != "!!map" || len(node.Content) == 0 || at.variable { // what a !Sub is given belongs to the !Sub
			inner.property = at.property
		}
		d.walk(n, inner, visit)
	}
}

// fields ranges over a mapping in its order.
func fields(node *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if node == nil || node.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			if !yield(node.Content[i].Value, node.Content[i+1]) {
				return
			}
		}
	}
}

// field is a value in a mapping, or nil.
func field(node *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		var found *yaml.Node
		for key, n := range fields(node) {
			if key == name {
				found = n
			}
		}
		node = found
	}
	return node
}

func value(node *yaml.Node, path ...string) string {
	if n := field(node, path...); n != nil {
		return n.Value
	}
	return ""
}

func quoted(s string) string {
	if s == "" {
		return "empty"
	}
	return "`" + s + "`"
}

func row(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

func head(cells ...string) string {
	return row(cells...) + strings.Repeat("| --- ", len(cells)) + "|\n"
}

func parameterTable(t *testing.T, d *document) string {
	t.Helper()
	b := head("parameter", "default", "allowed", "what")
	for name, p := range fields(&d.Parameters) {
		allowed := ""
		switch {
		case field(p, "AllowedValues") != nil:
			var values []string
			for _, v := range field(p, "AllowedValues").Content {
				values = append(values, quoted(v.Value))
			}
			allowed = strings.Join(values, ", ")
		case value(p, "ConstraintDescription") != "":
			allowed = strings.TrimPrefix(value(p, "ConstraintDescription"), "must be ")
		case value(p, "MinValue") != "" && value(p, "MaxValue") != "":
			allowed = value(p, "MinValue") + " to " + value(p, "MaxValue")
		default:
			t.Errorf("nothing says which values %s may have", name)
		}
		b += row(quoted(name), quoted(value(p, "Default")), allowed, strings.TrimSuffix(value(p, "Description"), "."))
	}
	return b
}

// acts says where something is used: variables of functions first.
func (d *document) acts(of string) string {
	type place struct {
		property string
		variable bool
	}
	var order []place
	at, kinds := map[place][]string{}, map[place]map[string]bool{}
	for _, variable := range []bool{true, false} {
		for _, u := range d.uses {
			if u.of != of || u.variable != variable {
				continue
			}
			p := place{u.property, u.variable}
			if at[p] == nil {
				order = append(order, p)
				kinds[p] = map[string]bool{}
			}
			at[p] = append(at[p], u.resource)
			kinds[p][u.kind] = true
		}
	}
	var all []string
	properties := map[string][]string{} // by who has them
	for _, p := range order {
		who := strings.Join(at[p], ", ")
		if n := len(at[p]); n > 6 {
			who = fmt.Sprintf("%d resources (%s)", n, strings.Join(slices.Sorted(maps.Keys(kinds[p])), ", "))
		}
		if p.property == "" {
			all = append(all, "whether there is "+who)
			continue
		}
		if properties[who] == nil {
			all = append(all, who)
		}
		properties[who] = append(properties[who], quoted(p.property))
	}
	for i, who := range all {
		if p := properties[who]; p != nil {
			all[i] = strings.Join(p, ", ") + " of " + who
		}
	}
	return strings.Join(all, "; ")
}

func usageTable(d *document) string {
	b := head("parameter", "acts on")
	for name := range fields(&d.Parameters) {
		acts := d.acts(name)
		if name == "Size" {
			acts = strings.Trim(acts+"; the numbers in the [table](#size)", "; ")
		}
		b += row(quoted(name), acts)
	}
	return b
}

var stageSection = regexp.MustCompile(`(?m)^\[(\w+)\.deploy\.parameters\]\n(?:[^\[\n].*\n)*?parameter_overrides = ["'](.*)["']$`)

// stageSettings returns the stages, in order, and the parameters that each sets.
func stageSettings(t *testing.T) (stages []string, settings map[string]map[string]string) {
	t.Helper()
	settings = map[string]map[string]string{}
	for _, m := range stageSection.FindAllStringSubmatch(read(t, "samconfig.toml"), -1) {
		stages = append(stages, m[1])
		settings[m[1]] = map[string]string{}
		for _, pair := range strings.Fields(m[2]) {
			name, v, _ := strings.Cut(pair, "=")
			settings[m[1]][name] = quoted(strings.Trim(v, `"`))
		}
		if strings.HasPrefix(m[1], "local") { // the two that depend on the machine, which internal/localaws and the Makefile add
			settings[m[1]]["EndpointUrl"], settings[m[1]]["Architecture"] = "the emulator's", "the machine's"
		}
	}
	if len(stages) != 4 {
		t.Fatalf("stages: %v", stages)
	}
	return stages, settings
}

func stageTable(d *document, stages []string, settings map[string]map[string]string) string {
	b := head(append([]string{"parameter", "default"}, stages...)...)
	for name, p := range fields(&d.Parameters) {
		cells, set := []string{quoted(name), quoted(value(p, "Default"))}, false
		for _, stage := range stages {
			v, ok := settings[stage][name]
			if !ok {
				v = "·"
			}
			set = set || ok
			cells = append(cells, v)
		}
		if set {
			b += row(cells...)
		}
	}
	return b
}

func sizeTable(d *document) string {
	sizes, cells := field(&d.Mappings, "Size"), []string{"number"}
	var first *yaml.Node
	for size, node := range fields(sizes) {
		cells = append(cells, quoted(size))
		if first == nil {
			first = node
		}
	}
	b := head(append(cells, "acts on")...)
	for number := range fields(first) {
		cells := []string{quoted(number)}
		for _, node := range fields(sizes) {
			cells = append(cells, value(node, number))
		}
		b += row(append(cells, d.acts("Size."+number))...)
	}
	return b
}

// environmentTable has the functions with the same environment in one row.
func environmentTable(d *document) string {
	var order []string
	functions := map[string][]string{}
	for id, r := range fields(&d.Resources) {
		if value(r, "Type") != "AWS::Serverless::Function" {
			continue
		}
		var variables []string
		for name, v := range fields(field(r, "Properties", "Environment", "Variables")) {
			variables = append(variables, quoted(name)+" "+origin(v))
		}
		key := strings.Join(variables, ", ")
		if functions[key] == nil {
			order = append(order, key)
		}
		functions[key] = append(functions[key], id)
	}
	b := head("function", "variables, and what each is")
	for _, key := range order {
		b += row(strings.Join(functions[key], ", "), key)
	}
	return b
}

// origin says where a variable's value comes from.
func origin(v *yaml.Node) string {
	switch v.Tag {
	case "!Ref", "!GetAtt":
		return v.Value
	case "!Sub":
		var parts []string
		for _, given := range fields(v.Content[1]) {
			parts = append(parts, given.Content[0].Value+"."+given.Content[2].Value)
		}
		return strings.Join(parts, ", ")
	case "!If":
		return "depending on " + v.Content[0].Value
	default:
		return quoted(v.Value)
	}
}

func outputTable(d *document) string {
	b := head("output", "what")
	for name, o := range fields(&d.Outputs) {
		what := strings.TrimSuffix(value(o, "Description"), ".")
		if condition := value(o, "Condition"); condition != "" {
			what += fmt.Sprintf("; depends on %s", strings.Join(d.conditions[condition], ", "))
		}
		b += row(quoted(name), what)
	}
	return b
}
