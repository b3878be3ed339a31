package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
)

func TestReplay(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	ta := f.newOperator()
	code := ta.play(t, "dlq", "replay", "--yes", "--type", "noop", "--tenant", "t1", "--error-contains", "boom", "--older-than", "2h",
		"--newer-than", "48h", "--id", "a,b", "--id", "c", "--max", "500", "--rate", "12.5", "--canary", "5")
	if code != exitOK {
		t.Errorf("exit %d", code)
	}
	if diff := cmp.Diff(f.sent(), []string{"dlq.replay dry", "dlq.replay " + fakePlan}); diff != "" {
		t.Errorf("calls (-got +want):\n%s", diff)
	}
	want := adminRequest{
		Command: "dlq.replay", By: fakeARN, Queue: "tasks", DryRun: true, Max: 500, Rate: 12.5, Canary: 5,
		Filter: &adminapi.Filter{Type: "noop", Tenant: "t1", ErrorContains: "boom", OlderThan: "2h0m0s", NewerThan: "48h0m0s", IDs: []string{"a", "b", "c"}},
	}
	if diff := cmp.Diff(f.requests[0], want); diff != "" {
		t.Errorf("dry run (-got +want):\n%s", diff)
	}
	want = adminRequest{Command: "dlq.replay", By: fakeARN, Queue: "tasks", PlanID: fakePlan, Rate: 12.5, Canary: 5}
	if diff := cmp.Diff(f.last("dlq.replay"), want); diff != "" {
		t.Errorf("replay (-got +want):\n%s", diff)
	}
	mustContain(t, "stdout", ta.stdout.String(),
		"100 messages matched: 96 to be replayed, 4 to be skipped", "  96  to tasks", "   4  task_finished", "  100  noop  boom: it �[2Jbroke", "plan "+fakePlan,
		"replaying 40/96  41%", "replaying 96/96  100%", "96 messages in", "96 replayed", "1 message had no task in the table", "one note",
		"following", "  96  succeeded")
	if strings.Contains(ta.stdout.String(), "\x1b") {
		t.Error("an escape sequence reached the terminal")
	}
}

func TestReplayForScripts(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	ta := f.newOperator()
	if code := ta.play(t, "dlq", "replay", "--dry-run", "-o", "json"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	var p adminapi.Plan
	if err := json.Unmarshal([]byte(ta.stdout.String()), &p); err != nil || p.PlanID != fakePlan || len(f.sent()) != 1 {
		t.Errorf("plan %+v, %v, calls %v", p, err, f.sent())
	}
	ta = f.newOperator()
	if code := ta.play(t, "dlq", "replay", "--plan", p.PlanID, "--yes", "-o", "json"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	var done adminapi.JobAnswer
	if err := json.Unmarshal([]byte(ta.stdout.String()), &done); err != nil || done.Job.Status != adminapi.JobDone || done.Job.Outcomes.Succeeded != 96 {
		t.Errorf("answer %+v, %v", done.Job, err)
	}
	mustContain(t, "stderr", ta.stderr.String(), "replaying 96/96", "following")
}

func TestReplayDryRun(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	ta := f.newOperator()
	if code := ta.play(t, "dlq", "replay", "--dry-run", "--stack", "spillway", "--region", "eu-west-3"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "replay  01TASK", "to tasks", "the first 1 of 100", "spillway dlq replay --plan "+fakePlan+" --region eu-west-3")
	if diff := cmp.Diff(f.sent(), []string{"dlq.replay dry"}); diff != "" {
		t.Errorf("calls (-got +want):\n%s", diff)
	}

	f = newFakeAdmin(t)
	f.matched, f.skipped = 0, 0
	ta = f.newOperator()
	if code := ta.play(t, "dlq", "replay"); code != exitOK {
		t.Errorf("nothing matched: exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "nothing to do")
}

func TestReplayAsks(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]int{"y\n": exitOK, "Yes\r\n": exitOK, "n\n": exitFailed, "\n": exitFailed, "": exitFailed, "yo\n": exitFailed} {
		f := newFakeAdmin(t)
		ta := f.atTerminal(typed)
		if code := ta.play(t, "dlq", "replay", "--no-follow"); code != want {
			t.Errorf("%q: exit %d, want %d", typed, code, want)
		}
		mustContain(t, "stderr", ta.stderr.String(), "Replay 96 messages? [y/N]")
		if got := len(f.sent()); (got == 2) != (want == exitOK) {
			t.Errorf("%q: calls %v", typed, f.sent())
		}
	}

	f := newFakeAdmin(t)
	ta := f.newOperator()
	if code := ta.play(t, "dlq", "replay", "--rate", "5", "--no-follow", "--profile", "my own"); code != exitUsage {
		t.Errorf("no terminal: exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "nothing was changed", "spillway dlq replay --plan "+fakePlan+" --profile 'my own' --rate 5 --no-follow --yes")
	if diff := cmp.Diff(f.sent(), []string{"dlq.replay dry"}); diff != "" {
		t.Errorf("calls (-got +want):\n%s", diff)
	}
}

func TestReplayAskedIsInterrupted(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	ta := f.atTerminal("")
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	ta.in = struct {
		readerFunc
		*output
	}{func([]byte) (int, error) { ta.interrupt(); <-forever; return 0, context.Canceled }, &output{}}
	if code := ta.try(t, "", "dlq", "replay"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	if len(f.sent()) != 1 {
		t.Errorf("calls %v", f.sent())
	}
}

func TestReplayPaints(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.step = 10
	ta := f.atTerminal("y\n")
	if code := ta.play(t, "dlq", "replay"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "\x1b[2A", "replaying ", "█░", "  50/96  52%", "following █")
	for line := range strings.Lines(ta.stdout.String()) {
		if painted, ok := strings.CutPrefix(line, "\r\x1b[2K"); ok && len([]rune(painted)) > 71 {
			t.Errorf("wider than the screen: %q", painted)
		}
	}
}

func TestReplayIsStopped(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.step = 10
	ta := f.newOperator()
	f.looked = func(n int) {
		if n == 3 {
			ta.interrupt()
		}
	}
	if code := ta.play(t, "dlq", "replay", "--yes", "-o", "json"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	if diff := cmp.Diff(f.sent(), []string{"dlq.replay dry", "dlq.replay " + fakePlan, "dlq.stop"}); diff != "" {
		t.Errorf("calls (-got +want):\n%s", diff)
	}
	mustContain(t, "stderr", ta.stderr.String(), "Ctrl-C once more", "stopped after 30 of 96 messages: 30 replayed. Go on with\n  spillway dlq replay --plan "+fakePlan, "interrupted")
	mustContain(t, "stdout", ta.stdout.String(), `"status": "stopped"`)

	f.looked = nil // the command that was named goes on where it ended
	ta = f.newOperator()
	if code := ta.play(t, "dlq", "replay", "--plan", fakePlan, "--yes"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "96 replayed", "96  succeeded")
}

// Of a job that does not stop in time, the way to stop it is named.
func TestReplayDoesNotStop(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.deaf, f.step = true, 1
	ta := f.newOperator()
	f.looked = func(n int) {
		if n == 2 {
			ta.interrupt()
		}
	}
	f.answer = func(r adminRequest) any {
		if r.Command == "dlq.stop" {
			return refused("unavailable")
		}
		return nil
	}
	f.matched, f.skipped = 1_000_000, 0
	if code := ta.play(t, "dlq", "replay", "--yes"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "(unavailable)", "has not stopped yet", "spillway dlq stop "+fakePlan)
}

func TestReplayRunsOutOfTime(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.matched, f.step = 1_000_000, 1
	ta := f.newOperator()
	if code := ta.play(t, "dlq", "replay", "--yes", "--timeout", "500ms"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "stopping the job …", "Go on with", "--plan "+fakePlan, "gave up after 500ms")
	if strings.Contains(ta.stderr.String(), "Ctrl-C") {
		t.Error("nobody pressed Ctrl-C")
	}
}

func TestFollowIsInterrupted(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.endStep = 1
	ta := f.newOperator()
	f.answer = func(adminRequest) any {
		if strings.Contains(ta.stdout.String(), "following") {
			ta.interrupt()
		}
		return nil
	}
	if code := ta.play(t, "dlq", "replay", "--yes"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "all was sent", "spillway dlq jobs "+fakePlan)
	mustContain(t, "stdout", ta.stdout.String(), "not finished yet")
}

func TestReplayGoesOn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*fakeAdmin)
		code int
		want string // in all that was written
		runs int
	}{
		{"from hop to hop", func(f *fakeAdmin) { f.hop = true }, exitOK, "96  succeeded", 1},
		{"after its invocation died", func(f *fakeAdmin) { f.step, f.stalls = 10, []int{20, 50} }, exitOK, "the job has stalled, going on with it", 3},
		{"when the answer is lost", func(f *fakeAdmin) { f.lose = true }, exitOK, "looking at how far the job is", 1},
		{"not for ever", func(f *fakeAdmin) { f.step, f.stalls = 10, []int{20, 0, 0, 0, 0, 0, 0} }, exitFailed, "has stalled after 20 of 96 messages", 6},
		{"when looks fail", func(f *fakeAdmin) {
			n := 0
			f.answer = func(r adminRequest) any {
				f.mu.Lock()
				defer f.mu.Unlock()
				if n++; r.Command == "dlq.jobs" && n%2 == 0 {
					return refused("unavailable")
				}
				return nil
			}
		}, exitOK, "96  succeeded", 1},
		{"when a hop is faster than the repeat", func(f *fakeAdmin) {
			f.step, f.stalls = 10, []int{20}
			n := 0
			f.answer = func(r adminRequest) any {
				if r.Command != "dlq.replay" || r.DryRun {
					return nil
				}
				if n++; n == 1 {
					return nil
				}
				f.mu.Lock()
				defer f.mu.Unlock()
				f.job.Status = adminapi.JobRunning
				return refused("job_running")
			}
		}, exitOK, "96  succeeded", 2},
		{"when a call of the function's fails", func(f *fakeAdmin) {
			n := 0
			f.answer = func(r adminRequest) any {
				if r.Command == "dlq.replay" && !r.DryRun {
					if n++; n == 1 {
						return refused("unavailable")
					}
				}
				return nil
			}
		}, exitOK, "(unavailable)", 2},
		{"when Lambda fails before it begins", func(f *fakeAdmin) {
			n := 0
			f.answer = func(r adminRequest) any {
				if r.Command == "dlq.replay" && !r.DryRun {
					if n++; n == 1 {
						return noAnswer{status: 500, code: "ServiceException"}
					}
				}
				return nil
			}
		}, exitOK, "96  succeeded", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAdmin(t)
			tt.set(f)
			ta := f.newOperator()
			if code := ta.play(t, "dlq", "replay", "--yes", "--rate", "50", "--canary", "2"); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want)
			if got := len(f.sent()) - 1; got != tt.runs {
				t.Errorf("%d calls, want %d: %v", got, tt.runs, f.sent())
			}
			if tt.runs > 1 {
				want := adminRequest{Command: "dlq.replay", By: fakeARN, Queue: "tasks", PlanID: fakePlan}
				if diff := cmp.Diff(f.last("dlq.replay"), want); diff != "" {
					t.Errorf("going on (-got +want):\n%s", diff)
				}
			}
		})
	}
}

// A call whose answer never arrives keeps nobody waiting for a job that is done.
func TestReplayAnswerNeverComes(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.answer = func(r adminRequest) any {
		if r.Command == "dlq.replay" && !r.DryRun {
			f.mu.Lock()
			f.job.Status = adminapi.JobRunning
			f.mu.Unlock()
			return noAnswer{never: true}
		}
		return nil
	}
	ta := f.newOperator()
	if code := ta.play(t, "dlq", "replay", "--yes"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "96  succeeded")
}

func TestReplayVerdict(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*fakeAdmin)
		args []string
		code int
		want []string
	}{
		{"canary failed", func(f *fakeAdmin) { f.canaryDies = true }, nil, exitNotSucceed, []string{"of 5 tasks, 3 succeeded and 2 failed", "the canary failed: `spillway dlq groups` shows what with"}},
		{"not all sent", func(f *fakeAdmin) { f.unsent = 2 }, nil, exitFailed, []string{"2 not sent", "2 messages could not be sent", "spillway dlq jobs " + fakePlan + " --max 1000"}},
		{"failed again", func(f *fakeAdmin) { f.ends = adminapi.Outcomes{Succeeded: 90, FailedSame: 5, FailedOther: 1} }, nil, exitNotSucceed, []string{"5  failed the same way", "1  failed another way", "6 tasks did not succeed"}},
		{"expired", func(f *fakeAdmin) { f.ends = adminapi.Outcomes{Succeeded: 94, Expired: 1, Canceled: 1} }, nil, exitNotSucceed, []string{"1  canceled", "1  expired"}},
		{"gone", func(f *fakeAdmin) { f.ends = adminapi.Outcomes{Succeeded: 94, Gone: 2} }, nil, exitOK, []string{"2  without a task, or past its retention"}},
		{"not followed", func(f *fakeAdmin) { f.ends = adminapi.Outcomes{FailedSame: 96} }, []string{"--no-follow"}, exitOK, []string{"96 replayed"}},
		{"stopped by another", func(f *fakeAdmin) { f.looked = func(int) { f.job.Status = adminapi.JobStopped } }, nil, exitFailed, []string{"ended after 0 of 96 messages", "the job was stopped. Go on with"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAdmin(t)
			tt.set(f)
			ta := f.newOperator()
			if code := ta.play(t, append([]string{"dlq", "replay", "--yes"}, tt.args...)...); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want...)
		})
	}
}

func TestReplayRefused(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"plan_expired": "make a new plan", "plan_used": "spillway dlq jobs", "job_running": "one job at a time", "unsupported": "the fake says unsupported (unsupported)",
		"unknown_field": "older than this program", "not_found": "the fake says not_found",
	} {
		f := newFakeAdmin(t)
		f.answer = func(r adminRequest) any {
			if r.PlanID != "" {
				return refused(code)
			}
			return nil
		}
		ta := f.newOperator()
		if exit := ta.play(t, "dlq", "replay", "--yes", "-o", "json"); exit != exitFailed {
			t.Errorf("%s: exit %d", code, exit)
		}
		mustContain(t, "stderr", ta.stderr.String(), want)
		mustContain(t, "stdout", ta.stdout.String(), `"code": "`+code+`"`)
		if len(f.sent()) != 2 {
			t.Errorf("%s: calls %v", code, f.sent())
		}
	}
}

// Letters whose tasks have ended only leave the queue.
func TestReplayDrops(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.answer = func(r adminRequest) any {
		if r.DryRun {
			return fields{"ok": true, "plan_id": fakePlan, "matched": 5, "replay": 0, "skip": 5, "drop": 3, "reasons": fields{"task_succeeded": 3, "too_many_replays": 2}, "done": true}
		}
		return fields{"ok": true, "job": adminapi.Job{JobID: fakePlan, Kind: "replay", Status: adminapi.JobDone, Counts: adminapi.Counts{Skipped: 3, Dropped: 3}}}
	}
	ta := f.atTerminal("y\n")
	if code := ta.play(t, "dlq", "replay"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "Drop 3 messages?")
	mustContain(t, "stdout", ta.stdout.String(), "0 to be replayed, 3 to be dropped, since their tasks have ended, 2 to be skipped", "3 messages in", ": 3 dropped, their tasks have ended")
}

func TestReplayPlan(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.job = &adminapi.Job{JobID: fakePlan, Kind: "replay", Queue: "saga", Status: adminapi.JobPlanned, Planned: 100}
	ta := f.atTerminal("y\n")
	if code := ta.play(t, "dlq", "replay", "--plan", fakePlan, "--rate", "7"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "Carry out the plan for 100 messages?")
	want := adminRequest{Command: "dlq.replay", By: fakeARN, Queue: "saga", PlanID: fakePlan, Rate: 7}
	if diff := cmp.Diff(f.last("dlq.replay"), want); diff != "" {
		t.Errorf("replay (-got +want):\n%s", diff)
	}

	ta = f.newOperator()
	if code := ta.play(t, "dlq", "replay", "--plan", fakePlan, "--yes"); code != exitOK || len(f.sent()) != 1 {
		t.Errorf("carried out twice: exit %d, calls %v", code, f.sent())
	}
	mustContain(t, "stderr", ta.stderr.String(), "carried out already")

	ta = f.newOperator()
	if code := ta.play(t, "task", "retry", "--plan", fakePlan, "--yes"); code != exitUsage {
		t.Errorf("of another kind: exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "is a replay, no retry")

	ta = f.newOperator()
	if code := ta.play(t, "dlq", "replay", "--plan", "01LOST", "--yes"); code != exitFailed {
		t.Errorf("lost: exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "(not_found)")
}

func TestReplayNative(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.answer = func(r adminRequest) any {
		if r.Command == "dlq.status" {
			return fields{"ok": true, "queue": "tasks", "depth": 7, "complete": true}
		}
		return fields{"ok": true, "native": true, "task_handle": "h1", "done": false}
	}
	ta := f.atTerminal("y\n")
	if code := ta.play(t, "dlq", "replay", "--native", "--rate", "100"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "Let SQS move all of about 7 messages of tasks?")
	mustContain(t, "stdout", ta.stdout.String(), "task h1", "spillway dlq groups")
	want := adminRequest{Command: "dlq.replay", By: fakeARN, Queue: "tasks", Rate: 100, Native: true}
	if diff := cmp.Diff(f.last("dlq.replay"), want); diff != "" {
		t.Errorf("replay (-got +want):\n%s", diff)
	}
	ta = f.newOperator()
	if code := ta.play(t, "dlq", "replay", "--native", "--queue", "saga"); code != exitUsage {
		t.Errorf("no terminal: exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "spillway dlq replay --queue saga --native --yes")
}
