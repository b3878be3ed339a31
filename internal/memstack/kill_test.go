package memstack_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/client"
)

// atEveryCall runs a scenario once for each call that functions make in it,
// with the process killed there, before the call takes effect and after. It
// fails if fewer than least kills happened.
func atEveryCall(t *testing.T, least int, match func(memstack.Call) bool, scenario func(t *testing.T, s *memstack.Stack, hooks *receiver)) {
	t.Helper()
	t.Parallel()
	kills := 0
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			var killed bool
			synctest.Test(t, func(t *testing.T) {
				hooks := &receiver{}
				s := memstack.New(t, memstack.Options{Receiver: hooks.answer, Parameters: map[string]string{"Size": "local"}})
				done := s.Kill(n, after, match)
				scenario(t, s, hooks)
				killed = done()
			})
			if t.Failed() {
				t.Fatalf("killed at call %d, after its effect %t", n, after)
			}
			if !killed {
				break
			}
			kills++
		}
	}
	t.Logf("%d kills", kills)
	if kills < least {
		t.Errorf("%d kills, want at least %d", kills, least)
	}
}

// Wherever the worker dies, the task ends once, its receiver accepts one
// message, and no queue keeps anything.
func TestKilledWorkerLosesNothing(t *testing.T) {
	calls := func(c memstack.Call) bool { return c.Function == "WorkerFunction" }
	atEveryCall(t, 6, calls, func(t *testing.T, s *memstack.Stack, hooks *receiver) {
		id := submit(t, s, deliver)
		ends(t, s, id, client.Succeeded)
		s.Quiet()
		if got := hooks.delivered(); len(got) != 1 {
			t.Errorf("delivered %v, want one message", got)
		}
		if n := len(s.SQS.Messages(s.Name("DeadLetterQueue"))); n > 0 {
			t.Errorf("%d dead letters", n)
		}
	})
}

// Wherever submit dies, the caller's repetition of the request with the same
// key makes it one task, which ends.
func TestKilledSubmitLosesNothing(t *testing.T) {
	calls := func(c memstack.Call) bool { return c.Function == "SubmitFunction" }
	atEveryCall(t, 6, calls, func(t *testing.T, s *memstack.Stack, hooks *receiver) {
		once := deliver
		once.IdempotencyKey = "order-1"
		id := submit(t, s, once) // the client tries again after a 503
		ends(t, s, id, client.Succeeded)
		s.Quiet()
		if got := hooks.delivered(); len(got) != 1 {
			t.Errorf("delivered %v, want one message", got)
		}
		page, err := s.Client(tenant).List(t.Context(), client.ListRequest{})
		if err != nil || len(page.Tasks) != 1 {
			t.Errorf("%d tasks, %v, want 1", len(page.Tasks), err)
		}
	})
}

// Wherever notify dies, the callback comes, as one message.
func TestKilledNotifyLosesNothing(t *testing.T) {
	calls := func(c memstack.Call) bool { return c.Function == "NotifyFunction" }
	atEveryCall(t, 6, calls, func(t *testing.T, s *memstack.Stack, hooks *receiver) {
		told := export
		told.CallbackURL = "https://hooks.example.com/done"
		ends(t, s, submit(t, s, told), client.Succeeded)
		s.Await("the callback", func() bool { return len(hooks.delivered()) > 0 })
		s.Quiet()
		if got := hooks.delivered(); len(got) != 1 {
			t.Errorf("delivered %v, want one message", got)
		}
	})
}

// Wherever admin dies while it executes a plan, the plan goes on, by itself or
// when the operator repeats the command, and each letter is one run more.
func TestKilledReplayLosesNothing(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after the effect %t", after), func(t *testing.T) {
			t.Parallel()
			killed, n := true, 0
			for killed && !t.Failed() {
				n++
				synctest.Test(t, func(t *testing.T) { killed = replayKilled(t, n, after) })
			}
			if t.Failed() || n < 10 {
				t.Errorf("ended at call %d of the replay", n)
			}
		})
	}
}

// replayKilled replays two dead letters, and kills admin at the nth call of the
// execution. It reports whether there was such a call.
func replayKilled(t *testing.T, n int, after bool) bool {
	hooks, mend := broken()
	s := memstack.New(t, memstack.Options{Receiver: hooks.answer, Parameters: map[string]string{"Size": "local", "MaxAttempts": "1"}})
	ids := []string{submit(t, s, deliver), submit(t, s, deliver)}
	for _, id := range ids {
		ends(t, s, id, client.DeadLettered)
	}
	s.Quiet()
	mend()
	plan := ask(t, s, adminapi.DLQPlan, adminapi.DLQReplayRequest{DryRun: true})
	killed := s.Kill(n, after, func(c memstack.Call) bool { return c.Function == "AdminFunction" })
	s.Await("the plan is carried out", func() bool {
		answer, err := memstack.Ask(t.Context(), s, adminapi.DLQReplay, adminapi.DLQReplayRequest{PlanID: plan.PlanID})
		return err == nil && answer.Done
	})
	for _, id := range ids {
		if got := ends(t, s, id, client.Succeeded); got.Attempts != 1 {
			t.Errorf("got %+v, want one attempt of the new run", got)
		}
	}
	s.Await("the dead letters are gone", func() bool { return len(s.SQS.Messages(s.Name("DeadLetterQueue"))) == 0 })
	s.Quiet()
	delivered := hooks.delivered()
	for id, times := range delivered {
		if times != 1 {
			t.Errorf("message %s was delivered %d times", id, times)
		}
	}
	if len(delivered) != len(ids) {
		t.Errorf("delivered %v, want %d messages", delivered, len(ids))
	}
	return killed()
}
