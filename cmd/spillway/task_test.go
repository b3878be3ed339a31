package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// oneTaskOnly is an admin function that knows one task, which ends as end at
// the third look after a retry.
func oneTaskOnly(f *fakeAdmin, end string) {
	status, run, looks := "dead_lettered", 1, 0
	f.answer = func(r adminRequest) any {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case r.ID == "":
			return nil
		case r.ID != "01TASK":
			return refused("not_found")
		case r.Command == "task.retry":
			status, run = "queued", 2
		case r.Command == "task.cancel":
			status = "canceled"
		case run == 2:
			if looks++; looks == 3 {
				status = end
			}
		}
		return fields{"ok": true, "job_id": "01JOB", "task": fields{
			"id": "01TASK", "type": "noop", "status": status, "tenant": "t1", "run": run, "replays": run - 1, "attempts": 5, "created_at": ago(0),
			"failure": fields{"code": "boom", "message": "it broke", "attempts": 5, "request_id": "r1"},
		}}
	}
}

func TestTask(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, typed string
		args        []string
		end         string
		code        int
		sent        []string
		want        []string
	}{
		{"get", "", []string{"get", "01TASK"}, "", exitOK, []string{"task.get"}, []string{"status    dead_lettered", "tenant    t1", "run       1", "error     boom: it broke", "request   r1"}},
		{"get json", "", []string{"get", "01TASK", "-o", "json"}, "", exitOK, []string{"task.get"}, []string{`"status": "dead_lettered"`}},
		{"get lost", "", []string{"get", "01LOST"}, "", exitFailed, []string{"task.get"}, []string{"(not_found)"}},
		{"cancel", "y\n", []string{"cancel", "01TASK"}, "", exitOK, []string{"task.get", "task.cancel"}, []string{"Cancel task 01TASK (noop, dead_lettered, of tenant t1)?", "status    canceled"}},
		{"cancel declined", "\n", []string{"cancel", "01TASK"}, "", exitFailed, []string{"task.get"}, []string{"nothing was changed"}},
		{"cancel by script", "", []string{"cancel", "01TASK", "--yes"}, "", exitOK, []string{"task.cancel"}, []string{"canceled"}},
		{"cancel, nobody there", "", []string{"cancel", "01TASK"}, "", exitUsage, []string{"task.get"}, []string{"spillway task cancel 01TASK --yes"}},
		{"retry", "y\n", []string{"retry", "01TASK"}, "succeeded", exitOK, []string{"task.get", "task.retry", "task.get", "task.get", "task.get"}, []string{"Run task 01TASK (noop, dead_lettered, of tenant t1) again?", "status    succeeded", "run       2"}},
		{"retry fails", "", []string{"retry", "01TASK", "--yes"}, "failed", exitNotSucceed, []string{"task.retry", "task.get", "task.get", "task.get"}, []string{"the task ended as failed"}},
		{"retry unfollowed", "", []string{"retry", "01TASK", "--yes", "--no-follow"}, "failed", exitOK, []string{"task.retry"}, []string{"status    queued"}},
		{"retry json", "", []string{"retry", "01TASK", "--yes", "-o", "json"}, "succeeded", exitOK, []string{"task.retry", "task.get", "task.get", "task.get"}, []string{`"status": "succeeded"`}},
		{"retry lost", "", []string{"retry", "01LOST", "--yes"}, "", exitFailed, []string{"task.retry"}, []string{"(not_found)"}},
		{"retry, nobody there", "", []string{"retry", "01TASK", "--no-follow"}, "", exitUsage, []string{"task.get"}, []string{"spillway task retry 01TASK --no-follow --yes"}},
		{"retry by filter", "", []string{"retry", "--status", "failed", "--newer-than", "2h", "--rate", "5", "--yes"}, "", exitOK, []string{"task.retry dry", "task.retry " + fakePlan}, []string{"96 to be replayed", "96  succeeded"}},
		{"retry dry", "", []string{"retry", "01TASK", "--dry-run"}, "", exitOK, []string{"task.retry dry"}, []string{"spillway task retry --plan " + fakePlan}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAdmin(t)
			oneTaskOnly(f, tt.end)
			ta := f.newOperator()
			if tt.typed != "" {
				ta = f.atTerminal(tt.typed)
			}
			if code := ta.play(t, append([]string{"task"}, tt.args...)...); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			if diff := cmp.Diff(f.sent(), tt.sent); diff != "" {
				t.Errorf("calls (-got +want):\n%s", diff)
			}
			mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want...)
		})
	}
}

func TestRetryFilter(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	ta := f.newOperator()
	if code := ta.play(t, "task", "retry", "--status", "failed", "--rate", "5", "--max", "9", "--dry-run"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	want := adminRequest{Command: "task.retry", By: fakeARN, Filter: &adminapi.Filter{Status: "failed"}, Rate: 5, Max: 9, DryRun: true}
	if diff := cmp.Diff(f.requests[0], want); diff != "" {
		t.Errorf("dry run (-got +want):\n%s", diff)
	}
	ta = f.newOperator()
	if code := ta.play(t, "task", "retry", "--plan", fakePlan, "--yes"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	want = adminRequest{Command: "task.retry", By: fakeARN, PlanID: fakePlan}
	if diff := cmp.Diff(f.last("task.retry"), want); diff != "" {
		t.Errorf("retry (-got +want):\n%s", diff)
	}
}

func TestRetryIsInterrupted(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	oneTaskOnly(f, "succeeded")
	answer, looks := f.answer, 0
	ta := f.newOperator()
	f.answer = func(r adminRequest) any {
		if r.Command == "task.get" {
			if looks++; looks == 2 {
				ta.interrupt()
			}
		}
		return answer(r)
	}
	if code := ta.play(t, "task", "retry", "01TASK", "--yes", "-o", "json"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	var last adminapi.TaskAnswer
	if err := json.Unmarshal([]byte(ta.stdout.String()), &last); err != nil || last.Task.Status != "queued" {
		t.Errorf("task %+v, %v", last.Task, err)
	}
}
