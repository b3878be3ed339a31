package memstack_test

import (
	"testing"
	"testing/synctest"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/client"
)

// Whichever answer of AWS is lost in a task's life, so that the SDK repeats a
// call that has taken effect, there is one task, with one attempt, whose
// receiver gets one request, and no queue keeps anything.
func TestLostAnswers(t *testing.T) {
	atEveryAnswer(t, 6, lifeWithLostAnswer)
}

// Whichever answer is lost while admin carries out a plan, each of its letters
// is one run more, and none is left.
func TestLostAnswersOfReplay(t *testing.T) {
	atEveryAnswer(t, 10, replayWithLostAnswer)
}

// atEveryAnswer runs a scenario with the first answer lost, with the second, and
// so on until it reports that there was none. It fails if fewer than least were
// lost.
func atEveryAnswer(t *testing.T, least int, scenario func(t *testing.T, n int) bool) {
	t.Helper()
	t.Parallel()
	lost, n := true, 0
	for lost && !t.Failed() {
		n++
		synctest.Test(t, func(t *testing.T) { lost = scenario(t, n) })
	}
	if t.Failed() || n <= least {
		t.Errorf("ended at call %d", n)
	}
}

// lifeWithLostAnswer submits a task and loses the nth answer that a function
// gets. It reports whether there was such a call.
func lifeWithLostAnswer(t *testing.T, n int) bool {
	hooks := &receiver{}
	s := memstack.New(t, memstack.Options{Receiver: hooks.answer, Parameters: map[string]string{"Size": "local"}})
	lost := s.Lose(n, func(c memstack.Call) bool { return c.Function == "SubmitFunction" || c.Function == "WorkerFunction" })
	once := deliver
	once.IdempotencyKey = "order-1"
	got := ends(t, s, submit(t, s, once), client.Succeeded)
	s.Quiet()
	page, err := s.Client(tenant).List(t.Context(), client.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	letters := len(s.SQS.Messages(s.Name("DeadLetterQueue")))
	if got.Attempts != 1 || len(hooks.all()) != 1 || len(page.Tasks) != 1 || letters != 0 {
		t.Errorf("lost answer %d: %d attempts, %d deliveries, %d tasks, %d dead letters, want 1, 1, 1, 0",
			n, got.Attempts, len(hooks.all()), len(page.Tasks), letters)
	}
	return lost()
}

// replayWithLostAnswer replays two dead letters and loses the nth answer that
// admin gets. It reports whether there was such a call.
func replayWithLostAnswer(t *testing.T, n int) bool {
	hooks, mend := broken()
	s := memstack.New(t, memstack.Options{Receiver: hooks.answer, Parameters: map[string]string{"Size": "local", "MaxAttempts": "1"}})
	ids := []string{submit(t, s, deliver), submit(t, s, deliver)}
	for _, id := range ids {
		ends(t, s, id, client.DeadLettered)
	}
	s.Quiet()
	mend()
	before := len(hooks.all())
	plan := ask(t, s, adminapi.DLQPlan, adminapi.DLQReplayRequest{DryRun: true})
	lost := s.Lose(n, func(c memstack.Call) bool { return c.Function == "AdminFunction" })
	s.Await("the plan is carried out", func() bool {
		answer, err := memstack.Ask(t.Context(), s, adminapi.DLQReplay, adminapi.DLQReplayRequest{PlanID: plan.PlanID})
		return err == nil && answer.Done
	})
	for _, id := range ids {
		if got := ends(t, s, id, client.Succeeded); got.Attempts != 1 {
			t.Errorf("lost answer %d: task %s took %d attempts", n, id, got.Attempts)
		}
	}
	s.Quiet()
	letters := len(s.SQS.Messages(s.Name("DeadLetterQueue")))
	if runs := len(hooks.all()) - before; runs != len(ids) || letters != 0 {
		t.Errorf("lost answer %d: %d runs of %d letters, %d letters left", n, runs, len(ids), letters)
	}
	return lost()
}
