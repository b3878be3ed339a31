package statements_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/examples/statements"
	"github.com/spillway-go/spillway/pkg/task"
)

// acme has three pages of two customers.
type acme struct{}

func (acme) Page(_ context.Context, account string, page int) ([]string, int, error) {
	if account != "acme" {
		return nil, 0, statements.ErrNoAccount
	}
	return []string{fmt.Sprintf("a%d", page), fmt.Sprintf("b%d", page)}, 3, nil
}

// mailer keeps what was sent, by key, and fails once for each customer in fails.
type mailer struct {
	sent  map[string]string
	fails map[string]error
}

func (m *mailer) Send(_ context.Context, key, customer, _ string) error {
	if err := m.fails[customer]; err != nil {
		delete(m.fails, customer)
		return err
	}
	m.sent[key] = customer
	return nil
}

// worker stands for the worker that runs the handler: it keeps what a handler
// reports, and calls it once for each attempt.
type worker struct {
	mux      *task.Mux
	attempt  int
	state    json.RawMessage
	progress []task.Advance
	canceled bool
}

func newWorker(m *mailer) *worker {
	w := &worker{mux: task.NewMux()}
	task.Handle(w.mux, statements.Type, statements.Sender{Customers: acme{}, Mailer: m}.Send)
	return w
}

func (w *worker) run(t *testing.T, input string) (string, error) {
	t.Helper()
	w.attempt++
	ctx := task.NewContext(t.Context(), &task.Execution{ID: "id", Run: 1, Attempt: w.attempt, State: w.state, Reporter: w})
	result, err := w.mux.Run(ctx, statements.Type, json.RawMessage(input))
	return string(result), err
}

func (w *worker) Progress(_ context.Context, a task.Advance) error {
	w.progress = append(w.progress, a)
	return nil
}

func (w *worker) Checkpoint(_ context.Context, state json.RawMessage, _ *task.Advance) error {
	w.state = state
	if w.canceled {
		return task.ErrCanceled
	}
	return nil
}

const input = `{"account":"acme","month":"2026-01"}`

// Attempts go on where the last one stopped, and what they repeat has the same
// keys.
func TestAttempts(t *testing.T) {
	t.Parallel()
	m := &mailer{sent: map[string]string{}, fails: map[string]error{"b1": statements.ErrBusy, "a2": errors.New("no connection")}}
	w := newWorker(m)

	_, err := w.run(t, input)
	if d, ok := task.RetryDelay(err); !ok || d != time.Minute || !errors.Is(err, statements.ErrBusy) {
		t.Errorf("first attempt: %v, want a pause of a minute", err)
	}
	_, err = w.run(t, input)
	if _, asked := task.RetryDelay(err); err == nil || asked || task.IsPermanent(err) {
		t.Errorf("second attempt: %v, want an ordinary error", err)
	}
	if got, want := string(w.state), `{"page":2,"sent":4}`; got != want {
		t.Errorf("checkpoint %s, want %s", got, want)
	}
	result, err := w.run(t, input)
	if err != nil || result != `{"sent":6}` {
		t.Errorf("third attempt: %s, %v", result, err)
	}
	want := map[string]string{"id-1-a0": "a0", "id-1-b0": "b0", "id-1-a1": "a1", "id-1-b1": "b1", "id-1-a2": "a2", "id-1-b2": "b2"}
	if d := cmp.Diff(m.sent, want); d != "" {
		t.Errorf("sent (-got +want):\n%s", d)
	}
	if d := cmp.Diff(w.progress, []task.Advance{{Done: 1, Total: 3, Note: "pages"}, {Done: 2, Total: 3, Note: "pages"}}); d != "" {
		t.Errorf("progress (-got +want):\n%s", d)
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	m := &mailer{sent: map[string]string{}}
	w := newWorker(m)
	w.canceled = true
	if _, err := w.run(t, input); !errors.Is(err, task.ErrCanceled) {
		t.Errorf("got %v, want ErrCanceled", err)
	}
	if len(m.sent) != 2 {
		t.Errorf("%d statements sent, want the first page's", len(m.sent))
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorker(&mailer{sent: map[string]string{}})
	for given, code := range map[string]string{
		`{"account":"nobody","month":"2026-01"}`:        "no_account",
		`{"month":"2026-01"}`:                           task.CodeInvalidInput,
		`{"account":"acme","month":"January"}`:          task.CodeInvalidInput,
		`{"account":"acme","month":"2026-01","x":true}`: task.CodeInvalidInput,
		`{"account":"acme","month":"2026-01"} trailing`: task.CodeInvalidInput,
		`{"account":"acme","month":202601}`:             task.CodeInvalidInput,
	} {
		_, err := w.run(t, given)
		if !task.IsPermanent(err) || task.FailureOf(err).Code != code {
			t.Errorf("%s: %v, want a permanent error with code %s", given, err, code)
		}
	}
}
