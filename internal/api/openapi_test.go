package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// gatewayStatuses are answered by API Gateway before a function is called.
var gatewayStatuses = []string{"403", "429"}

// Every status that the document gives an operation is one that the operation
// can answer. That every answer is one that the document has is checked at
// each call of the other tests too.
func TestDocumentedAnswers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	done, open, doomed := f.submit().ID, f.submit().ID, f.submit().ID
	f.become(done, task.Succeeded)
	broken := func() *fixture {
		f := newFixture(t)
		f.db.Inject(func(tasktabletest.Call) tasktabletest.Fault { return tasktabletest.Fault{Err: errInner} })
		return f
	}
	late := func() *fixture {
		f := newFixture(t)
		f.db.Inject(func(tasktabletest.Call) tasktabletest.Fault {
			return tasktabletest.Fault{Err: context.DeadlineExceeded}
		})
		return f
	}
	other := withBody(`{"type":"shop.note","input":2}`)
	requests := []struct {
		on *fixture
		r  *request
	}{
		{f, event(t, "submit")},
		{f, event(t, "submit")},
		{f, event(t, "submit", withBody(`{"type":"no.such","input":{}}`))},
		{f, event(t, "submit", withBody(`{"type":"shop.note","input":"`+strings.Repeat("x", 2000)+`"}`))},
		{f, event(t, "submit", without("Content-Type"))},
		{f, event(t, "submit", other)},
		{broken(), event(t, "submit")},
		{late(), event(t, "submit")},

		{f, event(t, "list", withQuery("limit", "1"))},
		{f, event(t, "list", withQuery("limit", "0"))},
		{broken(), event(t, "list")},
		{late(), event(t, "list")},

		{f, event(t, "status", withID(done))},
		{f, event(t, "status", withID(open), withQuery())},
		{f, event(t, "status", withID(open), withQuery("wait", "x"))},
		{f, event(t, "status")},
		{broken(), event(t, "status")},
		{late(), event(t, "status")},

		{f, event(t, "cancel", withID(doomed))},
		{f, event(t, "cancel", withID(done))},
		{f, event(t, "cancel")},
		{broken(), event(t, "cancel")},
		{late(), event(t, "cancel")},
	}
	seen := map[string][]string{}
	for _, q := range requests {
		key := q.r.HTTPMethod + " " + q.r.Resource
		seen[key] = append(seen[key], strconv.Itoa(q.on.do(q.r).StatusCode))
	}
	for key, op := range document().operations(t) {
		want := slices.Sorted(maps.Keys(op["responses"].(object)))
		got := slices.Compact(slices.Sorted(slices.Values(append(seen[key], gatewayStatuses...))))
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s: answered and documented statuses differ (-got +want):\n%s", key, diff)
		}
	}
}

// The tests' own check refuses what the document does not have.
func TestDocumentRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := f.do(event(t, "submit")).response
	tests := map[string]func(*response){
		"status":         func(r *response) { r.StatusCode = 418 },
		"no Location":    func(r *response) { delete(r.Headers, "Location") },
		"Location":       func(r *response) { r.Headers["Location"] = "not a URL" },
		"no Retry-After": func(r *response) { delete(r.Headers, "Retry-After") },
		"Retry-After":    func(r *response) { r.Headers["Retry-After"] = "0" },
		"other header":   func(r *response) { r.Headers["Server"] = "x" },
		"content type":   func(r *response) { r.Headers["Content-Type"] = "text/plain" },
		"cacheable":      func(r *response) { delete(r.Headers, "Cache-Control") },
		"unknown field":  func(r *response) { r.Body = strings.Replace(r.Body, `{`, `{"fence":1,`, 1) },
		"missing field": func(r *response) {
			r.Body = strings.Replace(r.Body, `"attempts":0`, `"progress":{"done":0,"total":0}`, 1)
		},
		"unknown state":      func(r *response) { r.Body = strings.Replace(r.Body, `"queued"`, `"lost"`, 1) },
		"time in seconds":    func(r *response) { r.Body = strings.Replace(r.Body, `Z"`, `"`, 1) },
		"another operation":  func(r *response) { r.StatusCode = http.StatusConflict },
		"a problem that not": func(r *response) { r.StatusCode, r.Headers["Content-Type"] = 400, "application/problem+json" },
	}
	for name, spoil := range tests {
		bad := good
		bad.Headers = maps.Clone(good.Headers)
		spoil(&bad)
		if err := document().undocumented(http.MethodPost, "/tasks", bad); err == nil {
			t.Errorf("%s: %v is taken for documented", name, bad)
		}
	}
}

// jsonFields are the members that a struct has in JSON, and whether each is
// always there.
func jsonFields(v any) map[string]bool {
	fields := map[string]bool{}
	for f := range reflect.TypeOf(v).Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = !strings.Contains(options, "omitempty")
	}
	return fields
}

func TestDocumentedFields(t *testing.T) {
	t.Parallel()
	request := map[string]bool{}
	for name := range new(taskRequest).fields() {
		request[name] = name == "type" || name == "input"
	}
	tests := []struct {
		schema string
		fields map[string]bool
	}{
		{"Task", jsonFields(task.Task{})},
		{"Progress", jsonFields(task.Advance{})},
		{"TaskError", jsonFields(task.Failure{})},
		{"TaskList", jsonFields(taskList{})},
		{"Problem", jsonFields(problem{})},
		{"TaskRequest", request},
	}
	for _, tt := range tests {
		schema := document().object("components", "schemas", tt.schema)
		documented := map[string]bool{}
		for name := range schema["properties"].(object) {
			documented[name] = slices.Contains(schema["required"].([]any), any(name))
		}
		if diff := cmp.Diff(documented, tt.fields); diff != "" {
			t.Errorf("%s: documented and real fields differ, true is required (-documented +real):\n%s", tt.schema, diff)
		}
		if schema["additionalProperties"] != false {
			t.Errorf("%s is open to other fields", tt.schema)
		}
	}
}

func strs[S ~string](all []S) []string {
	out := make([]string, 0, len(all))
	for _, s := range all {
		out = append(out, string(s))
	}
	slices.Sort(out)
	return out
}

func (d *openAPI) enum(path ...string) []string {
	values, _ := d.object(path...)["enum"].([]any)
	out := make([]string, 0, len(values))
	for _, v := range values {
		s, _ := v.(string)
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestDocumentedEnums(t *testing.T) {
	t.Parallel()
	d := document()
	codes := append(slices.Collect(maps.Keys(statuses)), "forbidden", "too_many_requests") // API Gateway answers these
	priorities := []task.Priority{task.Normal, task.Bulk}
	tests := []struct {
		path []string
		want []string
	}{
		{[]string{"components", "schemas", "Status"}, strs(task.Statuses)},
		{[]string{"components", "schemas", "Problem", "properties", "code"}, strs(codes)},
		{[]string{"components", "schemas", "Task", "properties", "priority"}, strs(priorities)},
		{[]string{"components", "schemas", "TaskRequest", "properties", "priority"}, strs(priorities)},
		{[]string{"components", "schemas", "TaskEvent", "properties", "type"}, taskEvents()},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(d.enum(tt.path...), tt.want); diff != "" {
			t.Errorf("%v (-documented +real):\n%s", tt.path, diff)
		}
	}
}

// taskEvents are what a callback can be about.
func taskEvents() (names []string) {
	for _, s := range task.Statuses {
		if s.Finished() {
			names = append(names, "task."+string(s))
		}
	}
	slices.Sort(names)
	return names
}

func TestDocumentedBounds(t *testing.T) {
	t.Parallel()
	d := document()
	key := d.object("components", "parameters", "IdempotencyKey", "schema")
	if got, want := fmt.Sprintf("%v–%v", key["minLength"], key["maxLength"]), fmt.Sprintf("1–%d", intake.MaxKey); got != want {
		t.Errorf("Idempotency-Key has %s characters, want %s", got, want)
	}
	for _, p := range d.object("paths", "/tasks", "get")["parameters"].([]any) {
		if q := p.(object); q["name"] == "limit" {
			s := q["schema"].(object)
			got := fmt.Sprintf("%v–%v (%v)", s["minimum"], s["maximum"], s["default"])
			if want := fmt.Sprintf("1–%d (%d)", maxLimit, defaultLimit); got != want {
				t.Errorf("limit is %s, want %s", got, want)
			}
		}
	}
	for text, limit := range map[string]string{
		d.object("components", "schemas", "TaskRequest", "properties", "ttl")["description"].(string):   strings.TrimSuffix(intake.MaxAhead.String(), "0m0s"),
		d.object("components", "schemas", "TaskRequest", "properties", "delay")["description"].(string): strings.TrimSuffix(intake.MaxDelay.String(), "0s"),
	} {
		if !strings.Contains(text, "`"+limit+"`") {
			t.Errorf("%q does not name %s", text, limit)
		}
	}
}

// walk calls fn for every object in v.
func walk(v any, path []string, fn func(o object, path []string)) {
	switch v := v.(type) {
	case object:
		fn(v, path)
		for k, child := range v {
			walk(child, below(path, k), fn)
		}
	case []any:
		for i, child := range v {
			walk(child, below(path, strconv.Itoa(i)), fn)
		}
	}
}

// References lead somewhere, schemas are schemas, and every media type and
// parameter with examples has examples of its schema.
func TestDocumentIsSound(t *testing.T) {
	t.Parallel()
	d := document()
	examples := 0
	walk(d.root, nil, func(o object, path []string) {
		if ref, ok := o["$ref"].(string); ok {
			if v, _ := d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...); v == nil {
				t.Errorf("%v: %s leads nowhere", path, ref)
			}
		}
		if o["schema"] == nil {
			return
		}
		at := below(path, "schema")
		if _, err := d.schema(at...); err != nil {
			t.Errorf("%v: %v", at, err)
			return
		}
		check := func(name string, value any) {
			text, err := json.Marshal(value)
			if err == nil {
				err = d.check(string(text), at...)
			}
			if err != nil {
				t.Errorf("%v: example %s: %v", path, name, err)
			}
			examples++
		}
		if e, ok := o["example"]; ok {
			check("", e)
		}
		all, _ := o["examples"].(object)
		for name := range all {
			check(name, d.object(below(path, "examples", name)...)["value"])
		}
		if slices.Contains(path, "content") && len(all) == 0 {
			t.Errorf("%v has no example", path)
		}
	})
	if examples < 20 {
		t.Errorf("only %d examples were found", examples)
	}
	names := map[any]string{}
	for key, op := range d.operations(t) {
		if id := op["operationId"]; id == nil || names[id] != "" {
			t.Errorf("%s: operationId %v, also of %q", key, id, names[id])
		}
		names[op["operationId"]] = key
	}
}

// Whatever the API accepts is a request that the document describes.
func TestAcceptedIsDocumented(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	values := rapid.OneOf(
		rapid.SampledFrom([]string{
			`"shop.note"`, `"shop.order"`, `{"item":"tea"}`, `{"item":"tea","count":1.5}`, `"normal"`, `"bulk"`, `""`, `null`, `1`, `true`, `[]`, `{}`,
			`"90s"`, `"+1.5h"`, `".5s"`, `"1.s"`, `"0"`, `"-0s"`, `"1h1ms1us"`, `"1µs"`, `"1μs"`, `"-1s"`, `"1000h"`, `"1d"`, `" 1s"`, `"1s\n"`,
			`"2099-01-01T00:00:00Z"`, `"2099-01-01t00:00:00z"`, `"x"`,
			`"https://example.com/done?a=1"`, `"HTTP://example.com"`, `"https://example.com/é"`, `"http://[::1]:80"`, `"https://"`,
		}),
		rapid.Custom(func(t *rapid.T) string {
			return strconv.Quote(rapid.StringMatching(`[+-]?([0-9]{0,2}\.?[0-9]{0,2}(h|m|s|ms|µs|ns|d)?){0,3}`).Draw(t, "duration"))
		}),
	)
	names := []string{"type", "input", "priority", "deadline", "ttl", "delay", "callback_url", "Type", "extra"}
	accepted := 0
	rapid.Check(t, func(rt *rapid.T) {
		members := []string{`"type":"shop.note"`, `"input":{}`}[:rapid.IntRange(1, 2).Draw(rt, "sound")]
		for range rapid.IntRange(0, 3).Draw(rt, "n") {
			members = append(members, strconv.Quote(rapid.SampledFrom(names).Draw(rt, "name"))+":"+values.Draw(rt, "value"))
		}
		body := "{" + strings.Join(members, ",") + "}"
		a := f.do(event(t, "submit", without("Idempotency-Key"), withBody(body)))
		if a.StatusCode != http.StatusAccepted {
			a.problem(http.StatusBadRequest, a.code())
			return
		}
		accepted++
		if err := document().check(body, "components", "schemas", "TaskRequest"); err != nil {
			rt.Fatalf("%s is accepted: %v", body, err)
		}
	})
	if accepted == 0 {
		t.Error("nothing was accepted")
	}
}

func (r reply) code() string {
	var p problem
	_ = json.Unmarshal([]byte(r.Body), &p)
	return p.Code
}
