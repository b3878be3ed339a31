package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.answer = func(adminRequest) any {
		return fields{
			"ok": true, "queue": "saga", "name": "q", "depth": 41, "in_flight": 2, "delayed": 1, "oldest_age": "26h3m0s", "indexed": 40, "complete": false, "note": "of 41 messages, 40 have a task",
			"groups": []fields{
				{"fingerprint": "ab", "type": "noop", "code": "boom", "message": strings.Repeat("long ", 40), "count": 40, "first_seen": ago(26 * time.Hour), "last_seen": ago(5 * time.Minute), "moved_by": "worker", "sample": fields{"task_id": "01TASK", "message_id": "m1"}},
				{"count": 1, "first_seen": ago(time.Hour), "last_seen": ago(time.Hour), "moved_by": "sqs", "sample": fields{"message_id": "m2"}},
			},
		}
	}
	ta := f.atTerminal("")
	if code := ta.play(t, "dlq", "groups", "--queue", "saga"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	out := ta.stdout.String()
	mustContain(t, "stdout", out, "saga: 41 messages, 2 in flight, 1 delayed, the oldest 26h03m old",
		"    40 × noop  boom: long", "first 26h00m ago, last 5m00s ago, for example 01TASK", "     1 × moved by sqs", "for example m2")
	mustContain(t, "stderr", ta.stderr.String(), "more than could be looked at", "40 have a task")
	for line := range strings.Lines(out) {
		if len([]rune(line)) > 71 {
			t.Errorf("wider than the screen: %q", line)
		}
	}
	if diff := cmp.Diff(f.last("dlq.status"), adminRequest{Command: "dlq.status", Queue: "saga"}); diff != "" {
		t.Errorf("request (-got +want):\n%s", diff)
	}

	f.answer = func(adminRequest) any { return refused("unknown_queue") }
	for _, format := range []string{"table", "json"} {
		ta = f.newOperator()
		if code := ta.play(t, "dlq", "groups", "-o", format); code != exitFailed {
			t.Errorf("exit %d", code)
		}
		mustContain(t, "stderr", ta.stderr.String(), "the fake says unknown_queue")
	}
	mustContain(t, "stdout", ta.stdout.String(), `"ok": false`)
}

// letters are two dead letters: one with all there is, one with nothing.
func letters() []fields {
	return []fields{
		{
			"message_id": "m1", "task_id": "01TASK", "type": "noop", "tenant": "t1", "receive_count": 3, "sent_at": ago(time.Hour), "age": "1h0m0s", "moved_by": "worker", "origin": "backlog", "run": 2, "replays": 1,
			"error": fields{
				"code": "boom", "message": "it broke\nbadly", "retryable": true, "attempts": 5, "failed_at": ago(time.Hour), "fingerprint": "abcd", "function": "worker", "version": "7", "request_id": "r1", "trace_id": "1-2-3",
				"history": []fields{{"attempt": 4, "at": ago(2 * time.Hour), "code": "timeout"}, {"attempt": 5, "at": ago(time.Hour), "code": "boom"}},
			},
			"body": `{"v":1,"input":{"n":12345678901234567890}}`,
		},
		{"message_id": "m2", "receive_count": 6, "sent_at": ago(time.Minute), "age": "1m0s", "moved_by": "sqs", "body": "no JSON \x1b[2J", "replays": 0},
	}
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.answer = func(adminRequest) any {
		return fields{"ok": true, "queue": "tasks", "messages": letters(), "complete": true}
	}
	ta := f.newOperator()
	if code := ta.play(t, "dlq", "ls", "--type", "noop", "--max", "7"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	lines := strings.Split(ta.stdout.String(), "\n")
	mustContain(t, "first line", lines[1], "01TASK", "noop", "1h00m", "5", "boom: it broke badly")
	mustContain(t, "second line", lines[2], "m2", "1m00s", "-", "moved by sqs")
	if diff := cmp.Diff(f.last("dlq.list"), adminRequest{Command: "dlq.list", Queue: "tasks", Max: 7, Filter: &adminapi.Filter{Type: "noop"}}); diff != "" {
		t.Errorf("request (-got +want):\n%s", diff)
	}

	ta = f.newOperator()
	if code := ta.play(t, "dlq", "show", "01TASK"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "message      m1", "tenant       t1", "origin       backlog", "error        boom: it broke badly",
		"4  1999-12-31 22:00", "timeout", "function     worker 7", "request      r1", "trace        1-2-3", "fingerprint  abcd", `"n": 12345678901234567890`,
		"message   m2", "SQS itself", "no JSON �[2J")
	if diff := cmp.Diff(f.last("dlq.list").Filter, &adminapi.Filter{IDs: []string{"01TASK"}}); diff != "" {
		t.Errorf("filter (-got +want):\n%s", diff)
	}

	ta = f.newOperator()
	if code := ta.play(t, "dlq", "show", "m1", "-o", "json"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	var page adminapi.DLQListAnswer
	if err := json.Unmarshal([]byte(ta.stdout.String()), &page); err != nil || len(page.Messages) != 2 {
		t.Errorf("answer %+v, %v", page, err)
	}
}

func TestNoDeadLetters(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	complete := true
	f.answer = func(adminRequest) any {
		return fields{"ok": true, "queue": "tasks", "messages": []fields{}, "complete": complete}
	}
	ta := f.newOperator()
	if code := ta.play(t, "dlq", "ls"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "no messages")
	for _, format := range []string{"table", "json"} {
		ta = f.newOperator()
		if code := ta.play(t, "dlq", "show", "01X", "-o", format); code != exitFailed {
			t.Errorf("exit %d", code)
		}
		mustContain(t, "stderr", ta.stderr.String(), "there is no dead letter of tasks with this id", "spillway task get 01X")
	}
	complete = false
	ta = f.newOperator()
	if code := ta.play(t, "dlq", "show", "01X"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "not all could be looked at")
}

func TestJobs(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	entry := fields{
		"job_id": "01JOB", "kind": "replay", "queue": "tasks", "status": "stopped", "by": fakeARN, "request_id": "r1", "created_at": ago(time.Hour), "started_at": ago(time.Hour),
		"filter": fields{"type": "noop"}, "rate": 12.5, "max": 500, "canary": fields{"size": 5}, "planned": 100, "replayed": 40, "skipped": 3, "dropped": 1, "note": "be careful", "failed": 2, "at_least_once": 1,
		"reasons": fields{"task_finished": 3}, "outcomes": fields{"succeeded": 38, "failed_other": 2}, "resume": "dlq.replay with this plan_id",
		"events": []fields{{"at": ago(time.Hour), "what": "planned", "by": fakeARN}, {"at": ago(time.Minute), "what": "stopped", "by": "somebody \x1belse"}},
	}
	f.answer = func(r adminRequest) any {
		switch {
		case r.JobID == "":
			return fields{"ok": true, "jobs": []fields{entry, {"job_id": "01OLD", "kind": "purge", "queue": "saga", "status": "done", "created_at": ago(50 * time.Hour), "matched": 3, "quarantined": 3}}}
		case r.Max > 0:
			entry["messages"] = []fields{{"message_id": "m1", "task_id": "01TASK", "run": 2, "outcome": "replayed", "became": "succeeded"}, {"message_id": "m2", "outcome": "skipped", "reason": "foreign"}}
		}
		return fields{"ok": true, "job": entry}
	}
	ta := f.newOperator()
	if code := ta.play(t, "dlq", "jobs"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "01JOB", "stopped", "40 replayed, 2 skipped, 1 dropped, their tasks have ended, 2 not sent", "01OLD", "3 moved to quarantine")

	ta = f.newOperator()
	if code := ta.play(t, "dlq", "jobs", "01JOB", "--max", "10"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), `filter            {"type":"noop"}`, "rate              12.5/s", "canary            5: 0 succeeded", "may arrive twice  1", "planned           100", "note              be careful",
		"  3  task_finished", "  38  succeeded", "   2  failed another way", "planned", "somebody �else",
		"01TASK    2  replayed  succeeded", "m2        0  skipped", "foreign", "go on with\n  spillway dlq replay --plan 01JOB")
	if diff := cmp.Diff(f.last("dlq.jobs"), adminRequest{Command: "dlq.jobs", JobID: "01JOB", Max: 10}); diff != "" {
		t.Errorf("request (-got +want):\n%s", diff)
	}
}

func TestResumeLine(t *testing.T) {
	t.Parallel()
	o := &operator{app: newTestApp(t).app}
	o.flags.stack = "other"
	for _, tt := range []struct {
		kind   adminapi.JobKind
		status adminapi.JobStatus
		want   string
	}{
		{"replay", adminapi.JobPlanned, "spillway dlq replay --plan 01J --stack other"},
		{"retry", adminapi.JobStalled, "spillway task retry --plan 01J --stack other"},
		{"retry", adminapi.JobRunning, ""},
		{"replay", adminapi.JobDone, ""},
		{"purge", adminapi.JobStopped, ""},
	} {
		if got := o.resumeLine(&adminapi.Job{JobID: "01J", Kind: tt.kind, Status: tt.status}); got != tt.want {
			t.Errorf("%s, %s: %q, want %q", tt.kind, tt.status, got, tt.want)
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.answer = func(r adminRequest) any { return fields{"ok": true, "job_id": r.JobID, "status": "stopping"} }
	ta := f.newOperator()
	if code := ta.play(t, "dlq", "stop", "01JOB"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "stopping", "spillway dlq jobs 01JOB")
}

// quarantine is a queue of 50 that is purged by two invocations.
func quarantine(f *fakeAdmin) {
	looks := map[string]int{} // of each job
	f.answer = func(r adminRequest) any {
		f.mu.Lock()
		defer f.mu.Unlock()
		j := adminapi.Job{JobID: r.JobID, Kind: "purge", Queue: "tasks", Status: adminapi.JobRunning, Counts: adminapi.Counts{Quarantined: 20}}
		if r.JobID == "01BACK" {
			j.Kind, j.Quarantined, j.Restored = "restore", 0, 20
		}
		switch r.Command {
		case "dlq.purge":
			if r.DryRun {
				return fields{"ok": true, "job_id": "01PURGE", "matched": 50, "quarantined": 0, "done": true}
			}
			return fields{"ok": true, "job_id": "01PURGE", "matched": 50, "quarantined": 20, "done": false, "restorable_until": ago(-336 * time.Hour)}
		case "dlq.restore":
			return fields{"ok": true, "job_id": "01BACK", "restored": 20, "done": false}
		default:
			if r.JobID == "" {
				return fields{"ok": true, "jobs": []adminapi.Job{}}
			}
			if looks[r.JobID]++; looks[r.JobID] == 3 {
				j.Status = adminapi.JobDone
				j.Quarantined, j.Restored = j.Quarantined/20*50, j.Restored/20*50
			}
			return fields{"ok": true, "job": j}
		}
	}
}

func TestPurgeAndRestore(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, typed string
		args        []string
		code        int
		sent        []string
		want        []string
	}{
		{"script", "", []string{"purge", "--confirm", "tasks", "--yes"}, exitOK, []string{"dlq.purge"}, []string{"purging 20", "50 moved to quarantine", "kept until", "spillway dlq restore 01PURGE"}},
		{"named", "tasks\n", []string{"purge"}, exitOK, []string{"dlq.purge dry", "dlq.purge"}, []string{"Take 50 messages out of the dead-letter queue of tasks? Type tasks to go ahead:"}},
		{"misnamed", "yes\n", []string{"purge"}, exitFailed, []string{"dlq.purge dry"}, []string{"nothing was changed"}},
		{"confirmed", "y\n", []string{"purge", "--confirm", "tasks"}, exitOK, []string{"dlq.purge dry", "dlq.purge"}, []string{"[y/N]"}},
		{"declined", "n\n", []string{"purge", "--confirm", "tasks"}, exitFailed, []string{"dlq.purge dry"}, []string{"nothing was changed"}},
		{"dry", "", []string{"purge", "--dry-run"}, exitOK, []string{"dlq.purge dry"}, []string{"50 messages matched"}},
		{"nobody there", "", []string{"purge", "--confirm", "tasks"}, exitUsage, []string{"dlq.purge dry"}, []string{"spillway dlq purge --confirm tasks --yes"}},
		{"json", "", []string{"purge", "--confirm", "tasks", "--yes", "-o", "json"}, exitOK, []string{"dlq.purge"}, []string{`"quarantined": 50`}},
		{"restore", "", []string{"restore", "01PURGE", "--yes"}, exitOK, []string{"dlq.restore"}, []string{"restoring 20", "50 restored"}},
		{"restore asks", "y\n", []string{"restore", "01PURGE"}, exitOK, []string{"dlq.restore"}, []string{"Put 20 messages back into the dead-letter queue of tasks?"}},
		{"restore declined", "n\n", []string{"restore", "01PURGE"}, exitFailed, nil, []string{"nothing was changed"}},
		{"restore of no purge", "y\n", []string{"restore", "01BACK"}, exitUsage, nil, []string{"only a purge can be restored"}},
		{"restore, nobody there", "", []string{"restore", "01PURGE"}, exitUsage, nil, []string{"spillway dlq restore 01PURGE --yes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAdmin(t)
			quarantine(f)
			ta := f.newOperator()
			if tt.typed != "" {
				ta = f.atTerminal(tt.typed)
			}
			if code := ta.play(t, append([]string{"dlq"}, tt.args...)...); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			if diff := cmp.Diff(f.sent(), tt.sent); diff != "" {
				t.Errorf("calls (-got +want):\n%s", diff)
			}
			mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want...)
		})
	}
}

// What becomes a dead letter while the question stands is none of the answer's.
func TestPurgeIsWhatWasShown(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	quarantine(f)
	ta := f.atTerminal("y\n")
	if code := ta.play(t, "dlq", "purge", "--confirm", "tasks", "--newer-than", "2h", "--max", "60"); code != exitOK {
		t.Fatalf("exit %d", code)
	}
	want := adminRequest{Command: "dlq.purge", By: fakeARN, Queue: "tasks", Confirm: "tasks", JobID: "01PURGE"}
	if diff := cmp.Diff(f.last("dlq.purge"), want); diff != "" {
		t.Errorf("purge (-got +want):\n%s", diff)
	}
}

// A stack that does not say which job its dry run was is asked for nothing else.
func TestPurgeOfOlderStack(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.answer = func(adminRequest) any { return fields{"ok": true, "matched": 3, "done": true} }
	ta := f.atTerminal("y\n")
	if code := ta.play(t, "dlq", "purge", "--confirm", "tasks", "--type", "noop"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	if diff := cmp.Diff(f.sent(), []string{"dlq.purge dry"}); diff != "" {
		t.Errorf("calls (-got +want):\n%s", diff)
	}
	mustContain(t, "stderr", ta.stderr.String(), "the stack is older than this program")
}

// The id of a purge that is under way is found among the jobs.
func TestPurgeIsStopped(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	ta := f.newOperator()
	looks, status := 0, adminapi.JobRunning
	f.answer = func(r adminRequest) any {
		if r.Command == "dlq.purge" {
			return noAnswer{never: true}
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		ours := adminapi.Job{JobID: "01PURGE", Kind: "purge", Queue: "tasks", Status: status, Counts: adminapi.Counts{Quarantined: 20}}
		switch {
		case r.Command == "dlq.stop":
			status = adminapi.JobStopped
			return fields{"ok": true, "status": "stopping"}
		case r.JobID == "":
			return fields{"ok": true, "jobs": []adminapi.Job{{JobID: "01A", Kind: "replay", Queue: "saga", Status: adminapi.JobRunning}, {JobID: "01B", Kind: "purge", Queue: "tasks", Status: adminapi.JobDone}, ours}}
		}
		if looks++; looks == 2 {
			ta.interrupt()
		}
		return fields{"ok": true, "job": ours}
	}
	if code := ta.play(t, "dlq", "purge", "--confirm", "tasks", "--yes"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	if got := f.last("dlq.stop").JobID; got != "01PURGE" {
		t.Errorf("stopped %q", got)
	}
	mustContain(t, "stdout", ta.stdout.String(), "purging 20")
	mustContain(t, "stderr", ta.stderr.String(), "stopped after 20 messages: 20 moved to quarantine. Go on with\n  spillway dlq purge --confirm tasks")
}

// What is not known to be a job's cannot be stopped.
func TestPurgeIsLeft(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	ta := f.newOperator()
	f.answer = func(r adminRequest) any {
		if r.Command == "dlq.purge" {
			ta.interrupt()
			return noAnswer{never: true}
		}
		return fields{"ok": true, "jobs": []adminapi.Job{}}
	}
	if code := ta.play(t, "dlq", "purge", "--confirm", "tasks", "--yes"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "the call that was made may go on", "spillway dlq jobs")
}

// A purge that stalls is not begun anew by itself: it would be another one.
func TestPurgeStalls(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.answer = func(r adminRequest) any {
		if r.Command == "dlq.purge" {
			return fields{"ok": true, "job_id": "01PURGE", "matched": 50, "quarantined": 20, "done": false}
		}
		return fields{"ok": true, "job": adminapi.Job{JobID: r.JobID, Kind: "purge", Status: adminapi.JobStalled, Counts: adminapi.Counts{Quarantined: 20}}}
	}
	ta := f.newOperator()
	if code := ta.play(t, "dlq", "purge", "--confirm", "tasks", "--yes"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "has stalled after 20 messages", "Go on with\n  spillway dlq purge --confirm tasks")
	if len(f.sent()) != 1 {
		t.Errorf("calls %v", f.sent())
	}
}
