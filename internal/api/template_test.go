package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/intake"
)

// template reads /template.yaml.
func template(t *testing.T) object {
	t.Helper()
	root, err := readYAML("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func dig(v any, path ...string) any {
	for _, step := range path {
		o, _ := v.(object)
		v = o[step]
	}
	return v
}

// draft4 is a schema of the document as API Gateway's models have it: JSON
// Schema draft 4 with the keywords that describe a body to generated clients.
// What they cannot say, or would only say half, is left to the function.
func draft4(d *openAPI, schema any) any {
	kept := []string{"type", "enum", "required", "additionalProperties", "minLength", "maxLength"}
	in, _ := schema.(object)
	out := object{}
	if ref, ok := in["$ref"].(string); ok { // a model has no parts to refer to
		out, _ = draft4(d, d.object(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)).(object)
	}
	for _, k := range kept {
		if v, ok := in[k]; ok {
			out[k] = v
		}
	}
	if properties, ok := in["properties"].(object); ok {
		converted := object{}
		for name, p := range properties {
			converted[name] = draft4(d, p)
		}
		out["properties"] = converted
	}
	return out
}

func TestTemplateModel(t *testing.T) {
	t.Parallel()
	want := draft4(document(), document().object("components", "schemas", "TaskRequest")).(object)
	want["$schema"] = "http://json-schema.org/draft-04/schema#"
	got := dig(template(t), "Resources", "Api", "Properties", "Models", "TaskRequest")
	if diff := cmp.Diff(got, any(want)); diff != "" {
		t.Errorf("the template's model is not the document's TaskRequest (-template +document):\n%s", diff)
	}
}

func TestTemplateRoutes(t *testing.T) {
	t.Parallel()
	var got []string
	resources, _ := dig(template(t), "Resources").(object)
	for _, r := range resources {
		events, _ := dig(r, "Properties", "Events").(object)
		for _, e := range events {
			if dig(e, "Type") == "Api" {
				method, _ := dig(e, "Properties", "Method").(string)
				path, _ := dig(e, "Properties", "Path").(string)
				got = append(got, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(got, slices.Sorted(maps.Keys(document().operations(t)))); diff != "" {
		t.Errorf("routes (-template +document):\n%s", diff)
	}
}

// API Gateway's own errors have the form of ours. No emulator uses these texts.
func TestTemplateErrors(t *testing.T) {
	t.Parallel()
	responses, _ := dig(template(t), "Resources", "Api", "Properties", "GatewayResponses").(object)
	for _, rest := range []string{"DEFAULT_4XX", "DEFAULT_5XX"} {
		if responses[rest] == nil {
			t.Errorf("no %s: what has no response of its own would be answered in API Gateway's form", rest)
		}
	}
	want := maps.Clone(statuses)
	want["forbidden"], want["too_many_requests"] = http.StatusForbidden, http.StatusTooManyRequests
	for _, code := range []string{intake.CodeUnknownType, intake.CodeKeyReused, codeFinished} { // only the functions know
		delete(want, code)
	}
	got := map[string]int{}
	for name, r := range responses {
		text, _ := dig(r, "ResponseTemplates", "application/json").(string)
		if err := document().check(text, "components", "schemas", "Problem"); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var p problem
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		got[p.Code] = p.Status
		if status, _ := dig(r, "StatusCode").(json.Number); strconv.Itoa(p.Status) != status.String() {
			t.Errorf("%s: status %s, body %s", name, status, text)
		}
		if p.Type != "about:blank" || p.Title != http.StatusText(p.Status) || p.Detail == "" {
			t.Errorf("%s: body %s, want the title %q and a detail", name, text, http.StatusText(p.Status))
		}
		if strings.Contains(text, "$context") {
			t.Errorf("%s quotes API Gateway, whose messages contain ARNs", name)
		}
		headers := object{"Content-Type": "'application/problem+json'"}
		switch p.Status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			headers["Retry-After"] = "'" + strconv.Itoa(retrySoonSeconds) + "'"
		}
		if diff := cmp.Diff(any(headers), dig(r, "ResponseParameters", "Headers")); diff != "" {
			t.Errorf("%s: headers (-want +template):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +template):\n%s", diff)
	}
}

// The samples are requests that the document describes.
func TestSamplesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"submit", "status", "list", "cancel"} {
		r := event(t, name)
		if document().operations(t)[r.HTTPMethod+" "+r.Resource] == nil || r.RequestContext.ResourcePath != r.Resource {
			t.Errorf("%s.json: no operation %s %s", name, r.HTTPMethod, r.Resource)
		}
	}
	if err := document().check(event(t, "submit").Body, "components", "schemas", "TaskRequest"); err != nil {
		t.Error(err)
	}
}
