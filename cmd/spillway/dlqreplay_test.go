package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/memstack"
)

func TestReplay(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ids := c.dead(4)
		ta := c.newOperator()
		c.run(ta, exitOK, "dlq", "replay", "--yes", "--type", "webhook.deliver", "--tenant", cloudTenant, "--error-contains", "503", "--older-than", "1ms",
			"--newer-than", "48h", "--id", ids[0]+","+ids[1], "--id", ids[2], "--id", ids[3], "--max", "500", "--rate", "0.5", "--canary", "1")
		if diff := cmp.Diff(c.sent(), []string{"dlq.replay dry", "dlq.replay plan"}); diff != "" {
			t.Errorf("calls (-got +want):\n%s", diff)
		}
		filter, _ := json.Marshal(ids)
		if want := `{"command":"dlq.replay","queue":"tasks","filter":{"type":"webhook.deliver","tenant":"` + cloudTenant + `","error_contains":"503","older_than":"1ms",` +
			`"newer_than":"48h0m0s","ids":` + string(filter) + `},"max":500,"rate":0.5,"dry_run":true,"canary":1` + byMe + `}`; c.payloads[0] != want {
			t.Errorf("dry run %s, want %s", c.payloads[0], want)
		}
		c.wants("dlq.replay", `,"queue":"tasks","rate":0.5,"plan_id":"`+c.plan()+`","canary":1`+byMe)
		mustContain(t, "stdout", ta.stdout.String(),
			"4 messages matched: 4 to be replayed\n", "  4  to spillway-tasks", "    4  webhook.deliver  http_503: hooks.example.com answered 503",
			"plan "+c.plan(), "replaying 4/4  100%", "4 messages in", ": 4 replayed\n", "the tasks:\n", "  4  succeeded")
		if c.letters() != 0 {
			t.Errorf("%d letters are left", c.letters())
		}
	})
}

func TestReplayForScripts(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(3)
		ta := c.newOperator()
		c.run(ta, exitOK, "dlq", "replay", "--dry-run", "-o", "json")
		p, err := adminapi.DLQPlan.Answer([]byte(ta.stdout.String()))
		if err != nil || p.Matched != 3 || len(c.sent()) != 1 {
			t.Fatalf("plan %+v, %v, calls %v", p, err, c.sent())
		}
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "replay", "--plan", p.PlanID, "--rate", "1", "--yes", "-o", "json")
		done, err := adminapi.DLQJob.Answer([]byte(ta.stdout.String()))
		if err != nil || done.Job.Status != adminapi.JobDone || done.Job.Outcomes.Succeeded != 3 {
			t.Errorf("answer %+v, %v", done, err)
		}
		mustContain(t, "stderr", ta.stderr.String(), "replaying 3/3")
	})
}

func TestReplayDryRun(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ta := c.newOperator()
		c.run(ta, exitOK, "dlq", "replay")
		mustContain(t, "stderr", ta.stderr.String(), "nothing to do")

		c.dead(101)
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "replay", "--dry-run", "--stack", "spillway", "--region", "eu-west-3")
		mustContain(t, "stdout", ta.stdout.String(), "replay  0", "to spillway-tasks", "the first 100 of 101", "spillway dlq replay --plan "+c.plan()+" --region eu-west-3")
		if diff := cmp.Diff(c.sent(), []string{"dlq.replay dry", "dlq.replay dry"}); diff != "" {
			t.Errorf("calls (-got +want):\n%s", diff)
		}
	})
}

func TestReplayAsks(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(2)
		for _, typed := range []string{"n\n", "\n", "", "yo\n"} {
			ta := c.atTerminal(typed)
			c.run(ta, exitFailed, "dlq", "replay", "--no-follow")
			mustContain(t, "stderr", ta.stderr.String(), "Replay 2 messages? [y/N]")
		}
		ta := c.newOperator()
		c.run(ta, exitUsage, "dlq", "replay", "--rate", "5", "--no-follow", "--profile", "my own")
		mustContain(t, "stderr", ta.stderr.String(), "nothing was changed", "spillway dlq replay --plan "+c.plan()+" --profile 'my own' --rate 5 --no-follow --yes")
		if c.letters() != 2 {
			t.Errorf("%d letters are left", c.letters())
		}
		c.run(c.atTerminal("y\n"), exitOK, "dlq", "replay", "--no-follow", "--max", "1")
		c.run(c.atTerminal("Yes\r\n"), exitOK, "dlq", "replay", "--no-follow")
		if c.letters() != 0 {
			t.Errorf("%d letters are left", c.letters())
		}
	})
}

func TestReplayAskedIsInterrupted(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(q asked) any { return adminapi.Plan{PlanID: "01PLAN", Matched: 2, Replay: 2} })
	ta := w.atTerminal("")
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	ta.in = struct {
		readerFunc
		*output
	}{func([]byte) (int, error) { ta.interrupt(); <-forever; return 0, context.Canceled }, &output{}}
	if code := ta.try(t, "", "dlq", "replay"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	if len(w.sent()) != 1 {
		t.Errorf("calls %v", w.sent())
	}
}

func TestReplayPaints(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(8)
		ta := c.atTerminal("y\n")
		c.run(ta, exitOK, "dlq", "replay", "--rate", "1")
		mustContain(t, "stdout", ta.stdout.String(), "\x1b[2A", "replaying ", "█░", "/8  ", "8/8  100%")
		for line := range strings.Lines(ta.stdout.String()) {
			if painted, ok := strings.CutPrefix(line, "\r\x1b[2K"); ok && len([]rune(painted)) > 71 {
				t.Errorf("wider than the screen: %q", painted)
			}
		}
	})
}

// after returns an answer that does something at the nth look at a job.
func after(n int, do func()) func(asked) any {
	looks := 0
	return func(q asked) any {
		if q.Command == string(adminapi.DLQJobs) {
			if looks++; looks == n {
				do()
			}
		}
		return nil
	}
}

func TestReplayIsStopped(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(9)
		ta := c.newOperator()
		c.answer = after(4, func() { ta.interrupt() })
		c.run(ta, exitInterrupted, "dlq", "replay", "--yes", "--rate", "1", "-o", "json")
		if diff := cmp.Diff(c.sent(), []string{"dlq.replay dry", "dlq.replay plan", "dlq.stop"}); diff != "" {
			t.Errorf("calls (-got +want):\n%s", diff)
		}
		mustContain(t, "stderr", ta.stderr.String(), "Ctrl-C once more", "stopped after ", " of 9 messages: ", " replayed. Go on with\n  spillway dlq replay --plan "+c.plan(), "interrupted")
		mustContain(t, "stdout", ta.stdout.String(), `"status": "stopped"`)
		if left := c.letters(); left == 0 || left == 9 {
			t.Errorf("%d letters are left", left)
		}

		c.answer = nil // the command that was named goes on where it ended
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "replay", "--plan", c.plan(), "--yes")
		mustContain(t, "stdout", ta.stdout.String(), "9 replayed", "9  succeeded")
	})
}

// Of a job that does not stop in time, the way to stop it is named.
func TestReplayDoesNotStop(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(30)
		ta := c.newOperator()
		interrupts := after(2, func() { ta.interrupt() })
		c.answer = func(q asked) any {
			if q.Command == string(adminapi.DLQStop) {
				return refusedAs(adminapi.CodeUnavailable)
			}
			return interrupts(q)
		}
		c.run(ta, exitInterrupted, "dlq", "replay", "--yes", "--rate", "0.5")
		mustContain(t, "stderr", ta.stderr.String(), "(unavailable)", "has not stopped yet", "spillway dlq stop "+c.plan())
	})
}

func TestReplayRunsOutOfTime(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(9)
		ta := c.newOperator()
		c.run(ta, exitFailed, "dlq", "replay", "--yes", "--rate", "1", "--timeout", "3s")
		mustContain(t, "stderr", ta.stderr.String(), "stopping the job …", "Go on with", "--plan "+c.plan(), "gave up after 3s")
		if strings.Contains(ta.stderr.String(), "Ctrl-C") {
			t.Error("Ctrl-C was not pressed")
		}
	})
}

func TestFollowIsInterrupted(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(2)
		c.stack.Pause("WorkerFunction.Tasks")
		ta := c.newOperator()
		c.answer = func(asked) any {
			if strings.Contains(ta.stdout.String(), "following") {
				ta.interrupt()
			}
			return nil
		}
		c.run(ta, exitInterrupted, "dlq", "replay", "--yes")
		mustContain(t, "stderr", ta.stderr.String(), "all was sent", "spillway dlq jobs "+c.plan())
		mustContain(t, "stdout", ta.stdout.String(), "not finished yet")
	})
}

// once answers the first call that executes a plan.
func once(answer func() any) func(asked) any {
	calls := 0
	return func(q asked) any {
		if q.PlanID != "" {
			if calls++; calls == 1 {
				return answer()
			}
		}
		return nil
	}
}

func TestReplayGoesOn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*cloud)
		rate string
		code int
		want string // in all that was written
		runs int
	}{
		{"from hop to hop", func(*cloud) {}, "0.01", exitOK, "6  succeeded", 1},
		{"after its invocation died", func(c *cloud) { c.stack.Kill(3, true, replays) }, "1", exitOK, "the job has stalled, going on with it", 2},
		{"when the answer is lost", func(c *cloud) { c.answer = once(func() any { return noReply{lost: true} }) }, "1", exitOK, "6  succeeded", 1},
		{"not for ever", func(c *cloud) {
			c.stack.Inject(func(call memstack.Call) memstack.Fault { return memstack.Fault{Kill: replays(call)} })
		}, "1", exitFailed, "has stalled after 0 of 6 messages", 6},
		{"when looks fail", func(c *cloud) {
			n := 0
			c.answer = func(q asked) any {
				if n++; q.Command == string(adminapi.DLQJobs) && n%2 == 0 {
					return refusedAs(adminapi.CodeUnavailable)
				}
				return nil
			}
		}, "1", exitOK, "6  succeeded", 1},
		{"when another is faster than the repeat", func(c *cloud) {
			c.stack.Kill(3, true, replays)
			calls := 0
			c.answer = func(q asked) any {
				if q.PlanID != "" {
					if calls++; calls == 2 {
						c.background(`{"command":"dlq.replay","queue":"tasks","plan_id":"` + q.PlanID + `"}`)
						return refusedAs(adminapi.CodeJobRunning)
					}
				}
				return nil
			}
		}, "1", exitOK, "6  succeeded", 2},
		{"when a call of the function's fails", func(c *cloud) { c.answer = once(func() any { return refusedAs(adminapi.CodeUnavailable) }) }, "1", exitOK, "(unavailable)", 2},
		{"when Lambda fails before it begins", func(c *cloud) {
			c.answer = once(func() any { return noReply{status: 500, code: "ServiceException"} })
		}, "1", exitOK, "6  succeeded", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inCloud(t, func(c *cloud) {
				t := c.t
				c.dead(6)
				tt.set(c)
				ta := c.newOperator()
				c.run(ta, tt.code, "dlq", "replay", "--yes", "--rate", tt.rate, "--canary", "2")
				mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want)
				if got := len(c.sent()) - 1; got != tt.runs {
					t.Errorf("%d calls, want %d: %v", got, tt.runs, c.sent())
				}
				if tt.runs > 1 { // rate and canary are the job's
					c.wants("dlq.replay", `,"queue":"tasks","plan_id":"`+c.plan()+`"`+byMe)
				}
			})
		})
	}
}

// A call whose answer never arrives does not keep the command waiting for a job
// that is done.
func TestReplayAnswerNeverComes(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(2)
		c.answer = func(q asked) any {
			if q.PlanID == "" {
				return nil
			}
			c.background(`{"command":"dlq.replay","plan_id":"` + q.PlanID + `"}`)
			return noReply{never: true}
		}
		ta := c.newOperator()
		c.run(ta, exitOK, "dlq", "replay", "--yes")
		mustContain(t, "stdout", ta.stdout.String(), "2  succeeded")
	})
}

func TestReplayVerdict(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*cloud)
		args []string
		code int
		want []string
	}{
		{
			"canary failed", func(c *cloud) { c.hook(http.StatusServiceUnavailable, "/0", "/1", "/2") },
			[]string{"--canary", "2"},
			exitNotSucceed,
			[]string{"of 2 tasks, 0 succeeded and 2 failed; the rest was not sent", "the canary failed: `spillway dlq groups` shows what with"},
		},
		{
			"failed again", func(c *cloud) { c.hook(http.StatusServiceUnavailable, "/0"); c.hook(http.StatusGone, "/1") },
			nil, exitNotSucceed,
			[]string{"1  succeeded", "1  failed the same way", "1  failed another way", "2 tasks did not succeed. See which with\n  spillway dlq jobs "},
		},
		{"not followed", func(c *cloud) { c.hook(http.StatusServiceUnavailable, "/0") }, []string{"--no-follow"}, exitOK, []string{"3 replayed"}},
		{"stopped by another", func(c *cloud) {
			c.answer = after(1, func() { c.background(`{"command":"dlq.stop","job_id":"` + c.plan() + `"}`) })
		}, []string{"--rate", "0.2"}, exitFailed, []string{"ended after ", " of 3 messages", "the job was stopped. Go on with"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inCloud(t, func(c *cloud) {
				t := c.t
				c.dead(3)
				tt.set(c)
				ta := c.newOperator()
				c.run(ta, tt.code, append([]string{"dlq", "replay", "--yes"}, tt.args...)...)
				mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want...)
				if strings.Contains(ta.stderr.String(), "canary failed") && strings.Contains(ta.stderr.String(), "Go on with") {
					t.Error("a job whose canary failed has ended")
				}
			})
		})
	}
}

// Ends of jobs and tasks that take more than a stack in memory does by itself.
func TestReplayReports(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		job  adminapi.Job
		code int
		want []string
	}{
		{
			"not all sent",
			adminapi.Job{Counts: adminapi.Counts{Replayed: 94, Failed: 2, AtLeastOnce: 1, Reasons: map[adminapi.Reason]int{"refused": 2}}, Note: "be\x1b[2J careful"},
			exitFailed,
			[]string{"94 replayed, 2 not sent", "  2  refused", "1 message had no task in the table", "be\ufffd[2J careful", "2 messages could not be sent", "spillway dlq jobs 01PLAN --max 1000"},
		},
		{
			"expired",
			adminapi.Job{Counts: adminapi.Counts{Replayed: 96}, Outcomes: &adminapi.Outcomes{Succeeded: 94, Expired: 1, Canceled: 1}},
			exitNotSucceed,
			[]string{"1  canceled", "1  expired", "2 tasks did not succeed"},
		},
		{
			"gone",
			adminapi.Job{Counts: adminapi.Counts{Replayed: 96}, Outcomes: &adminapi.Outcomes{Succeeded: 93, Gone: 2, Later: 1}},
			exitOK,
			[]string{"2  without a task, or past its retention", "1  replayed again since"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.job.JobID, tt.job.Kind, tt.job.Status = "01PLAN", adminapi.KindReplay, adminapi.JobDone
			w := newWire(t, func(q asked) any {
				switch {
				case q.DryRun:
					return adminapi.Plan{PlanID: "01PLAN", Matched: 96, Replay: 96}
				case q.PlanID != "":
					return adminapi.ReplayAnswer{JobID: "01PLAN", Status: adminapi.JobDone, Done: true}
				default:
					return adminapi.JobAnswer{Job: &tt.job}
				}
			})
			ta := w.newOperator()
			if code := ta.play(t, "dlq", "replay", "--yes"); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want...)
		})
	}
}

func TestReplayRefused(t *testing.T) {
	t.Parallel()
	for code, want := range map[adminapi.Code]string{
		adminapi.CodePlanExpired: "make a new plan", adminapi.CodePlanUsed: "spillway dlq jobs", adminapi.CodeJobRunning: "one job at a time",
		adminapi.CodeUnsupported: "the function says unsupported (unsupported)", adminapi.CodeUnknownField: "older than this program",
		adminapi.CodeNotFound: "the function says not_found", adminapi.CodeDeadline: "submit it as a new task",
	} {
		w := newWire(t, func(q asked) any {
			if q.PlanID != "" {
				return refusedAs(code)
			}
			return adminapi.Plan{PlanID: "01PLAN", Matched: 2, Replay: 2}
		})
		ta := w.newOperator()
		if exit := ta.play(t, "dlq", "replay", "--yes", "-o", "json"); exit != exitFailed {
			t.Errorf("%s: exit %d", code, exit)
		}
		mustContain(t, "stderr", ta.stderr.String(), want)
		mustContain(t, "stdout", ta.stdout.String(), `"code": "`+string(code)+`"`)
		if len(w.sent()) != 2 {
			t.Errorf("%s: calls %v", code, w.sent())
		}
	}
}

// What the function itself refuses is explained.
func TestReplayIsRefusedWhileAnotherRuns(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(3)
		ta := c.newOperator()
		c.answer = once(func() any {
			c.background(`{"command":"dlq.replay","rate":0.1}`)
			c.stack.Await("the other runs", func() bool { return c.letters() < 3 })
			return nil
		})
		c.run(ta, exitFailed, "dlq", "replay", "--yes")
		mustContain(t, "stderr", ta.stderr.String(), "another job is running", "(job_running)", "one job at a time")
	})
}

// Letters whose tasks have ended only leave the queue.
func TestReplayDrops(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		cancel := func(ids []string) {
			for _, id := range ids {
				if _, err := c.stack.Client(cloudTenant).Cancel(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
		}
		cancel(c.dead(3)[2:])
		ta := c.newOperator()
		c.run(ta, exitOK, "dlq", "replay", "--yes")
		mustContain(t, "stdout", ta.stdout.String(), "3 messages matched: 2 to be replayed, 1 to be dropped, since their tasks have ended\n", "  1  canceled",
			"2 replayed, 1 dropped, their tasks have ended")
		cancel(c.dead(3))
		ta = c.atTerminal("y\n")
		c.run(ta, exitOK, "dlq", "replay")
		mustContain(t, "stderr", ta.stderr.String(), "Drop 3 messages?")
		mustContain(t, "stdout", ta.stdout.String(), "0 to be replayed, 3 to be dropped, since their tasks have ended", "3 messages in", ": 3 dropped, their tasks have ended")
		if c.letters() != 0 {
			t.Errorf("%d letters are left", c.letters())
		}
	})
}

func TestReplayPlan(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(3)
		c.run(c.newOperator(), exitOK, "dlq", "replay", "--dry-run")
		plan := c.plan()
		ta := c.atTerminal("y\n")
		c.run(ta, exitOK, "dlq", "replay", "--plan", plan, "--rate", "7")
		mustContain(t, "stderr", ta.stderr.String(), "Carry out the plan for 3 messages?")
		c.wants("dlq.replay", `,"queue":"tasks","rate":7,"plan_id":"`+plan+`"`+byMe)

		calls := len(c.sent())
		ta = c.newOperator()
		c.run(ta, exitOK, "dlq", "replay", "--plan", plan, "--yes")
		if len(c.sent()) != calls {
			t.Errorf("carried out twice: calls %v", c.sent())
		}
		mustContain(t, "stderr", ta.stderr.String(), "carried out already")

		ta = c.newOperator()
		c.run(ta, exitUsage, "task", "retry", "--plan", plan, "--yes")
		mustContain(t, "stderr", ta.stderr.String(), "is a replay, no retry")

		ta = c.newOperator()
		c.run(ta, exitFailed, "dlq", "replay", "--plan", "01LOST", "--yes")
		mustContain(t, "stderr", ta.stderr.String(), "(not_found)")
	})
}

func TestReplayNative(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		c.dead(7)
		ta := c.atTerminal("y\n")
		c.run(ta, exitOK, "dlq", "replay", "--native", "--rate", "100")
		mustContain(t, "stderr", ta.stderr.String(), "Let SQS move all of about 7 messages of tasks?")
		mustContain(t, "stdout", ta.stdout.String(), "SQS moves the messages (task ", "spillway dlq groups", "aws sqs list-message-move-tasks")
		c.wants("dlq.replay", `,"queue":"tasks","rate":100,"native":true`+byMe)
		c.stack.Await("SQS has moved them", func() bool { return c.letters() == 0 })
		ta = c.newOperator()
		c.run(ta, exitUsage, "dlq", "replay", "--native", "--queue", "saga")
		mustContain(t, "stderr", ta.stderr.String(), "spillway dlq replay --queue saga --native --yes")
	})
}
