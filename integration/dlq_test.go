//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/integration/probe"
	"github.com/spillway-go/spillway/pkg/client"
)

// adminAnswer is what is read of the admin function's answers.
type adminAnswer struct {
	OK          bool           `json:"ok"`
	Code        string         `json:"code"`
	Message     string         `json:"message"`
	JobID       string         `json:"job_id"`
	PlanID      string         `json:"plan_id"`
	Status      string         `json:"status"`
	Matched     int            `json:"matched"`
	Replay      int            `json:"replay"`
	Replayed    int            `json:"replayed"`
	Skipped     int            `json:"skipped"`
	Failed      int            `json:"failed"`
	Quarantined int            `json:"quarantined"`
	Restored    int            `json:"restored"`
	AtLeastOnce int            `json:"at_least_once"`
	Done        bool           `json:"done"`
	Native      bool           `json:"native"`
	Depth       int            `json:"depth"`
	OldestAge   string         `json:"oldest_age"`
	Note        string         `json:"note"`
	Groups      []adminGroup   `json:"groups"`
	Messages    []adminMessage `json:"messages"`
	Reasons     map[string]int `json:"reasons"`
	Canary      *struct{ Succeeded, Failed int }
	Task        json.RawMessage  `json:"task"`
	Job         *adminJob        `json:"job"`
	Jobs        []adminJob       `json:"jobs"`
	Records     []map[string]any `json:"records"`
	Ranges      []map[string]any `json:"ranges"`
	Items       []struct {
		ID        string `json:"id"`
		Available int    `json:"available"`
	} `json:"items"`
	Parked []struct {
		Step string `json:"step"`
	} `json:"parked"`
}

type adminGroup struct {
	Fingerprint string `json:"fingerprint"`
	Type        string `json:"type"`
	Code        string `json:"code"`
	Count       int    `json:"count"`
	MovedBy     string `json:"moved_by"`
}

type adminMessage struct {
	MessageID    string `json:"message_id"`
	TaskID       string `json:"task_id"`
	Type         string `json:"type"`
	Tenant       string `json:"tenant"`
	ReceiveCount int    `json:"receive_count"`
	SentAt       string `json:"sent_at"`
	Age          string `json:"age"`
	MovedBy      string `json:"moved_by"`
	Body         string `json:"body"`
	Error        struct {
		Code        string `json:"code"`
		Attempts    int    `json:"attempts"`
		Fingerprint string `json:"fingerprint"`
		RequestID   string `json:"request_id"`
		TraceID     string `json:"trace_id"`
		Function    string `json:"function"`
		Version     string `json:"version"`
		History     []struct {
			Attempt int `json:"attempt"`
		} `json:"history"`
	} `json:"error"`
	Outcome string `json:"outcome"`
	Became  string `json:"became"`
}

type adminJob struct {
	JobID    string           `json:"job_id"`
	Kind     string           `json:"kind"`
	By       string           `json:"by"`
	Status   string           `json:"status"`
	Replayed int              `json:"replayed"`
	Done     bool             `json:"done"`
	Outcomes map[string]int   `json:"outcomes"`
	Events   []map[string]any `json:"events"`
	Messages []adminMessage   `json:"messages"`
}

type fields = map[string]any

// admin gives the admin function a command.
func admin(t *testing.T, command string, more fields) adminAnswer {
	t.Helper()
	all := fields{"command": command}
	for name, v := range more {
		all[name] = v
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return adminRaw(t, payload)
}

func adminRaw(t *testing.T, payload []byte) (a adminAnswer) {
	t.Helper()
	out, err := stack.lambdas.Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String(stack.out["AdminFunctionName"]), Payload: payload, InvocationType: lambdatypes.InvocationTypeRequestResponse,
	}, func(o *lambda.Options) { o.RetryMaxAttempts = 1 })
	if err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	if out.FunctionError != nil {
		t.Fatalf("%s: %s: %s", payload, *out.FunctionError, out.Payload)
	}
	if err := json.Unmarshal(out.Payload, &a); err != nil {
		t.Fatalf("%s: %v in %s", payload, err, out.Payload)
	}
	if strings.Contains(string(out.Payload), "arn:aws") || strings.Contains(string(out.Payload), stack.out["ControlTableName"]) {
		t.Errorf("internals in the answer to %s: %s", payload, out.Payload)
	}
	return a
}

// asked is admin for what has to work.
func asked(t *testing.T, command string, more fields) adminAnswer {
	t.Helper()
	a := admin(t, command, more)
	if !a.OK {
		t.Fatalf("%s %v: %s: %s", command, more, a.Code, a.Message)
	}
	return a
}

// finished waits until a job has ended that may have gone on in the background.
func finished(t *testing.T, a adminAnswer) adminAnswer {
	t.Helper()
	if !a.Done {
		eventually(t, func() error {
			if j := asked(t, "dlq.jobs", fields{"job_id": a.JobID}).Job; !j.Done {
				return fmt.Errorf("job %s is %s", a.JobID, j.Status)
			}
			return nil
		})
	}
	return a
}

// deadLetters submits tasks that fail until the receiver is let, and waits for
// their ends.
func deadLetters(t *testing.T, r *receiver, n int) (ids []string) {
	t.Helper()
	for range n {
		ids = append(ids, submit(t, r.URL+"/closed").ID)
	}
	for _, id := range ids {
		want(t, finish(t, id), client.DeadLettered, 4)
	}
	return ids
}

// The way back of what was given up, command by command. Not parallel: it
// would hide other tests' dead letters, and they would come between.
func TestDeadLetters(t *testing.T) {
	r := newReceiver(t)
	ids := deadLetters(t, r, 12)
	mine := fields{"ids": ids}

	t.Run("status and list", func(t *testing.T) {
		status := asked(t, "dlq.status", fields{"queue": "tasks"})
		i := slices.IndexFunc(status.Groups, func(g adminGroup) bool { return g.Code == "http_500" && g.Type == "webhook.deliver" })
		if i < 0 || status.Groups[i].Count < 12 || status.Depth < 12 || status.OldestAge == "" {
			t.Errorf("status: %+v", status)
		}
		for range 2 { // nothing is consumed, and all are visible again
			list := asked(t, "dlq.list", fields{"queue": "tasks", "filter": mine})
			if len(list.Messages) != 12 {
				t.Fatalf("%d messages: %+v", len(list.Messages), list)
			}
			for _, m := range list.Messages {
				if !slices.Contains(ids, m.TaskID) || m.Type != "webhook.deliver" || m.Tenant == "" || m.ReceiveCount < 1 || m.SentAt == "" || m.Age == "" ||
					m.Error.Code != "http_500" || m.Error.Attempts != 4 || m.Error.Fingerprint != status.Groups[i].Fingerprint || len(m.Error.History) != 4 ||
					m.Error.RequestID == "" || m.Error.Function != stack.out["WorkerFunctionName"] || m.Error.Version != "$LATEST" || m.Error.TraceID == "" || m.MovedBy != "worker" || !strings.Contains(m.Body, m.TaskID) {
					t.Errorf("%+v", m)
				}
			}
		}
		if list := asked(t, "dlq.list", fields{"queue": "tasks", "filter": mine, "max": 3}); len(list.Messages) != 3 {
			t.Errorf("%d messages, want 3", len(list.Messages))
		}
		if list := asked(t, "dlq.list", fields{"queue": "tasks", "filter": fields{"ids": ids, "error_contains": "no such thing"}}); len(list.Messages) != 0 {
			t.Errorf("%+v", list.Messages)
		}
	})

	t.Run("the row says the same", func(t *testing.T) {
		var row struct {
			Run     int `json:"run"`
			History []struct {
				At string `json:"at"`
			} `json:"history"`
			Fingerprint string `json:"fingerprint"`
			Failure     struct {
				Function  string `json:"function"`
				Version   string `json:"version"`
				RequestID string `json:"request_id"`
				TraceID   string `json:"trace_id"`
			} `json:"failure"`
		}
		a := asked(t, "task.get", fields{"id": ids[0]})
		if err := json.Unmarshal(a.Task, &row); err != nil || row.Run != 1 || len(row.History) != 4 || row.History[0].At == "" || row.Fingerprint == "" ||
			row.Failure.Function == "" || row.Failure.Version == "" || row.Failure.RequestID == "" || row.Failure.TraceID == "" {
			t.Errorf("%s, %v", a.Task, err)
		}
	})

	t.Run("canary that fails", func(t *testing.T) {
		a := finished(t, asked(t, "dlq.replay", fields{"queue": "tasks", "filter": fields{"ids": ids[:4]}, "canary": 1}))
		job := asked(t, "dlq.jobs", fields{"job_id": a.JobID}).Job
		if job.Status != "canary_failed" || job.Replayed != 1 {
			t.Errorf("%+v", job)
		}
		eventually(t, func() error {
			if n := len(asked(t, "dlq.list", fields{"queue": "tasks", "filter": mine}).Messages); n != 12 {
				return fmt.Errorf("%d of 12 are back", n)
			}
			return nil
		})
		if job = asked(t, "dlq.jobs", fields{"job_id": a.JobID}).Job; job.Outcomes["failed_same"] != 1 {
			t.Errorf("outcomes %v", job.Outcomes)
		}
	})

	t.Run("purge and restore", func(t *testing.T) {
		if a := admin(t, "dlq.purge", fields{"queue": "tasks", "filter": mine}); a.OK || a.Code != "confirm_required" {
			t.Errorf("without confirm: %+v", a)
		}
		if a := admin(t, "dlq.purge", fields{"queue": "tasks", "filter": mine, "confirm": "stream"}); a.OK || a.Code != "confirm_required" {
			t.Errorf("another name: %+v", a)
		}
		purge := finished(t, asked(t, "dlq.purge", fields{"queue": "tasks", "filter": fields{"ids": ids[:5]}, "confirm": "tasks", "by": "ada"}))
		if purge.Quarantined != 5 {
			t.Errorf("%+v", purge)
		}
		if n := len(asked(t, "dlq.list", fields{"queue": "tasks", "filter": mine}).Messages); n != 7 {
			t.Errorf("%d left, want 7", n)
		}
		restored := finished(t, asked(t, "dlq.restore", fields{"job_id": purge.JobID}))
		if restored.Restored != 5 {
			t.Errorf("%+v", restored)
		}
		if n := len(asked(t, "dlq.list", fields{"queue": "tasks", "filter": mine}).Messages); n != 12 {
			t.Errorf("%d after the restore, want 12", n)
		}
	})

	t.Run("what changes after a plan", func(t *testing.T) {
		plan := asked(t, "dlq.replay", fields{"queue": "tasks", "filter": mine, "dry_run": true, "by": "ada"})
		if plan.Matched != 12 || plan.Replay != 12 || plan.Replayed != 0 || plan.PlanID == "" || len(plan.Messages) != 12 {
			t.Fatalf("plan: %+v", plan)
		}
		canceled, err := stack.api.Cancel(t.Context(), ids[11])
		if err != nil {
			t.Fatal(err)
		}
		want(t, canceled, client.Canceled, 4)
		r.let()
		a := finished(t, asked(t, "dlq.replay", fields{"queue": "tasks", "plan_id": plan.PlanID, "by": "ada"}))
		if a.PlanID != plan.PlanID || a.Matched != 12 || a.Replayed != 11 || a.Skipped != 1 || a.Failed != 0 || a.Reasons["canceled"] != 1 {
			t.Errorf("%+v", a)
		}
		for _, id := range ids[:11] {
			want(t, finish(t, id), client.Succeeded, 1)
			got := asked(t, "task.get", fields{"id": id})
			var task struct{ Run, Replays int }
			if err := json.Unmarshal(got.Task, &task); err != nil || len(r.deliveriesOf(id, task.Run)) != 1 {
				t.Errorf("run %d of task %s was delivered %d times (%v)", task.Run, id, len(r.deliveriesOf(id, task.Run)), err)
			}
		}
		if len(r.deliveriesOf(ids[11], 2)) != 0 {
			t.Error("a canceled task was replayed")
		}
		eventually(t, func() error {
			job := asked(t, "dlq.jobs", fields{"job_id": a.JobID, "max": 100}).Job
			if job.Outcomes["succeeded"] != 11 || !job.Done || job.By != "ada" || len(job.Messages) != 12 || len(job.Events) < 3 {
				return fmt.Errorf("%+v", job)
			}
			return nil
		})
		if jobs := asked(t, "dlq.jobs", nil).Jobs; len(jobs) < 4 || !slices.ContainsFunc(jobs, func(j adminJob) bool { return j.JobID == a.JobID }) {
			t.Errorf("jobs: %+v", jobs)
		}
		if n := len(asked(t, "dlq.list", fields{"queue": "tasks", "filter": mine}).Messages); n != 0 {
			t.Errorf("%d letters are left", n)
		}
		// Once more with the same plan: nothing is left to do.
		if again := asked(t, "dlq.replay", fields{"queue": "tasks", "plan_id": plan.PlanID}); again.Replayed != 11 || !again.Done {
			t.Errorf("%+v", again)
		}
	})
}

// What SQS moves itself, after a hundred receives that nobody settles, is seen,
// says so, and runs once more.
func TestLetterThatSQSMoved(t *testing.T) {
	r := newReceiver(t)
	resume := pauseWorker(t)
	id := submit(t, r.URL+"/ok").ID
	eventually(t, func() error {
		for range 30 {
			out, err := stack.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(stack.out["TasksQueueUrl"]), MaxNumberOfMessages: 10, WaitTimeSeconds: 0})
			if err != nil {
				return err
			}
			show(t, stack.out["TasksQueueUrl"], out.Messages)
		}
		if n := len(asked(t, "dlq.list", fields{"filter": fields{"ids": []string{id}}}).Messages); n != 1 {
			return fmt.Errorf("%d dead letters of task %s", n, id)
		}
		return nil
	})
	m := asked(t, "dlq.list", fields{"filter": fields{"ids": []string{id}}}).Messages[0]
	if m.Error.Code != "moved_by_sqs" || m.MovedBy != "sqs" || m.ReceiveCount < 100 {
		t.Errorf("%+v", m)
	}
	status := asked(t, "dlq.status", nil)
	if !slices.ContainsFunc(status.Groups, func(g adminGroup) bool { return g.Code == "moved_by_sqs" && g.MovedBy == "sqs" }) {
		t.Errorf("%+v", status)
	}
	resume()
	if a := finished(t, asked(t, "dlq.replay", fields{"queue": "tasks", "filter": fields{"ids": []string{id}}})); a.Replayed != 1 || a.AtLeastOnce != 0 {
		t.Errorf("%+v", a)
	}
	want(t, finish(t, id), client.Succeeded, 1)
}

// A failed task has no dead letter, and comes back all the same.
func TestRetryCommand(t *testing.T) {
	r := newReceiver(t)
	failed, other := submit(t, r.URL+"/closed/400").ID, submit(t, r.URL+"/closed/422").ID
	want(t, finish(t, failed), client.Failed, 1)
	want(t, finish(t, other), client.Failed, 1)
	r.let()
	a := asked(t, "task.retry", fields{"id": failed})
	var task struct {
		Status string `json:"status"`
		Run    int    `json:"run"`
	}
	if err := json.Unmarshal(a.Task, &task); err != nil || task.Run != 2 || a.JobID == "" {
		t.Errorf("%s, %v", a.Task, err)
	}
	want(t, finish(t, failed), client.Succeeded, 1)
	if n := len(r.deliveriesOf(failed, 2)); n != 1 {
		t.Errorf("delivered %d times", n)
	}
	if a := admin(t, "task.retry", fields{"id": failed}); a.OK || a.Code != "not_retryable" {
		t.Errorf("a task that has succeeded: %+v", a)
	}
	plan := asked(t, "task.retry", fields{"filter": fields{"status": "failed", "error_contains": "http_422", "ids": []string{failed, other}}, "dry_run": true})
	if plan.Matched != 1 || plan.PlanID == "" {
		t.Fatalf("%+v", plan)
	}
	if a := finished(t, asked(t, "task.retry", fields{"plan_id": plan.PlanID})); a.Replayed != 1 {
		t.Errorf("%+v", a)
	}
	want(t, finish(t, other), client.Succeeded, 1)
	// Its message outlives it by no more than others can wait for an empty queue.
	if a := asked(t, "task.cancel", fields{"id": submit(t, r.URL+"/ok", func(q *client.SubmitRequest) { q.Delay = 20 * time.Second }).ID}); !strings.Contains(string(a.Task), `"canceled"`) {
		t.Errorf("%s", a.Task)
	}
}

func TestBadCommands(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ payload, code, says string }{
		{`{"command":"dlq.lists"}`, "unknown_command", "dlq.list"},
		{`{"command":"dlq.list","que":"tasks"}`, "unknown_field", "queue, filter, max"},
		{`{}`, "unknown_command", "dlq.status"},
		{`[]`, "invalid_request", "JSON object"},
		{`{"command":"dlq.list","queue":"mails"}`, "unknown_queue", "stream, tasks"},
		{`{"command":"dlq.replay","queue":"mails"}`, "unknown_queue", "stream, tasks"},
		{`{"command":"dlq.list","filter":{"typ":"a"}}`, "invalid_request", "error_contains"},
		{`{"command":"dlq.list","filter":{"older_than":"yesterday"}}`, "invalid_request", "older_than"},
		{`{"command":"dlq.list","max":-1}`, "invalid_request", "max"},
		{`{"command":"dlq.replay","queue":"tasks","plan_id":"01JZ8Q4W7M6T3V9X2K5B0N1C8D"}`, "not_found", "plan"},
		{`{"command":"dlq.replay","queue":"tasks","rate":-5}`, "invalid_request", "rate"},
		{`{"command":"dlq.replay","queue":"tasks","max":"all"}`, "invalid_request", "max"},
		{`{"command":"dlq.replay","queue":"stream"}`, "unsupported", "stream.replay"},
		{`{"command":"dlq.replay","queue":"tasks","native":true,"filter":{"type":"a"}}`, "invalid_request", "native"},
		{`{"command":"dlq.replay","queue":"tasks","native":true,"rate":501}`, "invalid_request", "500"},
		{`{"command":"dlq.replay","queue":"tasks","native":true,"dry_run":true}`, "invalid_request", "native"},
		{`{"command":"dlq.replay","queue":"tasks","native":true,"canary":1}`, "invalid_request", "native"},
		{`{"command":"dlq.purge","queue":"tasks"}`, "confirm_required", "confirm"},
		{`{"command":"dlq.restore"}`, "invalid_request", "job_id"},
		{`{"command":"dlq.restore","job_id":"nonsense"}`, "not_found", "nonsense"},
		{`{"command":"dlq.jobs","job_id":"nonsense"}`, "not_found", "nonsense"},
		{`{"command":"task.get"}`, "invalid_request", "id"},
		{`{"command":"task.get","id":"nonsense"}`, "not_found", "nonsense"},
		{`{"command":"task.retry"}`, "invalid_request", "filter"},
		{`{"command":"task.retry","id":"01JZ8Q4W7M6T3V9X2K5B0N1C8D"}`, "not_found", "task"},
		{`{"command":"stream.list","max":5000}`, "invalid_request", "max"},
	} {
		a := adminRaw(t, []byte(tt.payload))
		if a.OK || a.Code != tt.code || !strings.Contains(a.Message, tt.says) {
			t.Errorf("%s: %t %s: %s; want %s and %q", tt.payload, a.OK, a.Code, a.Message, tt.code, tt.says)
		}
	}
}

// SQS's own move task, where the endpoint has it, and a clear word where not.
// Not parallel: it moves all there is.
func TestNativeReplay(t *testing.T) {
	r := newReceiver(t)
	id := deadLetters(t, r, 1)[0]
	r.let()
	a := admin(t, "dlq.replay", fields{"queue": "tasks", "native": true})
	if !has(t, probe.MoveTasks) {
		if a.OK || a.Code != "unsupported" || !strings.Contains(a.Message, "StartMessageMoveTask") {
			t.Errorf("an endpoint without move tasks: %+v", a)
		}
		finished(t, asked(t, "dlq.replay", fields{"queue": "tasks", "filter": fields{"ids": []string{id}}}))
	} else if !a.OK || !a.Native {
		t.Errorf("%+v", a)
	}
	eventually(t, func() error { // SQS moves when it will, and until then the task is as it was
		if len(r.deliveriesOf(id, 2)) == 0 {
			return fmt.Errorf("task %s has not run again", id)
		}
		return nil
	})
	want(t, finish(t, id), client.Succeeded, 1)
	if n := len(r.deliveriesOf(id, 2)); n != 1 {
		t.Errorf("delivered %d times", n)
	}
}
