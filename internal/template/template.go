package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Deployment is where, under which name and with which parameters the stack is
// deployed.
type Deployment struct {
	Stack, Region, Account string
	// Parameters replace the defaults of the template's parameters.
	Parameters map[string]string
}

// Template is a parsed template of one [Deployment]. Safe for concurrent use.
type Template struct {
	deployment Deployment
	file       file
	ids        []string // of resources, in the order of the file
}

// file is the template as it is written.
type file struct {
	Parameters map[string]struct {
		Default       *string  `yaml:"Default"`
		AllowedValues []string `yaml:"AllowedValues"`
	} `yaml:"Parameters"`
	Mappings   map[string]map[string]map[string]any `yaml:"Mappings"`
	Conditions map[string]yaml.Node                 `yaml:"Conditions"`
	Globals    struct {
		Function yaml.Node `yaml:"Function"`
	} `yaml:"Globals"`
	Resources map[string]struct {
		Type       string    `yaml:"Type"`
		Condition  string    `yaml:"Condition"`
		Properties yaml.Node `yaml:"Properties"`
	} `yaml:"Resources"`
}

// Load reads a template.
func Load(path string, d Deployment) (*Template, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the caller's own
	if err != nil {
		return nil, err
	}
	return Parse(text, d)
}

// Parse is [Load] of a text. It fails if a parameter is unknown, has no value,
// or none of those that the template allows.
func Parse(text []byte, d Deployment) (*Template, error) {
	t := &Template{deployment: d}
	var document yaml.Node
	var order struct {
		Resources yaml.Node `yaml:"Resources"`
	}
	err := yaml.Unmarshal(text, &document)
	for _, into := range []any{&t.file, &order} {
		err = errors.Join(err, document.Decode(into))
	}
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	for i := 0; i < len(order.Resources.Content); i += 2 {
		t.ids = append(t.ids, order.Resources.Content[i].Value)
	}
	for name := range d.Parameters {
		if _, ok := t.file.Parameters[name]; !ok {
			return nil, fmt.Errorf("template: no parameter %s", name)
		}
	}
	for name, p := range t.file.Parameters {
		value, ok := t.parameter(name)
		if !ok {
			return nil, fmt.Errorf("template: parameter %s has no value", name)
		}
		if len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, value) {
			return nil, fmt.Errorf("template: %q is no value of parameter %s", value, name)
		}
	}
	return t, nil
}

// parameter returns the value of a parameter. CloudFormation makes a string of
// every one.
func (t *Template) parameter(name string) (string, bool) {
	if value, ok := t.deployment.Parameters[name]; ok {
		return value, true
	}
	if p, ok := t.file.Parameters[name]; ok && p.Default != nil {
		return *p.Default, true
	}
	return "", false
}

// Resource is a resource that the deployment has.
type Resource struct {
	ID, Type string

	template   *Template
	properties *yaml.Node
}

// Resources returns those of a type whose condition holds, in the order of the
// file.
func (t *Template) Resources(kind string) ([]Resource, error) {
	var found []Resource
	for _, id := range t.ids {
		r := t.file.Resources[id]
		if r.Type != kind {
			continue
		}
		if r.Condition != "" {
			holds, err := t.condition(r.Condition)
			if err != nil {
				return nil, err
			}
			if !holds {
				continue
			}
		}
		found = append(found, Resource{ID: id, Type: r.Type, template: t, properties: &r.Properties})
	}
	return found, nil
}

// Ref is what !Ref of the resource yields.
func (r Resource) Ref() (string, error) { return r.template.ref(r.ID) }

// Attribute is what !GetAtt of the resource yields.
func (r Resource) Attribute(name string) (string, error) { return r.template.attribute(r.ID, name) }

// Decode resolves the resource's properties into a struct, as [json.Unmarshal]
// would. A function gets the template's Globals as well, as SAM merges them:
// maps are joined, and everything else is replaced by what the function says.
func (r Resource) Decode(into any) error {
	properties, err := r.template.resolve(r.properties)
	if err != nil {
		return fmt.Errorf("template: %s: %w", r.ID, err)
	}
	if r.Type == typeFunction {
		globals, err := r.template.resolve(&r.template.file.Globals.Function)
		if err != nil {
			return fmt.Errorf("template: Globals: %w", err)
		}
		properties = merge(globals, properties)
	}
	text, err := json.Marshal(properties)
	if err != nil {
		return fmt.Errorf("template: %s: %w", r.ID, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("template: %s: %w", r.ID, err)
	}
	return nil
}

// merge lays what is particular over what is general.
func merge(general, particular any) any {
	a, isMap := general.(map[string]any)
	b, both := particular.(map[string]any)
	if !isMap || !both {
		if particular == nil {
			return general
		}
		return particular
	}
	joined := map[string]any{}
	for name, value := range a {
		joined[name] = value
	}
	for name, value := range b {
		joined[name] = merge(joined[name], value)
	}
	return joined
}

// lowered is a name as S3 takes it.
func lowered(name string) string { return strings.ToLower(name) }
