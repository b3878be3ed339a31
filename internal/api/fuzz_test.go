package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/allocs"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// memory bounds what one request may allocate for n bytes of it: the fixture
// and the function, and a few copies of the request.
func memory(n int) int { return 4<<20 + 128*n }

// FuzzSubmit hands in a body with the headers that matter. Whatever is
// accepted keeps the documented rules, is stored once and sent once, and
// found again by its key; whatever is not has left nothing behind.
func FuzzSubmit(f *testing.F) {
	const media, key = "application/json", "7f9c24e8"
	soon := time.Now().Add(48 * time.Hour).UTC()
	for _, body := range []string{
		`{"type":"shop.order","input":{"item":"tea","count":2}}`,
		`{"type":"shop.note","input":[1,"\ud800","\ufffe",{"<&>":"\u0000"}],"priority":"bulk","ttl":"90s","delay":"15m"}`,
		`{"type":"shop.note","input":"x","deadline":"2026-01-31t12:00:00.5z"}`,
		`{"type":"shop.note","input":1,"deadline":"` + soon.Format(time.RFC3339) + `"}`,
		`{"type":"shop.note","input":1,"deadline":"` + soon.Format("2006-01-02T15:04:05,5Z") + `"}`,
		`{"type":"shop.note","input":1,"deadline":"` + soon.Format("2006-01-02T15:04:05+24:00") + `"}`,
		`{"type":"shop.note","input":1,"ttl":"168h","deadline":"2026-02-30T12:00:00Z"}`,
		`{"\u0074ype":"shop.note","input":1e400,"delay":"1ns"}`,
		`{"type":"shop.note","input":1,"input":2}`,
		`{"type":"shop.note","input":` + strings.Repeat("[", 400) + strings.Repeat("]", 400) + `}`,
		`{"type":"shop.note","input":"` + strings.Repeat("x", 1200) + `"}`,
		`{"type":"shop.note","input":"` + "\xed\xa0\x80" + `"}`,
		`{"` + strings.Repeat("é\ufffe", 2000) + `":1}`, `{"type":"` + strings.Repeat("x", 5000) + `","input":1}`,
		`{"type":"shop.note","input":1,"callback_url":"HTTPS://example.com/\u00e9?a=%2F"}`, `{"type":"shop.note","input":1,"callback_url":"http://0x7f.1"}`,
		`{"type":"shop.note","input":1,"callback_url":""}`, `{"type":"shop.note","input":1,"callback_url":"https://example.com/\ud800"}`,
		`{"type":"shop.return","input":{}}`, `{"TYPE":"shop.note"}`, `null`, `[]`, `{} }`, "\uFEFF{}", ``,
	} {
		f.Add([]byte(body), media, key, true, "AROAEXAMPLE:session")
	}
	const body = `{"type":"shop.note","input":1}`
	f.Add([]byte(body), media+"; charset=utf-8", "", false, "")
	f.Add([]byte(body), "application/json; charset", strings.Repeat("k", 129), true, "123456789012:federated")
	f.Add([]byte(body), "text/plain", "a b", true, "")
	f.Fuzz(func(t *testing.T, body []byte, contentType, key string, withKey bool, caller string) {
		allocs.Within(t, memory(len(body)), func() {
			fix := newFixture(t)
			changes := []func(*request){
				with("Content-Type", contentType), without("Idempotency-Key"), from(caller),
				func(r *request) { r.Body, r.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true },
			}
			if withKey {
				changes = append(changes, with("Idempotency-Key", key))
			}
			r := event(t, "submit", changes...)
			a := fix.do(r)
			if a.StatusCode != http.StatusAccepted {
				fix.refused(a)
				return
			}
			// The event went through JSON, which replaces what is not UTF-8.
			contentType, key = strings.ToValidUTF8(contentType, "\ufffd"), strings.ToValidUTF8(key, "\ufffd")
			if media, _, err := mime.ParseMediaType(contentType); media != "application/json" || err != nil {
				t.Fatalf("accepted as %q", contentType)
			}
			if withKey && !regexp.MustCompile(`^[!-~]{1,128}$`).MatchString(key) {
				t.Fatalf("accepted with the key %q", key)
			}
			first := a.task(http.StatusAccepted)
			checkAccepted(t, body, first)
			fix.storedOnce(first, body)
			if second := fix.do(r); withKey && second.task(http.StatusOK).ID != first.ID {
				t.Fatalf("repeated with its key: %s", second.Body)
			} else if !withKey && second.task(http.StatusAccepted).ID == first.ID {
				t.Fatalf("without a key it became the same task: %s", second.Body)
			}
		})
	})
}

// refused expects a problem of the caller's making, in words that can be
// shown, and nothing stored or sent.
func (f *fixture) refused(a reply) {
	f.t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
		f.t.Fatal(err)
	}
	switch {
	case a.StatusCode < 400 || a.StatusCode > 499 || statuses[p.Code] != a.StatusCode:
		f.t.Fatalf("answer %d %s", a.StatusCode, a.Body)
	case len(a.Body) > 4096 || p.Detail != task.CleanText(p.Detail, 600):
		f.t.Fatalf("the answer has %d bytes, its detail is %q", len(a.Body), p.Detail)
	}
	for operation, n := range f.db.Calls() {
		if operation != "GetItem" && operation != "Query" && operation != "BatchGetItem" {
			f.t.Fatalf("%d calls of %s for %s", n, operation, a.Body)
		}
	}
	if n := len(f.tasks.messages(f.t)) + len(f.backlog.messages(f.t)); n > 0 {
		f.t.Fatalf("%d messages were sent", n)
	}
}

// checkAccepted holds what was accepted against the document and the bounds
// that a schema cannot have.
func checkAccepted(t *testing.T, body []byte, got task.Task) {
	t.Helper()
	if err := document().check(string(body), "components", "schemas", "TaskRequest"); err != nil {
		t.Fatalf("%q was accepted, which is not as documented: %v", body, err)
	}
	if names := memberNames(body); len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Fatalf("%q was accepted with the members %q", body, names)
	}
	var asked struct {
		Type, Priority, Deadline, TTL, Delay string
		Input                                json.RawMessage
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		t.Fatal(err)
	}
	if asked.Priority == "" {
		asked.Priority = "normal"
	}
	if got.Type != asked.Type || string(got.Priority) != asked.Priority || got.Status != task.Queued || got.Attempts != 0 {
		t.Fatalf("%q became %+v", body, got)
	}
	ahead := got.Deadline.Sub(got.CreatedAt.Time)
	switch {
	case asked.TTL != "" && asked.Deadline != "":
		t.Fatalf("%q has both", body)
	case asked.TTL != "":
		// The id's time, from which it is counted here, is a moment later.
		if ttl, err := time.ParseDuration(asked.TTL); err != nil || (ahead-ttl).Abs() > time.Second {
			t.Fatalf("ttl %q became %s ahead, %v", asked.TTL, ahead, err)
		}
	case asked.Deadline != "":
		if at, err := time.Parse(time.RFC3339Nano, strings.ToUpper(asked.Deadline)); err != nil || !at.Truncate(time.Millisecond).Equal(got.Deadline.Time) {
			t.Fatalf("deadline %q became %s, %v", asked.Deadline, got.Deadline, err)
		}
	}
	if ahead > intake.MaxAhead || ahead < -time.Second {
		t.Fatalf("the deadline is %s ahead", ahead)
	}
	if delay, err := time.ParseDuration(asked.Delay); asked.Delay != "" && (err != nil || delay < 0 || delay > intake.MaxDelay) {
		t.Fatalf("delay %q: %v", asked.Delay, err)
	}
	if compact(t, asked.Input) == "null" || len(compact(t, asked.Input)) > 1000 {
		t.Fatalf("an input of %d bytes: %.100s", len(compact(t, asked.Input)), asked.Input)
	}
}

// memberNames are those of an object, as often as they are there.
func memberNames(body []byte) (names []string) {
	dec := json.NewDecoder(bytes.NewReader(body))
	_, _ = dec.Token()
	for dec.More() {
		var value json.RawMessage
		name, _ := dec.Token()
		_ = dec.Decode(&value)
		names = append(names, fmt.Sprint(name))
	}
	return names
}

func compact(t *testing.T, value json.RawMessage) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, value); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// storedOnce expects the row and the one message of a task, with its input.
func (f *fixture) storedOnce(want task.Task, body []byte) {
	f.t.Helper()
	row, err := f.table.Get(f.t.Context(), want.ID)
	if err != nil || row.Tenant != want.Tenant {
		f.t.Fatalf("Get = %+v, %v", row, err)
	}
	stored, err := f.table.Input(f.t.Context(), row)
	if err != nil {
		f.t.Fatal(err)
	}
	var asked struct {
		Input    json.RawMessage
		Callback string `json:"callback_url"`
	}
	if err := json.Unmarshal(body, &asked); err != nil || string(stored) != compact(f.t, asked.Input) || row.CallbackURL != asked.Callback {
		f.t.Fatalf("stored %s with the callback %q for %s, %v", stored, row.CallbackURL, body, err)
	}
	sent := slices.Concat(f.tasks.messages(f.t), f.backlog.messages(f.t))
	if len(sent) != 1 || sent[0].TaskID != want.ID || sent[0].Tenant != want.Tenant || !sameJSON(sent[0].Input, stored) {
		f.t.Fatalf("sent %+v for %+v", sent, row)
	}
}

// sameJSON reports whether two texts stand for one value. Messages escape what
// SQS refuses.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	decode := func(text []byte) (tokens []json.Token) {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		for token, err := dec.Token(); err == nil; token, err = dec.Token() {
			tokens = append(tokens, token)
		}
		return tokens
	}
	return slices.Equal(decode(a), decode(b))
}

// finishedID is a task that is in the table of FuzzRead.
const finishedID = "01KWEG73E0EDR6JV3CEXGQJRB2"

// FuzzRead asks for one task, cancels one, lists some, or calls any of the
// functions with an event that API Gateway never made.
func FuzzRead(f *testing.F) {
	for _, id := range []string{finishedID, strings.ToLower(finishedID), finishedID + "#input", "01KWEG73E0EDR6JV3CEXGQJRB", "8" + finishedID[1:], "", "..", "é"} {
		f.Add(byte(0), id, "wait=0s", "AROAEXAMPLE:session")
		f.Add(byte(1), id, "", "")
	}
	for _, query := range []string{
		"wait=25s", "wait=25.1s", "wait=-1ns", "wait=", "wait=9999999h", "limit=1", "limit=100&status=succeeded&type=shop.note", "limit=0", "limit=+7", "limit=١",
		"status=Failed", "status=", "cursor=" + encodeCursor(finishedID), "cursor=" + encodeCursor("~"), "cursor=" + encodeCursor(finishedID) + "=",
		"cursor=" + strings.TrimSuffix(encodeCursor(finishedID), "g") + "h", // the bits that no byte needs
		"cursor=MTo", "cursor=AA==", "cursor=%00", "type=%ff&type=b",
	} {
		f.Add(byte(0), finishedID, query, "AROAEXAMPLE")
		f.Add(byte(2), "", query, "AROAEXAMPLE")
	}
	for i, name := range []string{"submit", "status", "list", "cancel"} {
		raw := sample(f, name)
		f.Add(byte(3+i), string(raw), "", "")
	}
	for _, raw := range []string{``, `null`, `{}`, `[]`, `{"pathParameters":{"id":null}}`, `{"pathParameters":{"id":"` + finishedID + `"}}`, `{"body":"{}","isBase64Encoded":true}`} {
		f.Add(byte(3), raw, "", "")
		f.Add(byte(4), raw, "", "")
		f.Add(byte(6), raw, "", "")
	}
	f.Fuzz(func(t *testing.T, kind byte, text, query, caller string) {
		allocs.Within(t, memory(len(text)+len(query)), func() {
			fix := newFixture(t)
			fix.finished()
			switch kind % 7 {
			case 0:
				fix.reads(event(t, "status", withID(text), withRawQuery(query), from(caller)), text)
			case 1:
				fix.reads(event(t, "cancel", withID(text), from(caller)), text)
			case 2:
				fix.lists(event(t, "list", withRawQuery(query), from(caller)))
			case 3:
				fix.anyEvent(http.MethodPost, text)
			case 4, 5:
				fix.anyEvent(http.MethodGet, text)
			case 6:
				fix.anyEvent(http.MethodDelete, text)
			}
		})
	})
}

// finished puts tasks that have ended into the table, so that nobody waits for
// them.
func (f *fixture) finished() {
	f.t.Helper()
	for _, id := range []string{finishedID, tasktable.NewID(), tasktable.NewID()} {
		_, err := f.table.Create(f.t.Context(), tasktable.Draft{
			ID: id, Tenant: "AROAEXAMPLE", Type: "shop.note", Priority: task.Normal, Input: json.RawMessage(`1`), Deadline: time.Now().Add(time.Hour),
		})
		if err != nil {
			f.t.Fatal(err)
		}
		f.become(id, task.Succeeded)
	}
	f.db.ResetCalls()
}

// withRawQuery sets the query's parameters as API Gateway does: the last of
// those that are given several times.
func withRawQuery(text string) func(*request) {
	return func(r *request) {
		values, _ := url.ParseQuery(text) // as much as can be read
		r.QueryStringParameters = map[string]string{}
		for name, vs := range values {
			r.QueryStringParameters[name] = vs[len(vs)-1]
		}
		r.MultiValueQueryStringParameters = values
	}
}

var idForm = regexp.MustCompile(`^[0-7][0-9A-HJKMNP-TV-Z]{25}$`)

// reads one task, or is refused without a look at the table.
func (f *fixture) reads(r *request, id string) {
	f.t.Helper()
	a := f.do(r)
	looked := len(f.db.Calls()) > 0
	if looked && !idForm.MatchString(id) {
		f.t.Fatalf("the table was asked for %q", id)
	}
	if a.StatusCode != http.StatusOK {
		f.refused(a)
		return
	}
	if got := a.task(http.StatusOK); got.ID != id || got.Tenant != tenant(r.RequestContext.Identity) {
		f.t.Fatalf("asked for %q, got %+v", id, got)
	}
}

// lists tasks, or is refused without a look at the table.
func (f *fixture) lists(r *request) {
	f.t.Helper()
	a := f.do(r)
	if a.StatusCode != http.StatusOK {
		if len(f.db.Calls()) > 0 {
			f.t.Fatalf("refused after %v", f.db.Calls())
		}
		f.refused(a)
		return
	}
	var page taskList
	if err := task.Decode([]byte(a.Body), &page); err != nil {
		f.t.Fatal(err)
	}
	params := r.QueryStringParameters
	limit := defaultLimit
	if params["limit"] != "" {
		n, err := strconv.Atoi(params["limit"])
		if err != nil || n < 1 || n > 100 {
			f.t.Fatalf("limit %q was taken", params["limit"])
		}
		limit = n
	}
	before := "~"
	if params["cursor"] != "" {
		raw, err := base64.RawURLEncoding.DecodeString(params["cursor"])
		id, ok := strings.CutPrefix(string(raw), "1:")
		if err != nil || !ok || !idForm.MatchString(id) || encodeCursor(id) != params["cursor"] {
			f.t.Fatalf("cursor %q was taken", params["cursor"])
		}
		before = id
	}
	if s := task.Status(params["status"]); len(page.Tasks) > limit || s != "" && !slices.Contains(task.Statuses, s) {
		f.t.Fatalf("%d tasks for %v", len(page.Tasks), params)
	}
	for _, got := range page.Tasks {
		wrong := got.Tenant != tenant(r.RequestContext.Identity) || got.ID >= before ||
			params["type"] != "" && got.Type != params["type"] || params["status"] != "" && string(got.Status) != params["status"]
		if wrong {
			f.t.Fatalf("%+v is listed for %v", got, params)
		}
		before = got.ID
	}
	if page.Cursor != "" {
		if id, ok := decodeCursor(page.Cursor); !ok || len(page.Tasks) > 0 && id != before {
			f.t.Fatalf("cursor %q leads to %q after %q", page.Cursor, id, before)
		}
	}
}

// anyEvent calls a function with what may not even be an event: it answers
// with JSON and a status of the API, or says that it cannot read the event.
func (f *fixture) anyEvent(method, payload string) {
	f.t.Helper()
	out, err := f.functions[method].Invoke(f.t.Context(), []byte(payload))
	if err != nil {
		if len(f.db.Calls()) > 0 {
			f.t.Fatalf("%v after %v", err, f.db.Calls())
		}
		return
	}
	var a response
	if err := json.Unmarshal(out, &a); err != nil {
		f.t.Fatal(err)
	}
	if a.StatusCode < 400 {
		if !json.Valid([]byte(a.Body)) || a.StatusCode < 200 || a.StatusCode > 202 {
			f.t.Fatalf("answer %d %s", a.StatusCode, a.Body)
		}
		return
	}
	f.refused(reply{t: f.t, response: a})
}
