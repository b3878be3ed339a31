package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/task"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	w := newWire(t, only(adminapi.DLQStatusAnswer{
		Queue: "saga", Name: "q", Depth: 41, InFlight: 2, Delayed: 1, OldestAge: "26h3m0s", Indexed: 40, Note: "of 41 messages, 40 have a task",
		Groups: []adminapi.Group{
			{
				Fingerprint: "ab", Type: "noop", Code: "boom", Message: strings.Repeat("long\x1b[2J ", 40), Count: 40, FirstSeen: task.At(before(26 * time.Hour)),
				LastSeen: task.At(before(5 * time.Minute)), MovedBy: adminapi.MovedByWorker, Sample: adminapi.Sample{TaskID: "01TASK", MessageID: "m1"},
			},
			{
				Count: 1, FirstSeen: task.At(before(time.Hour)), LastSeen: task.At(before(time.Hour)), MovedBy: adminapi.MovedBySQS,
				Sample: adminapi.Sample{MessageID: "m2"},
			},
		},
	}))
	ta := w.atTerminal("")
	if code := ta.play(t, "dlq", "groups", "--queue", "saga"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	out := ta.stdout.String()
	mustContain(t, "stdout", out, "saga: 41 messages, 2 in flight, 1 delayed, the oldest 26h03m old",
		"    40 × noop  boom: long\ufffd[2J", "first 26h00m ago, last 5m00s ago, for example 01TASK", "     1 × moved by sqs", "for example m2")
	mustContain(t, "stderr", ta.stderr.String(), "more than could be looked at", "40 have a task")
	for line := range strings.Lines(out) {
		if len([]rune(line)) > 71 {
			t.Errorf("wider than the screen: %q", line)
		}
	}
	w.wants("dlq.status", `,"queue":"saga"`)

	w.answer = only(refusedAs(adminapi.CodeUnknownQueue))
	for _, format := range []string{"table", "json"} {
		ta = w.newOperator()
		if code := ta.play(t, "dlq", "groups", "-o", format); code != exitFailed {
			t.Errorf("exit %d", code)
		}
		mustContain(t, "stderr", ta.stderr.String(), "the function says unknown_queue")
	}
	mustContain(t, "stdout", ta.stdout.String(), `"ok": false`)
}

// letters are two dead letters: one with all there is, one with nothing.
func letters() []adminapi.Letter {
	hourAgo := task.At(before(time.Hour))
	return []adminapi.Letter{
		{
			MessageID: "m1", TaskID: "01TASK", Type: "noop", Tenant: "t1", ReceiveCount: 3, SentAt: hourAgo, Age: "1h0m0s", MovedBy: adminapi.MovedByWorker,
			Origin: "backlog", Run: 2, Replays: 1,
			Error: adminapi.Failure{
				Code: "boom", Message: "it broke\nbadly", Retryable: true, Attempts: 5, FailedAt: hourAgo, Fingerprint: "abcd", Function: "worker", Version: "7",
				RequestID: "r1", TraceID: "1-2-3",
				History: []task.Attempt{{Attempt: 4, At: task.At(before(2 * time.Hour)), Code: "timeout"}, {Attempt: 5, At: hourAgo, Code: "boom"}},
			},
			Body: `{"v":1,"input":{"n":12345678901234567890}}`,
		},
		{MessageID: "m2", ReceiveCount: 6, SentAt: task.At(before(time.Minute)), Age: "1m0s", MovedBy: adminapi.MovedBySQS, Body: "no JSON \x1b[2J"},
	}
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	w := newWire(t, only(adminapi.DLQListAnswer{Queue: "tasks", Messages: letters(), Complete: true}))
	ta := w.newOperator()
	if code := ta.play(t, "dlq", "ls", "--type", "noop", "--max", "7"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	lines := strings.Split(ta.stdout.String(), "\n")
	mustContain(t, "first line", lines[1], "01TASK", "noop", "1h00m", "5", "boom: it broke badly")
	mustContain(t, "second line", lines[2], "m2", "1m00s", "-", "moved by sqs")
	w.wants("dlq.list", `,"queue":"tasks","filter":{"type":"noop"},"max":7`)

	ta = w.newOperator()
	if code := ta.play(t, "dlq", "show", "01TASK"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "message      m1", "tenant       t1", "origin       backlog", "error        boom: it broke badly",
		"4  1999-12-31 22:00", "timeout", "function     worker 7", "request      r1", "trace        1-2-3", "fingerprint  abcd", `"n": 12345678901234567890`,
		"message   m2", "SQS itself", "no JSON \ufffd[2J")
	w.wants("dlq.list", `,"queue":"tasks","filter":{"ids":["01TASK"]},"max":10`)
}

// The letters of the real function, as a person and as a script reads them.
func TestDeadLettersOfTheStack(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ta := c.newOperator()
		c.run(ta, exitOK, "dlq", "ls")
		mustContain(t, "stderr", ta.stderr.String(), "no messages")
		for _, format := range []string{"table", "json"} {
			ta = c.newOperator()
			c.run(ta, exitFailed, "dlq", "show", "01X", "-o", format)
			mustContain(t, "stderr", ta.stderr.String(), "there is no dead letter of tasks with this id", "spillway task get 01X")
		}

		ids := c.dead(3)
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "ls")
		mustContain(t, "stdout", ta.stdout.String(), ids[0], ids[2], "webhook.deliver", "http_503: hooks.example.com answered 503 Service Unavailable")
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "groups")
		mustContain(t, "stdout", ta.stdout.String(), "tasks: 3 messages", "     3 × webhook.deliver  http_503")
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "show", ids[1])
		mustContain(t, "stdout", ta.stdout.String(), "task         "+ids[1], "moved by     worker", "origin       spillway-tasks", `"url": "https://hooks.example.com/1"`)
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "show", ids[1], "-o", "json")
		page, err := adminapi.DLQList.Answer([]byte(ta.stdout.String()))
		if err != nil || len(page.Messages) != 1 || page.Messages[0].Error.Code != "http_503" {
			t.Errorf("answer %+v, %v", page, err)
		}
		if c.letters() != 3 {
			t.Errorf("%d letters are left", c.letters())
		}
	})
}

func TestDeadLettersOutOfSight(t *testing.T) {
	t.Parallel()
	ta := newWire(t, only(adminapi.DLQListAnswer{Queue: "tasks"})).newOperator()
	if code := ta.play(t, "dlq", "show", "01X"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "not all could be looked at")
}

func TestJobs(t *testing.T) {
	t.Parallel()
	hourAgo := task.At(before(time.Hour))
	entry := adminapi.Job{
		JobID: "01JOB", Kind: adminapi.KindReplay, Queue: "tasks", Status: adminapi.JobStopped, By: fakeARN, RequestID: "r1", CreatedAt: hourAgo, StartedAt: hourAgo,
		Filter: adminapi.Filter{Type: "noop"}, Rate: 12.5, Max: 500, Canary: &adminapi.Canary{Size: 5}, Planned: 100, Note: "be careful",
		Counts: adminapi.Counts{
			Replayed: 40, Skipped: 3, Dropped: 1, Failed: 2, AtLeastOnce: 1, Reasons: map[adminapi.Reason]int{adminapi.ReasonQueued: 3},
		},
		Outcomes: &adminapi.Outcomes{Succeeded: 38, FailedOther: 2},
		Events:   []adminapi.JobEvent{{At: hourAgo, What: "planned", By: fakeARN}, {At: task.At(before(time.Minute)), What: "stopped", By: "another \x1bone"}},
	}
	w := newWire(t, func(q asked) any {
		j := entry
		switch {
		case q.JobID == "":
			return adminapi.JobsAnswer{Jobs: []adminapi.Job{j, {
				JobID: "01OLD", Kind: adminapi.KindPurge, Queue: "saga", Status: adminapi.JobDone, CreatedAt: task.At(before(50 * time.Hour)),
				Counts: adminapi.Counts{Matched: 3, Quarantined: 3},
			}}}
		case q.Max > 0:
			j.Messages = []adminapi.JobMessage{
				{MessageID: "m1", TaskID: "01TASK", Run: 2, Outcome: adminapi.OutcomeReplayed, Became: "succeeded"},
				{MessageID: "m2", Outcome: adminapi.OutcomeSkipped, Reason: adminapi.ReasonOrigin},
			}
		}
		return adminapi.JobAnswer{Job: &j}
	})
	ta := w.newOperator()
	if code := ta.play(t, "dlq", "jobs"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "01JOB", "stopped", "40 replayed, 2 skipped, 1 dropped, their tasks have ended, 2 not sent", "01OLD", "3 moved to quarantine")

	ta = w.newOperator()
	if code := ta.play(t, "dlq", "jobs", "01JOB", "--max", "10"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), `filter            {"type":"noop"}`, "rate              12.5/s", "canary            5: 0 succeeded", "may arrive twice  1", "planned           100", "note              be careful",
		"  3  queued", "  38  succeeded", "   2  failed another way", "planned", "another \ufffdone",
		"01TASK    2  replayed  succeeded", "m2        0  skipped", "unknown_origin", "go on with\n  spillway dlq replay --plan 01JOB")
	w.wants("dlq.jobs", `,"job_id":"01JOB","max":10`)
}

// The audit trail of the real function.
func TestJobsOfTheStack(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ta := c.newOperator()
		c.run(ta, exitOK, "dlq", "jobs")
		mustContain(t, "stderr", ta.stderr.String(), "no jobs")
		ids := c.dead(2)
		c.run(c.newOperator(), exitOK, "dlq", "replay", "--yes", "--type", "webhook.deliver", "--rate", "5")
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "jobs")
		mustContain(t, "stdout", ta.stdout.String(), c.plan(), "replay  tasks  done", "2 replayed", fakeARN)
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "jobs", c.plan(), "--max", "10")
		mustContain(t, "stdout", ta.stdout.String(), "kind      replay", "status    done", `{"type":"webhook.deliver"}`, "rate      5/s", "planned   2", "2  succeeded", "executed", ids[0], ids[1], "replayed  succeeded")
		ta = c.newOperator()
		c.run(ta, exitFailed, "dlq", "jobs", "01LOST")
		mustContain(t, "stderr", ta.stderr.String(), "(not_found)")
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "stop", c.plan()) // harmless for one that has ended
		mustContain(t, "stdout", ta.stdout.String(), "done. See how far it came with\n  spillway dlq jobs "+c.plan())
	})
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

func TestPurgeAndRestore(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, typed string
		args        []string
		code        int
		sent        []string
		want        []string
		left        int // letters in the queue
	}{
		{"script", "", []string{"purge", "--confirm", "tasks", "--yes"}, exitOK, []string{"dlq.purge"}, []string{"5 moved to quarantine", "kept until", "spillway dlq restore PURGE"}, 0},
		{"named", "tasks\n", []string{"purge"}, exitOK, []string{"dlq.purge dry", "dlq.purge"}, []string{"Take 5 messages out of the dead-letter queue of tasks? Type tasks to go ahead:"}, 0},
		{"misnamed", "yes\n", []string{"purge"}, exitFailed, []string{"dlq.purge dry"}, []string{"nothing was changed"}, 5},
		{"confirmed", "y\n", []string{"purge", "--confirm", "tasks"}, exitOK, []string{"dlq.purge dry", "dlq.purge"}, []string{"[y/N]"}, 0},
		{"declined", "n\n", []string{"purge", "--confirm", "tasks"}, exitFailed, []string{"dlq.purge dry"}, []string{"nothing was changed"}, 5},
		{"dry", "", []string{"purge", "--dry-run"}, exitOK, []string{"dlq.purge dry"}, []string{"5 messages matched"}, 5},
		{"without a terminal", "", []string{"purge", "--confirm", "tasks"}, exitUsage, []string{"dlq.purge dry"}, []string{"spillway dlq purge --confirm tasks --yes"}, 5},
		{"json", "", []string{"purge", "--confirm", "tasks", "--yes", "-o", "json"}, exitOK, []string{"dlq.purge"}, []string{`"quarantined": 5`}, 0},
		{"restore", "", []string{"restore", "PURGE", "--yes"}, exitOK, []string{"dlq.restore"}, []string{"5 restored"}, 5},
		{"restore asks", "y\n", []string{"restore", "PURGE"}, exitOK, []string{"dlq.restore"}, []string{"Put 5 messages back into the dead-letter queue of tasks?"}, 5},
		{"restore declined", "n\n", []string{"restore", "PURGE"}, exitFailed, nil, []string{"nothing was changed"}, 0},
		{"restore of no purge", "y\n", []string{"restore", "PLAN"}, exitUsage, nil, []string{"is a replay, and only a purge can be restored"}, 5},
		{"restore without a terminal", "", []string{"restore", "PURGE"}, exitUsage, nil, []string{"spillway dlq restore PURGE --yes"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inCloud(t, func(c *cloud) {
				t := c.t
				c.dead(5)
				ids := strings.NewReplacer()
				switch line := strings.Join(tt.args, " "); {
				case strings.Contains(line, "restore PURGE"):
					c.run(c.newOperator(), exitOK, "dlq", "purge", "--confirm", "tasks", "--yes")
					ids = strings.NewReplacer("PURGE", c.job("dlq.purge"))
				case strings.Contains(line, "PLAN"):
					c.run(c.newOperator(), exitOK, "dlq", "replay", "--dry-run")
					ids = strings.NewReplacer("PLAN", c.plan())
				}
				c.payloads = nil
				ta := c.newOperator()
				if tt.typed != "" {
					ta = c.atTerminal(tt.typed)
				}
				args := []string{"dlq"}
				for _, arg := range tt.args {
					args = append(args, ids.Replace(arg))
				}
				c.run(ta, tt.code, args...)
				if diff := cmp.Diff(c.sent(), tt.sent); diff != "" {
					t.Errorf("calls (-got +want):\n%s", diff)
				}
				if strings.Contains(strings.Join(tt.want, ""), "restore PURGE") && tt.sent != nil {
					ids = strings.NewReplacer("PURGE", c.job("dlq.purge"))
				}
				for _, want := range tt.want {
					mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), ids.Replace(want))
				}
				if c.letters() != tt.left {
					t.Errorf("%d letters are left, want %d", c.letters(), tt.left)
				}
			})
		})
	}
}

// What becomes a dead letter while the question stands is none of the answer's.
func TestPurgeIsWhatWasShown(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(2)
		ta := c.atTerminal("")
		asked := false
		ta.in = struct {
			readerFunc
			*output
		}{func(b []byte) (int, error) {
			if asked {
				return 0, io.EOF
			}
			asked = true
			c.dead(1)
			return copy(b, "y\n"), nil
		}, &output{}}
		c.run(ta, exitOK, "dlq", "purge", "--confirm", "tasks", "--newer-than", "2h", "--max", "60")
		c.wants("dlq.purge", `,"queue":"tasks","confirm":"tasks","job_id":"`+c.job("dlq.purge")+`"`+byMe)
		mustContain(t, "stdout", ta.stdout.String(), "2 moved to quarantine")
		if c.letters() != 1 {
			t.Errorf("%d letters are left", c.letters())
		}
	})
}

// A stack that does not say which job its dry run was is asked for nothing else.
func TestPurgeOfOlderStack(t *testing.T) {
	t.Parallel()
	w := newWire(t, only(adminapi.PurgeAnswer{Matched: 3, Done: true}))
	ta := w.atTerminal("y\n")
	if code := ta.play(t, "dlq", "purge", "--confirm", "tasks", "--type", "noop"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	if diff := cmp.Diff(w.sent(), []string{"dlq.purge dry"}); diff != "" {
		t.Errorf("calls (-got +want):\n%s", diff)
	}
	mustContain(t, "stderr", ta.stderr.String(), "the stack is older than this program")
}

// The id of a purge that is under way is found among the jobs.
func TestPurgeIsStopped(t *testing.T) {
	t.Parallel()
	var ta *testApp
	looks, status := 0, adminapi.JobRunning
	w := newWire(t, func(q asked) any {
		ours := adminapi.Job{JobID: "01PURGE", Kind: adminapi.KindPurge, Queue: "tasks", Status: status, Counts: adminapi.Counts{Quarantined: 20}}
		switch {
		case q.Command == string(adminapi.DLQPurge):
			return noReply{never: true}
		case q.Command == string(adminapi.DLQStop):
			status = adminapi.JobStopped
			return adminapi.StopAnswer{JobID: q.JobID, Status: adminapi.JobStopping}
		case q.JobID == "":
			return adminapi.JobsAnswer{Jobs: []adminapi.Job{
				{JobID: "01A", Kind: adminapi.KindReplay, Queue: "saga", Status: adminapi.JobRunning},
				{JobID: "01B", Kind: adminapi.KindPurge, Queue: "tasks", Status: adminapi.JobDone},
				ours,
			}}
		}
		if looks++; looks == 2 {
			ta.interrupt()
		}
		return adminapi.JobAnswer{Job: &ours}
	})
	ta = w.newOperator()
	if code := ta.play(t, "dlq", "purge", "--confirm", "tasks", "--yes"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	w.wants("dlq.stop", `,"job_id":"01PURGE"`+byMe)
	mustContain(t, "stdout", ta.stdout.String(), "purging 20")
	mustContain(t, "stderr", ta.stderr.String(), "stopped after 20 messages: 20 moved to quarantine. Go on with\n  spillway dlq purge --confirm tasks")
}

// What is not known to be a job's cannot be stopped.
func TestPurgeIsLeft(t *testing.T) {
	t.Parallel()
	var ta *testApp
	w := newWire(t, func(q asked) any {
		if q.Command == string(adminapi.DLQPurge) {
			ta.interrupt()
			return noReply{never: true}
		}
		return adminapi.JobsAnswer{}
	})
	ta = w.newOperator()
	if code := ta.play(t, "dlq", "purge", "--confirm", "tasks", "--yes"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "the call that was made may go on", "spillway dlq jobs")
}

// A purge that stalls is not begun anew by itself: it would be another one.
func TestPurgeStalls(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(q asked) any {
		if q.Command == string(adminapi.DLQPurge) {
			return adminapi.PurgeAnswer{JobID: "01PURGE", Status: adminapi.JobRunning, Matched: 50, Quarantined: 20}
		}
		return adminapi.JobAnswer{Job: &adminapi.Job{JobID: q.JobID, Kind: adminapi.KindPurge, Status: adminapi.JobStalled, Counts: adminapi.Counts{Quarantined: 20}}}
	})
	ta := w.newOperator()
	if code := ta.play(t, "dlq", "purge", "--confirm", "tasks", "--yes"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "has stalled after 20 messages", "Go on with\n  spillway dlq purge --confirm tasks")
	if len(w.sent()) != 1 {
		t.Errorf("calls %v", w.sent())
	}
}
