package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// object is a JSON object of a document that was read.
type object = map[string]any

// openAPI is openapi.yaml, ready to hold answers against.
type openAPI struct {
	root object

	mu       sync.Mutex // guards the compiler, which is not safe for concurrent use
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

const documentURL = "file:///openapi.json"

var document = sync.OnceValue(func() *openAPI {
	root, err := readYAML("openapi.yaml")
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(documentURL, root); err != nil {
		panic(err)
	}
	return &openAPI{root: root, compiler: c, schemas: map[string]*jsonschema.Schema{}}
})

// readYAML reads a YAML file as JSON. Tags, such as CloudFormation's
// functions, are dropped, which leaves their arguments.
func readYAML(path string) (object, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var loose any
	if err := yaml.Unmarshal(text, &loose); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(loose)
	if err != nil {
		return nil, err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	root, ok := v.(object)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", path)
	}
	return root, nil
}

// pointer is a JSON pointer to a path in the document, as a URL's fragment.
func pointer(path ...string) string {
	var b strings.Builder
	b.WriteString("#")
	for _, p := range path {
		b.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(p)))
	}
	return b.String()
}

// below is a path that goes on.
func below(path []string, more ...string) []string { return slices.Concat(path, more) }

// at follows a path; it goes through references. Missing things are nil.
func (d *openAPI) at(path ...string) (value any, where []string) {
	value = d.root
	for _, step := range path {
		value, where = d.resolve(value, where)
		o, _ := value.(object)
		value, where = o[step], below(where, step)
	}
	return d.resolve(value, where)
}

func (d *openAPI) resolve(v any, where []string) (any, []string) {
	for {
		o, _ := v.(object)
		ref, isRef := o["$ref"].(string)
		if !isRef || len(o) > 1 {
			return v, where
		}
		where = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
		v = d.root
		for _, step := range where {
			o, _ := v.(object)
			v = o[step]
		}
	}
}

func (d *openAPI) object(path ...string) object {
	v, _ := d.at(path...)
	o, _ := v.(object)
	return o
}

// schema compiles the schema at a path.
func (d *openAPI) schema(path ...string) (*jsonschema.Schema, error) {
	_, where := d.at(path...)
	at := pointer(where...)
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[at]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile(documentURL + at)
	if err == nil {
		d.schemas[at] = s
	}
	return s, err
}

// check holds a JSON text against the schema at a path.
func (d *openAPI) check(text string, path ...string) error {
	s, err := d.schema(path...)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// undocumented says what about an answer the document does not allow.
func (d *openAPI) undocumented(method, resource string, a response) error {
	path := []string{"paths", resource, strings.ToLower(method), "responses", strconv.Itoa(a.StatusCode)}
	if d.object(path...) == nil {
		return fmt.Errorf("%s %s answers %d, which the document does not have", method, resource, a.StatusCode)
	}
	if err := d.checkHeaders(a, path...); err != nil {
		return err
	}
	kind := a.Headers["Content-Type"]
	body := below(path, "content", kind)
	if d.object(body...) == nil {
		return fmt.Errorf("content type %q", kind)
	}
	if err := d.check(a.Body, below(body, "schema")...); err != nil {
		return err
	}
	var p problem
	if kind == "application/problem+json" {
		if err := json.Unmarshal([]byte(a.Body), &p); err != nil || p.Status != a.StatusCode || p.Title != http.StatusText(p.Status) || p.Detail == "" {
			return fmt.Errorf("problem %s under status %d", a.Body, a.StatusCode)
		}
	}
	return nil
}

func (d *openAPI) checkHeaders(a response, path ...string) error {
	documented := d.object(below(path, "headers")...)
	for name := range documented {
		h := below(path, "headers", name)
		value, given := a.Headers[name]
		if required, _ := d.object(h...)["required"].(bool); required && !given {
			return fmt.Errorf("status %d without header %s", a.StatusCode, name)
		}
		if !given {
			continue
		}
		text := value
		if kind := d.object(below(h, "schema")...)["type"]; kind != "integer" {
			text = strconv.Quote(value)
		}
		if err := d.check(text, below(h, "schema")...); err != nil {
			return fmt.Errorf("header %s: %q: %w", name, value, err)
		}
	}
	for name := range a.Headers {
		if documented[name] == nil && name != "Content-Type" && name != "Cache-Control" {
			return fmt.Errorf("status %d has header %s, which the document does not have", a.StatusCode, name)
		}
	}
	if a.Headers["Cache-Control"] != "no-store" {
		return fmt.Errorf("status %d may be cached", a.StatusCode)
	}
	return nil
}

// operations are the document's "METHOD /path" with the operation's object.
func (d *openAPI) operations(t *testing.T) map[string]object {
	t.Helper()
	all := map[string]object{}
	for path := range d.object("paths") {
		for method := range d.object("paths", path) {
			if method != "parameters" {
				all[strings.ToUpper(method)+" "+path] = d.object("paths", path, method)
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("the document has no operations")
	}
	return all
}
