package memstack_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/client"
)

func ask[Q, A any](t *testing.T, s *memstack.Stack, command adminapi.Command[Q, A], q Q) *A {
	t.Helper()
	answer, err := memstack.Ask(t.Context(), s, command, q)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return answer
}

// broken is a receiver that fails until it is mended.
func broken() (hooks *receiver, mend func()) {
	var mended atomic.Bool
	return &receiver{status: func(int, string) int {
		if mended.Load() {
			return http.StatusOK
		}
		return http.StatusInternalServerError
	}}, func() { mended.Store(true) }
}

// A task that is out of attempts is a dead letter, which an operator lists,
// plans and replays.
func TestDeadLetter(t *testing.T) {
	hooks, mend := broken()
	inBubble(t, memstack.Options{Receiver: hooks.answer}, func(t *testing.T, s *memstack.Stack) {
		id := submit(t, s, deliver)
		dead := ends(t, s, id, client.DeadLettered)
		if dead.Attempts != 5 || dead.Error == nil || len(hooks.all()) != 5 {
			t.Errorf("got %+v after %d deliveries, want 5", dead, len(hooks.all()))
		}
		s.Quiet()

		list := ask(t, s, adminapi.DLQList, adminapi.DLQListRequest{})
		if len(list.Messages) != 1 || list.Messages[0].TaskID != id || list.Messages[0].MovedBy != adminapi.MovedByWorker {
			t.Errorf("listed %+v", list.Messages)
		}
		s.Await("the list gives its letters back", func() bool {
			return ask(t, s, adminapi.DLQStatus, adminapi.DLQStatusRequest{}).InFlight == 0
		})
		plan := ask(t, s, adminapi.DLQPlan, adminapi.DLQReplayRequest{DryRun: true})
		if plan.Matched != 1 || plan.Replay != 1 || plan.Destinations[s.Name("TasksQueue")] != 1 {
			t.Errorf("planned %+v", plan)
		}
		if got := get(t, s, id); got.Status != client.DeadLettered || len(hooks.all()) != 5 {
			t.Errorf("the plan changed %+v", got)
		}

		mend()
		answer := ask(t, s, adminapi.DLQReplay, adminapi.DLQReplayRequest{PlanID: plan.PlanID})
		if !answer.Done || answer.Replayed != 1 {
			t.Errorf("replayed %+v", answer)
		}
		if again := ends(t, s, id, client.Succeeded); again.Attempts != 1 {
			t.Errorf("got %+v, want one attempt of the new run", again)
		}
		s.Quiet()
		if left := s.SQS.Messages(s.Name("DeadLetterQueue")); len(left) > 0 {
			t.Errorf("%d dead letters left", len(left))
		}
	})
}

// A record of the stream that kills its function is isolated by halving,
// archived, and replayed when the function is mended.
func TestPoison(t *testing.T) {
	hooks := &receiver{}
	inBubble(t, memstack.Options{Receiver: hooks.answer}, func(t *testing.T, s *memstack.Stack) {
		s.Inject(func(c memstack.Call) memstack.Fault {
			return memstack.Fault{Kill: c.Function == "NotifyFunction"}
		})
		told := export
		told.CallbackURL = "https://hooks.example.com/done"
		ids := []string{submit(t, s, told), submit(t, s, told), submit(t, s, told)}
		for _, id := range ids {
			ends(t, s, id, client.Succeeded)
		}
		s.Await("the records are archived", func() bool {
			return len(ask(t, s, adminapi.StreamList, adminapi.StreamListRequest{}).Records) == len(ids)
		})
		if n := len(hooks.all()); n > 0 {
			t.Fatalf("%d callbacks by a function that cannot call", n)
		}

		s.Inject(nil)
		answer := ask(t, s, adminapi.StreamReplay, adminapi.StreamReplayRequest{})
		if !answer.Done || answer.Replayed != len(ids) {
			t.Errorf("replayed %+v", answer)
		}
		for _, r := range ask(t, s, adminapi.StreamList, adminapi.StreamListRequest{}).Records {
			if r.State != adminapi.RecordReplayed || r.Consumer != s.Name("NotifyFunction") {
				t.Errorf("listed %+v", r)
			}
		}
		s.Await("the callbacks", func() bool { return len(hooks.delivered()) == len(ids) })
		s.Quiet()
		if n := len(hooks.all()); n != len(ids) {
			t.Errorf("%d callbacks, want %d", n, len(ids))
		}
	})
}

// An aborted saga is recovered by an execution that undoes it.
func TestRecover(t *testing.T) {
	inBubble(t, memstack.Options{HoldSagas: true}, func(t *testing.T, s *memstack.Stack) {
		id := submit(t, s, booking)
		s.Await("the saga runs", func() bool { return len(s.Machine.Executions()) == 1 })
		first := s.Machine.Executions()[0]
		if first.Name != id+"-1" {
			t.Errorf("execution %s", first.Name)
		}
		s.Machine.End(first.Name, "ABORTED", "")
		s.Await("the recovery runs", func() bool { return len(s.Machine.Executions()) == 2 })
		if second := s.Machine.Executions()[1]; second.Name != id+"-1-recover-1" {
			t.Errorf("execution %s", second.Name)
		}
		s.Await("some time passes", func() bool { return time.Since(first.Started) > time.Minute })
		if n := len(s.Machine.Executions()); n != 2 {
			t.Errorf("%d executions", n)
		}
	})
}

// Any update of a job whose answer is lost is repeated by the SDK, and the replay
// of stream records goes on.
func TestStreamReplayWithoutAnAnswer(t *testing.T) {
	for n := 1; n <= 4; n++ { // lock, job, job (left), lock (let go)
		t.Run(fmt.Sprint("update ", n), func(t *testing.T) {
			inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
				updates := 0
				s.Inject(func(c memstack.Call) memstack.Fault {
					if c.Function == "AdminFunction" && c.Operation == "UpdateItem" {
						if updates++; updates == n {
							return memstack.Fault{Err: errors.New("connection reset"), AfterEffect: true}
						}
					}
					return memstack.Fault{}
				})
				for range 2 { // the second one finds the lock free
					if answer := ask(t, s, adminapi.StreamReplay, adminapi.StreamReplayRequest{}); !answer.Done || answer.Status != adminapi.JobDone {
						t.Errorf("%+v", answer)
					}
				}
			})
		})
	}
}
