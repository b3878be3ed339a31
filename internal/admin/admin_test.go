package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// The commands and their fields are the contract's, and some more.
func TestCommands(t *testing.T) {
	want := map[string][]string{
		"dlq.status": {"queue"}, "dlq.list": {"queue", "filter", "max"},
		"dlq.replay": {"queue", "filter", "max", "rate", "dry_run", "plan_id", "canary", "native", "by"},
		"dlq.stop":   {"job_id", "by"}, "dlq.purge": {"queue", "filter", "confirm", "job_id", "max", "dry_run", "by"}, "dlq.restore": {"job_id", "by"},
		"dlq.jobs": {"job_id", "max", "from"}, "stream.list": {"max"}, "stream.replay": {"max", "dry_run", "rate", "ids", "job_id", "by"},
		"task.get": {"id"}, "task.cancel": {"id", "by"}, "task.retry": {"id", "filter", "max", "rate", "canary", "dry_run", "plan_id", "by"},
		"inventory.put": {"items", "by"}, "inventory.get": {"ids"},
		"saga.list": {"status", "max", "cursor"}, "saga.show": {"execution"}, "saga.resume": {"execution", "step", "reason", "by"},
		"saga.skip": {"execution", "step", "reason", "by"}, "saga.done": {"execution", "step", "reason", "by"},
		"chaos.set":   {"target", "execution", "fault", "rate", "times", "latency", "for", "by"},
		"chaos.clear": {"target", "execution", "by"}, "chaos.status": nil,
	}
	got := map[string][]string{}
	for name, c := range commands {
		got[name] = c.fields
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestUnknownCommands(t *testing.T) {
	bubble(t, func(f *fixture) {
		all := strings.Join(slices.Sorted(maps.Keys(commands)), ", ")
		for payload, want := range map[string]string{
			`{"command":"dlq"}`:                              `there is no command "dlq": known are ` + all,
			`{"command":"DLQ.STATUS"}`:                       `there is no command "DLQ.STATUS": known are ` + all,
			`{"command":"flow.pause"}`:                       `there is no command "flow.pause": known are ` + all,
			`{"command":"` + strings.Repeat("é", 300) + `"}`: `there is no command "` + strings.Repeat("é", 30) + `…": known are ` + all,
			`{}`:                            `"command" is missing or no text: it is one of ` + all,
			`{"command":""}`:                `"command" is missing or no text: it is one of ` + all,
			`{"command":null}`:              `"command" is missing or no text: it is one of ` + all,
			`{"command":["dlq.status"]}`:    `"command" is missing or no text: it is one of ` + all,
			`{"command":1e999}`:             `"command" is missing or no text: it is one of ` + all,
			`{"Command":"dlq.status"}`:      `"command" is missing or no text: it is one of ` + all,
			`{"queue":"tasks","x":{"y":1}}`: `"command" is missing or no text: it is one of ` + all,
		} {
			if got := f.refused(payload, adminapi.CodeUnknownCommand); got != want {
				f.Errorf("%.60s: %s, want %s", payload, got, want)
			}
		}
	})
}

func TestUnknownFields(t *testing.T) {
	bubble(t, func(f *fixture) {
		for name, c := range commands {
			for _, field := range []string{"x", "Queue", "force", strings.Repeat("z", 500), "", "ok", "\u017f"} {
				got := f.refused(fmt.Sprintf(`{"command":%q,%q:1}`, name, field), adminapi.CodeUnknownField)
				if want := fmt.Sprintf("%s has no field %q: it has %s", name, task.CleanText(field, 64), known(c.fields)); got != want {
					f.Errorf("%s: %s, want %s", name, got, want)
				}
			}
		}
		if got := f.refused(`{"command":"dlq.status","queue":"tasks","z":1,"a":2,"m":3}`, adminapi.CodeUnknownField); got != `dlq.status has no field "a": it has queue` {
			f.Error(got)
		}
	})
}

func TestPayloadsThatAreNoObject(t *testing.T) {
	bubble(t, func(f *fixture) {
		for _, payload := range []string{`null`, `[]`, `"dlq.status"`, `1`, `true`, `[{"command":"dlq.status"}]`} {
			if got := f.refused(payload, adminapi.CodeInvalid); got != `the payload must be one JSON object, such as {"command":"dlq.status"}` {
				f.Errorf("%s: %s", payload, got)
			}
		}
		a := &Admin{}
		for _, payload := range []string{``, `{`, `{"command":"dlq.status"}{}`, "\x00"} { // which Lambda does not hand on
			out, err := a.Handle(t.Context(), json.RawMessage(payload))
			if err != nil || !strings.HasPrefix(string(out), `{"ok":false,"code":"invalid_request"`) {
				f.Errorf("%q: %s, %v", payload, out, err)
			}
		}
	})
}

// Every field of every command says what is wrong with a value of another type.
func TestWrongTypes(t *testing.T) {
	bubble(t, func(f *fixture) {
		huge := strings.Repeat("9", 100_000)
		for name, c := range commands {
			for _, field := range c.fields {
				var wrong []string
				switch field {
				case "filter":
					wrong = []string{`1`, `"x"`, `[]`, `true`, `{"max":1}`}
				case "items":
					wrong = []string{`1`, `"x"`, `{}`, `[1]`, `[[]]`, `["hotel-1"]`, `true`, `[{"id":1}]`, `[{"available":"1"}]`, `[{"available":1.5}]`}
				case "ids":
					wrong = []string{`1`, `"x"`, `{}`, `[1]`, `[[]]`, `[{}]`, `true`}
				case "max", "canary", "from", "times":
					wrong = []string{`"1"`, `1.5`, `1e30`, `[]`, `{}`, `true`, huge, "-" + huge, `9223372036854775808`}
				case "rate":
					wrong = []string{`"1"`, `1e999`, `-1e999`, `[]`, `true`, huge}
				case "dry_run", "native":
					wrong = []string{`1`, `"true"`, `[]`, `{}`, huge}
				default:
					wrong = []string{`1`, `true`, `[]`, `{}`, huge}
				}
				for _, value := range wrong {
					got := f.refused(fmt.Sprintf(`{"command":%q,%q:%s}`, name, field, value), adminapi.CodeInvalid)
					if !strings.Contains(got, field) || strings.Contains(got, "struct") || strings.Contains(got, "Query") {
						f.Errorf("%s: %s of %.60s: %s", name, field, value, got)
					}
				}
			}
		}
	})
}

// What is nothing is as good as left out.
func TestNulls(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.ok(`{"command":"dlq.status","queue":null}`)
		f.ok(`{"command":"dlq.list","queue":null,"filter":null,"max":null}`)
		f.ok(`{"command":"dlq.replay","queue":null,"filter":null,"max":null,"rate":null,"dry_run":null,"plan_id":null,"canary":null,"native":null,"by":null}`)
		f.ok(`{"command":"dlq.jobs","job_id":null,"max":null,"from":null}`)
		f.ok(`{"command":"dlq.purge","queue":null,"filter":null,"confirm":"tasks","job_id":null,"max":null,"dry_run":null,"by":null}`)
		f.ok(`{"command":"stream.list","max":null}`)
		f.ok(`{"command":"stream.replay","max":null,"dry_run":null,"ids":null,"by":null}`)
		f.ok(`{"command":"inventory.get","ids":null}`)
		f.ok(`{"command":"inventory.put","items":[{"id":"hotel-1","available":1}],"by":null}`)
		f.ok(`{"command":"chaos.set","target":"saga.BookFlight","fault":"panic","times":1,"rate":null,"latency":null,"for":null,"by":null}`)
		f.ok(`{"command":"chaos.clear","target":null,"by":null}`)
	})
}

// Who asked is kept, as far as it goes.
func TestBy(t *testing.T) {
	bubble(t, func(f *fixture) {
		for by, want := range map[string]string{
			`"me"`: "me", `""`: "unknown", `"` + strings.Repeat("é", 300) + `"`: strings.Repeat("é", 98) + "…", `"a\u0000b\nc"`: "a\ufffdb\nc",
		} {
			time.Sleep(time.Second)
			id := f.ok(`{"command":"dlq.replay","by":` + by + `}`).text("job_id")
			job := f.ok(`{"command":"dlq.jobs","job_id":"` + id + `"}`)["job"].(map[string]any)
			if job["by"] != want || job["request_id"] != requestIDOfTest {
				f.Errorf("by %s: %q, request %q", by, job["by"], job["request_id"])
			}
		}
	})
}

func TestJobs(t *testing.T) {
	bubble(t, func(f *fixture) {
		var ids []string
		for range 30 {
			ids = append(ids, f.ok(`{"command":"dlq.replay","dry_run":true,"filter":{"type":"x"},"max":7,"rate":2.5,"canary":3,"by":"me"}`).text("plan_id"))
			time.Sleep(time.Second)
		}
		slices.Reverse(ids) // the newest first
		for max, want := range map[string]int{"": 25, `,"max":0`: 25, `,"max":2`: 2, `,"max":1000`: 30} {
			jobs := f.ok(`{"command":"dlq.jobs"` + max + `}`)["jobs"].([]any)
			var got []string
			for _, j := range jobs {
				got = append(got, j.(map[string]any)["job_id"].(string))
			}
			if diff := cmp.Diff(ids[:want], got); diff != "" {
				f.Errorf("%s (-want +got):\n%s", max, diff)
			}
		}
		f.is(answer(f.ok(`{"command":"dlq.jobs","max":1}`)["jobs"].([]any)[0].(map[string]any)), map[string]string{"J": ids[0]}, `{
			"job_id": "J", "kind": "replay", "queue": "tasks", "status": "planned", "by": "me", "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
			"created_at": "TIME", "updated_at": "TIME", "plan_expires_at": "TIME", "filter": {"type": "x"}, "rate": 2.5, "max": 7, "canary_size": 3,
			"matched": 0, "replayed": 0, "skipped": 0, "dropped": 0, "failed": 0, "done": false, "at_least_once": 0, "hops": 0, "reasons": {}}`)
		for _, tt := range []struct {
			fields  string
			code    adminapi.Code
			message string
		}{
			{`"job_id":"x"`, adminapi.CodeNotFound, "there is no job or plan x"},
			{`"job_id":"` + strings.Repeat("x", 3000) + `"`, adminapi.CodeInvalid, `"job_id" is no id`},
			{`"max":-1`, adminapi.CodeInvalid, "max is -1: it is between 1 and 1000"},
			{`"job_id":"` + ids[0] + `","max":1001`, adminapi.CodeInvalid, "max is 1001: it is between 1 and 1000"},
			{`"from":-1`, adminapi.CodeInvalid, "from is -1: it counts from 0"},
			{`"job_id":"` + ids[0] + `","from":-1`, adminapi.CodeInvalid, "from is -1: it counts from 0"},
			{`"from":1`, adminapi.CodeInvalid, "from needs a job_id"},
			{`"from":1,"max":5`, adminapi.CodeInvalid, "from needs a job_id"},
		} {
			if got := f.refused(`{"command":"dlq.jobs",`+tt.fields+`}`, tt.code); !strings.Contains(got, tt.message) {
				f.Errorf("%.60s: %s, want %s", tt.fields, got, tt.message)
			}
		}
	})
}

func TestResume(t *testing.T) {
	for _, tt := range []struct {
		kind   redrive.Kind
		status redrive.Status
		want   string
	}{
		{redrive.KindReplay, redrive.Stopped, `{"command":"dlq.replay","queue":"tasks","plan_id":"J"}`},
		{redrive.KindReplay, redrive.Stalled, `{"command":"dlq.replay","queue":"tasks","plan_id":"J"}`},
		{redrive.KindRetry, redrive.Stopped, `{"command":"task.retry","plan_id":"J"}`},
		{redrive.KindRestore, redrive.Stopped, `{"command":"dlq.restore","job_id":"P"}`},
		{redrive.KindPurge, redrive.Stopped, `{"command":"dlq.purge","queue":"tasks","confirm":"tasks","job_id":"J"}`},
		{redrive.KindPurge, redrive.Stalled, `{"command":"dlq.purge","queue":"tasks","confirm":"tasks","job_id":"J"}`},
		{redrive.KindPurge, redrive.Done, ""},
		{redrive.KindNative, redrive.Stopped, ""},
		{redrive.Kind(rescue.KindReplay), redrive.Stopped, `{"command":"stream.replay","job_id":"J"}`},
		{redrive.KindReplay, redrive.Running, ""},
		{redrive.KindReplay, redrive.Done, ""},
		{redrive.KindReplay, redrive.Planned, ""},
	} {
		r := &redrive.Report{JobID: "J", Request: redrive.Request{Kind: tt.kind, Queue: "tasks", Source: "P"}, Status: tt.status}
		if got := resume(r); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.status, tt.kind, got, tt.want)
		}
	}
}

// Every kind of error has its code, and what AWS said is in none of them.
func TestDescribe(t *testing.T) {
	said := awsError("DynamoDB", "UpdateItem", "ThrottlingException")
	const unavailable = "a call to AWS failed, and the function's log says which; nothing is lost, and the command can be repeated"
	for _, tt := range []struct {
		err     error
		code    adminapi.Code
		message string
	}{
		{&Error{adminapi.CodeConfirm, "say so"}, adminapi.CodeConfirm, "say so"},
		{fmt.Errorf("x: %w", &Error{adminapi.CodeConfirm, "say so"}), adminapi.CodeConfirm, "say so"},
		{fmt.Errorf("%w: no job", redrive.ErrNotFound), adminapi.CodeNotFound, "not found: no job"},
		{fmt.Errorf("%w: q", redrive.ErrUnknownQueue), adminapi.CodeUnknownQueue, "unknown queue: q"},
		{fmt.Errorf("%w: q", redrive.ErrInvalid), adminapi.CodeInvalid, "invalid request: q"},
		{redrive.ErrPlanExpired, adminapi.CodePlanExpired, "the plan has expired"},
		{redrive.ErrPlanUsed, adminapi.CodePlanUsed, "the plan cannot be executed any more"},
		{redrive.ErrBusy, adminapi.CodeJobRunning, "another job is running"},
		{redrive.ErrUnsupported, adminapi.CodeUnsupported, "not supported"},
		{redrive.ErrNotRetryable, adminapi.CodeNotRetryable, "the task cannot be retried"},
		{redrive.ErrDeadline, adminapi.CodeDeadline, "the deadline has passed"},
		{fmt.Errorf("%w: f", chaos.ErrInvalid), adminapi.CodeInvalid, "invalid fault: f"},
		{fmt.Errorf("task x: %w", tasktable.ErrNotFound), adminapi.CodeNotFound, "task x: no such task"},
		{fmt.Errorf("task x: %w", tasktable.ErrFinished), adminapi.CodeFinished, "task x: the task has finished"},
		{said, adminapi.CodeUnavailable, unavailable},
		{errors.New("boom"), adminapi.CodeUnavailable, unavailable},
		{errors.Join(redrive.ErrUnsupported, said), adminapi.CodeUnsupported, "not supported"},
		{fmt.Errorf("%w: %w", redrive.ErrBusy, said), adminapi.CodeJobRunning, "another job is running"},
		{fmt.Errorf("%w: %s", redrive.ErrInvalid, strings.Repeat("x", 5000)), adminapi.CodeInvalid, task.CleanText("invalid request: "+strings.Repeat("x", 5000), 1000)},
	} {
		got, cause := describe(tt.err)
		if got.Code != tt.code || got.Message != tt.message {
			t.Errorf("%v: %v", tt.err, got)
		}
		if hides := errors.Is(tt.err, said) || tt.code == adminapi.CodeUnavailable; hides != (cause != nil) || hides && !errors.Is(cause, tt.err) {
			t.Errorf("%v: the log has %v", tt.err, cause)
		}
	}
	if got := (&Error{adminapi.CodeConfirm, "say so"}).Error(); got != "confirm_required: say so" {
		t.Error(got)
	}
}
