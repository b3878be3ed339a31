package memstack_test

import (
	"testing"
	"testing/synctest"

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
