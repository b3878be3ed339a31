package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

func TestSubmitAccepts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := time.Now()
	a := f.do(event(t, "submit", withBody(`{"type":"shop.order","input":{ "item" : "tea", "count": 2 }}`)))
	got := a.task(http.StatusAccepted)

	if want := "https://abcdef1234.execute-api.us-east-1.amazonaws.com/v1/tasks/" + got.ID; a.Headers["Location"] != want {
		t.Errorf("Location %q, want %q", a.Headers["Location"], want)
	}
	if a.Headers["Retry-After"] != "1" {
		t.Errorf("Retry-After %q, want 1", a.Headers["Retry-After"])
	}
	want := task.Task{
		ID: got.ID, Type: "shop.order", Status: task.Queued, Tenant: "AROAEXAMPLEEXAMPLE123", Priority: task.Normal,
		CreatedAt: got.CreatedAt, Deadline: got.Deadline,
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("task (-got +want):\n%s", diff)
	}
	if ahead := got.Deadline.Sub(before); ahead < intake.MaxAhead-time.Second || ahead > intake.MaxAhead+10*time.Second {
		t.Errorf("the default deadline is %s ahead, want %s", ahead, intake.MaxAhead)
	}
	row, err := f.table.GetConsistent(t.Context(), got.ID)
	if err != nil || row.Status != task.Queued {
		t.Fatalf("row %+v, %v", row, err)
	}
	messages := f.tasks.messages(t)
	wantMessages := []workqueue.Message{{
		Version: 1, TaskID: got.ID, Run: 1, Type: "shop.order", Tenant: got.Tenant, CreatedAt: got.CreatedAt.Time,
		Deadline: got.Deadline.Time, Input: []byte(`{"item":"tea","count":2}`), Priority: task.Normal, Origin: "tasks",
	}}
	if diff := cmp.Diff(messages, wantMessages); diff != "" {
		t.Errorf("messages (-got +want):\n%s", diff)
	}
}

func TestSubmitAcceptsEveryForm(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	offset := time.Now().Add(time.Hour).In(time.FixedZone("", 5400)).Format(time.RFC3339Nano)
	body := func(more string) func(*request) {
		return withBody(`{"type":"shop.order","input":{"item":"tea"}` + more + `}`)
	}
	tests := []struct {
		name    string
		changes []func(*request)
	}{
		{"without a key", []func(*request){without("Idempotency-Key")}},
		{"a key of 128 characters", []func(*request){withKey(strings.Repeat("~", 128))}},
		{"charset", []func(*request){with("content-type", `Application/JSON; charset="utf-8"`)}},
		{"base64", []func(*request){body(""), inBase64}},
		{"white space around", []func(*request){withBody("\r\n\t {\"input\" : {\"item\":\"tea\"}, \"type\":\"shop.order\"} \n")}},
		{"priority bulk", []func(*request){body(`,"priority":"bulk"`)}},
		{"priority normal", []func(*request){body(`,"priority":"normal"`)}},
		{"deadline", []func(*request){body(`,"deadline":"` + soon + `"`)}},
		{"deadline with offset and nanoseconds", []func(*request){body(`,"deadline":"` + offset + `"`)}},
		{"ttl", []func(*request){body(`,"ttl":"90s"`)}},
		{"longest ttl", []func(*request){body(`,"ttl":"168h"`)}},
		{"delay", []func(*request){body(`,"delay":"1m30s"`)}},
		{"no delay", []func(*request){body(`,"delay":"0s"`)}},
		{"longest delay", []func(*request){body(`,"delay":"15m"`)}},
		{"input of any type", []func(*request){withBody(`{"type":"shop.note","input":"just text"}`)}},
		{"a number as input", []func(*request){withBody(`{"type":"shop.note","input":0}`)}},
		{"escaped name", []func(*request){withBody(`{"typ\u0065":"shop.note","input":[]}`)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			r := event(t, "submit", tt.changes...)
			got := f.do(r).task(http.StatusAccepted)
			if n := len(f.tasks.messages(t)) + len(f.backlog.messages(t)); n != 1 {
				t.Errorf("%d messages, want 1", n)
			}
			if _, err := f.table.GetConsistent(t.Context(), got.ID); err != nil {
				t.Error(err)
			}
			if !r.IsBase64Encoded { // what is accepted is what the document describes
				if err := document().check(r.Body, "components", "schemas", "TaskRequest"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestSubmitOptions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := time.Now()
	a := f.do(event(t, "submit", withBody(`{"type":"shop.note","input":1,"priority":"bulk","ttl":"1h","delay":"30.5s"}`)))
	got := a.task(http.StatusAccepted)
	if got.Priority != task.Bulk {
		t.Errorf("priority %s", got.Priority)
	}
	if ahead := got.Deadline.Sub(before); ahead < time.Hour-time.Second || ahead > time.Hour+10*time.Second {
		t.Errorf("the deadline is %s ahead, want 1h", ahead)
	}
	if a.Headers["Retry-After"] != "31" && a.Headers["Retry-After"] != "30" {
		t.Errorf("Retry-After %s, want about the delay", a.Headers["Retry-After"])
	}
	if len(f.tasks.messages(t)) != 0 || len(f.backlog.messages(t)) != 1 {
		t.Error("a bulk task belongs in the backlog queue")
	}
	if d := f.backlog.sent[0].Delay; d != 30500*time.Millisecond {
		t.Errorf("delay %s", d)
	}
}

// The sample is sent byte by byte, with all that AWS sends and Go's struct
// does not know.
func TestSubmitSample(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	got := f.invoke(t.Context(), http.MethodPost, "/tasks", sample(t, "submit")).task(http.StatusAccepted)
	again := f.invoke(t.Context(), http.MethodPost, "/tasks", sample(t, "submit")).task(http.StatusOK)
	if diff := cmp.Diff(again, got); diff != "" {
		t.Errorf("the second answer (-got +want):\n%s", diff)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tea := withBody(`{"type":"shop.order","input":{"item":"tea"}}`)
	first := f.do(event(t, "submit", withKey("k-1"), tea))
	id := first.task(http.StatusAccepted).ID

	same := []func(*request){
		tea,
		withBody("{ \"input\":\t{\"item\" : \"tea\"},\n\"type\":\"shop.order\" }"),
		withBody(`{"type":"shop.order","input":{"item":"tea"},"priority":"normal","delay":"0s"}`),
	}
	for _, body := range same {
		a := f.do(event(t, "submit", withKey("k-1"), body))
		if again := a.task(http.StatusOK); again.ID != id {
			t.Errorf("%s makes another task", a.Body)
		}
		if a.Headers["Location"] != first.Headers["Location"] || a.Headers["Retry-After"] != "1" {
			t.Errorf("headers %v, want those of the first answer", a.Headers)
		}
	}

	sent := len(f.tasks.messages(t))
	for _, body := range []string{
		`{"type":"shop.order","input":{"item":"coffee"}}`,
		`{"type":"shop.note","input":{"item":"tea"}}`,
		`{"type":"shop.order","input":{"item":"tea"},"priority":"bulk"}`,
		`{"type":"shop.order","input":{"item":"tea"},"ttl":"1h"}`,
		`{"type":"shop.order","input":{"item":"tea"},"delay":"1s"}`,
		`{"type":"shop.order","input":{"item":"tea"},"callback_url":"https://example.com/done"}`,
		`{"type":"shop.order","input":{"item":"tea"},"deadline":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`,
	} {
		f.do(event(t, "submit", withKey("k-1"), withBody(body))).problem(http.StatusUnprocessableEntity, "idempotency_key_reused")
	}
	if got := len(f.tasks.messages(t)) + len(f.backlog.messages(t)); got != sent {
		t.Errorf("%d messages after refusals, want %d", got, sent)
	}
	if other := f.do(event(t, "submit", withKey("K-1"), tea)).task(http.StatusAccepted); other.ID == id {
		t.Error("keys differ by case")
	}
	if other := f.do(event(t, "submit", withKey("k-1"), tea, from("AIDAOTHER"))).task(http.StatusAccepted); other.ID == id {
		t.Error("another tenant's key is another key")
	}
	if n := len(f.list()); n != 2 {
		t.Errorf("the tenant has %d tasks, want 2", n)
	}
}

// A callback is kept with the task, and part of what a key stands for.
func TestSubmitWithCallback(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := func(url string) func(*request) {
		return withBody(`{"type":"shop.order","input":{"item":"tea"},"callback_url":"` + url + `"}`)
	}
	const url = "https://example.com/done?token=a%2Fb&c=<d>"
	a := f.do(event(t, "submit", withKey("k-1"), body(url)))
	id := a.task(http.StatusAccepted).ID
	if strings.Contains(a.Body, "example.com") {
		t.Errorf("the answer shows the URL, which may hold a token: %s", a.Body)
	}
	row, err := f.table.GetConsistent(t.Context(), id)
	if err != nil || row.CallbackURL != url {
		t.Errorf("row %+v, %v, want the callback %s", row, err, url)
	}
	if m := f.tasks.messages(t)[0]; strings.Contains(f.tasks.sent[0].Body, "example.com") {
		t.Errorf("the message carries the URL, which no worker needs: %+v", m)
	}
	if again := f.do(event(t, "submit", withKey("k-1"), body(url))).task(http.StatusOK); again.ID != id {
		t.Errorf("the same request is task %s, before %s", again.ID, id)
	}
	f.do(event(t, "submit", withKey("k-1"), body("https://example.com/other"))).problem(http.StatusUnprocessableEntity, "idempotency_key_reused")
}

func (f *fixture) list(changes ...func(*request)) []task.Task {
	f.t.Helper()
	return f.page(append([]func(*request){withQuery("limit", "100")}, changes...)...).Tasks
}

// A finished task is answered with its result, and there is nothing to wait for.
func TestSubmitAgainWhenFinished(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.do(event(t, "submit")).task(http.StatusAccepted).ID
	f.become(id, task.Succeeded)
	a := f.do(event(t, "submit"))
	if got := a.task(http.StatusOK); got.ID != id || string(got.Result) != `{"cups":2}` {
		t.Errorf("answer %s", a.Body)
	}
	if r, given := a.Headers["Retry-After"]; given {
		t.Errorf("Retry-After %s on a finished task", r)
	}
	if n := len(f.tasks.messages(t)); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

func TestInputSize(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	text := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
	f.do(event(t, "submit", withBody(`{"type":"shop.note","input":`+text(1000)+`}`))).task(http.StatusAccepted)

	spaced := fmt.Sprintf(`{"type":"shop.note","input":[%s1%s]}`, strings.Repeat(" \n", 1000), strings.Repeat("\t", 1000))
	f.do(event(t, "submit", without("Idempotency-Key"), withBody(spaced))).task(http.StatusAccepted)

	f = newFixture(t)
	p := f.do(event(t, "submit", withBody(`{"type":"shop.note","input":`+text(1001)+`}`))).problem(http.StatusRequestEntityTooLarge, "input_too_large")
	if !strings.Contains(p.Detail, "1001") || !strings.Contains(p.Detail, "1000") {
		t.Errorf("detail %q names neither size nor limit", p.Detail)
	}
	huge := `{"type":"shop.note","input":1` + strings.Repeat(" ", maxBody) + `}`
	f.do(event(t, "submit", withBody(huge))).problem(http.StatusRequestEntityTooLarge, "input_too_large")
	f.do(event(t, "submit", withBody(huge), inBase64)).problem(http.StatusRequestEntityTooLarge, "input_too_large")
	f.untouched()
}

func TestLargestInput(t *testing.T) {
	t.Parallel()
	f := newFixtureWith(t, "", nil)
	body := `{"type":"shop.note","input":"` + strings.Repeat("é", (intake.MaxInput-2)/2) + `"}`
	f.do(event(t, "submit", withBody(body))).task(http.StatusAccepted)
	if m := f.tasks.messages(t)[0]; m.InputRef == "" || m.Input != nil {
		t.Error("a large input travels by reference")
	}
}

func TestLocation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, endpoint       string
		domain, path, inside string
		want                 string
	}{
		{"stage", "", "abcdef1234.execute-api.us-east-1.amazonaws.com", "/v1/tasks", "/tasks", "https://abcdef1234.execute-api.us-east-1.amazonaws.com/v1/tasks/"},
		{"custom domain", "", "api.example.com", "/tasks", "/tasks", "https://api.example.com/tasks/"},
		// API Gateway leaves the base path in the event's path.
		{"base path", "", "api.example.com", "/jobs/tasks", "/jobs/tasks", "https://api.example.com/jobs/tasks/"},
		{"base path named as the resource", "", "api.example.com", "/tasks/tasks", "/tasks/tasks", "https://api.example.com/tasks/tasks/"},
		{"slash at the end", "", "api.example.com", "/v1/tasks/", "/tasks/", "https://api.example.com/v1/tasks/"},
		{"emulator", "http://127.0.0.1:4566", "localhost", "/v1/tasks", "/tasks", "http://127.0.0.1:4566/restapis/abcdef1234/v1/_user_request_/tasks/"},
		{"emulator with a slash", "http://127.0.0.1:4566/", "", "", "/tasks", "http://127.0.0.1:4566/restapis/abcdef1234/v1/_user_request_/tasks/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixtureWith(t, tt.endpoint, nil)
			a := f.do(event(t, "submit", func(r *request) {
				r.Path, r.RequestContext.Path, r.RequestContext.DomainName = tt.inside, tt.path, tt.domain
			}))
			if want := tt.want + a.task(http.StatusAccepted).ID; a.Headers["Location"] != want {
				t.Errorf("Location %q, want %q", a.Headers["Location"], want)
			}
		})
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, caller, apiKeyID, want string }{
		{"a role's session", "AROAEXAMPLE:session-1", "", "AROAEXAMPLE"},
		{"another session of the role", "AROAEXAMPLE:session-2", "", "AROAEXAMPLE"},
		{"a user", "AIDAEXAMPLE", "", "AIDAEXAMPLE"},
		{"the account's root", "123456789012", "", "123456789012"},
		{"a federated user", "123456789012:bob", "", "123456789012:bob"},
		{"nobody", "", "", "default"},
		{"a session of nobody", ":x", "", "default"},
		{"an API key", "AROAEXAMPLE:session-1", "a1b2c3d4e5", "a1b2c3d4e5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			got := f.submit(from(tt.caller), func(r *request) {
				r.RequestContext.Identity.APIKeyID = tt.apiKeyID
				r.RequestContext.Identity.APIKey = "a-secret-that-names-nobody"
			})
			if got.Tenant != tt.want {
				t.Errorf("tenant %q, want %q", got.Tenant, tt.want)
			}
		})
	}
}
