package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/client"
	"github.com/spillway-go/spillway/pkg/task"
)

func TestTask(t *testing.T) {
	t.Parallel()
	const about = "task $ID (webhook.deliver, dead_lettered, of tenant " + cloudTenant + ")"
	tests := []struct {
		name, typed string
		args        []string
		hook        int // what the receiver answers after the dead letter
		code        int
		sent        []string // without repetitions
		want        []string
	}{
		{"get", "", []string{"get", "$ID"}, 200, exitOK, []string{"task.get"}, []string{"status    dead_lettered", "tenant    " + cloudTenant, "run          1", "error        http_503: hooks.example.com", "fingerprint  "}},
		{"get json", "", []string{"get", "$ID", "-o", "json"}, 200, exitOK, []string{"task.get"}, []string{`"status": "dead_lettered"`}},
		{"get lost", "", []string{"get", "01LOST"}, 200, exitFailed, []string{"task.get"}, []string{"(not_found)"}},
		{"cancel", "y\n", []string{"cancel", "$ID"}, 200, exitOK, []string{"task.get", "task.cancel"}, []string{"Cancel " + about + "?", "status    canceled"}},
		{"cancel declined", "\n", []string{"cancel", "$ID"}, 200, exitFailed, []string{"task.get"}, []string{"nothing was changed"}},
		{"cancel by script", "", []string{"cancel", "$ID", "--yes"}, 200, exitOK, []string{"task.cancel"}, []string{"canceled"}},
		{"cancel without a terminal", "", []string{"cancel", "$ID"}, 200, exitUsage, []string{"task.get"}, []string{"spillway task cancel $ID --yes"}},
		{"retry", "y\n", []string{"retry", "$ID"}, 200, exitOK, []string{"task.get", "task.retry", "task.get"}, []string{"Run " + about + " again?", "status    succeeded", "run      2", "replays  1"}},
		{"retry fails", "", []string{"retry", "$ID", "--yes"}, 410, exitNotSucceed, []string{"task.retry", "task.get"}, []string{"the task ended as failed"}},
		{"retry unfollowed", "", []string{"retry", "$ID", "--yes", "--no-follow"}, 410, exitOK, []string{"task.retry"}, []string{"status    queued"}},
		{"retry json", "", []string{"retry", "$ID", "--yes", "-o", "json"}, 200, exitOK, []string{"task.retry", "task.get"}, []string{`"status": "succeeded"`}},
		{"retry lost", "", []string{"retry", "01LOST", "--yes"}, 200, exitFailed, []string{"task.retry"}, []string{"(not_found)"}},
		{"retry without a terminal", "", []string{"retry", "$ID", "--no-follow"}, 200, exitUsage, []string{"task.get"}, []string{"spillway task retry $ID --no-follow --yes"}},
		{"retry by filter", "", []string{"retry", "--status", "dead_lettered", "--newer-than", "2h", "--rate", "5", "--yes"}, 200, exitOK, []string{"task.retry dry", "task.retry plan"}, []string{"1 to be replayed", "1  succeeded"}},
		{"retry dry", "", []string{"retry", "$ID", "--dry-run"}, 200, exitOK, []string{"task.retry dry"}, []string{"spillway task retry --plan "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inCloud(t, func(c *cloud) {
				t := c.t
				id := c.dead(1)[0]
				c.hook(tt.hook, "/0")
				ta := c.newOperator()
				if tt.typed != "" {
					ta = c.atTerminal(tt.typed)
				}
				args := []string{"task"}
				for _, arg := range tt.args {
					args = append(args, strings.Replace(arg, "$ID", id, 1))
				}
				c.run(ta, tt.code, args...)
				var sent []string
				for _, name := range c.sent() {
					if len(sent) == 0 || sent[len(sent)-1] != name {
						sent = append(sent, name)
					}
				}
				if diff := cmp.Diff(sent, tt.sent); diff != "" {
					t.Errorf("calls (-got +want):\n%s", diff)
				}
				for _, want := range tt.want {
					mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), strings.Replace(want, "$ID", id, 1))
				}
			})
		})
	}
}

func TestRetryFilter(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.hook(http.StatusGone, "/gone")
		c.deliver(client.Failed, "/gone")
		c.hook(http.StatusOK, "/gone")
		c.run(c.newOperator(), exitOK, "task", "retry", "--status", "failed", "--rate", "5", "--max", "9", "--dry-run")
		c.wants("task.retry", `,"filter":{"status":"failed"},"max":9,"rate":5,"dry_run":true`+byMe)
		plan := c.plan()
		ta := c.newOperator()
		c.run(ta, exitOK, "task", "retry", "--plan", plan, "--yes")
		c.wants("task.retry", `,"plan_id":"`+plan+`"`+byMe)
		mustContain(t, "stdout", ta.stdout.String(), "1 message in", "1  succeeded")
	})
}

func TestRetryIsInterrupted(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		id := c.dead(1)[0]
		c.stack.Pause("WorkerFunction.Tasks")
		looks := 0
		ta := c.newOperator()
		c.answer = func(q asked) any {
			if q.Command == string(adminapi.TaskGet) {
				if looks++; looks == 2 {
					ta.interrupt()
				}
			}
			return nil
		}
		c.run(ta, exitInterrupted, "task", "retry", id, "--yes", "-o", "json")
		last, err := adminapi.TaskGet.Answer([]byte(ta.stdout.String()))
		if err != nil || last.Task.Status != task.Queued {
			t.Errorf("task %+v, %v", last, err)
		}
	})
}
