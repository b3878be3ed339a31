package memstack_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/client"
	"github.com/spillway-go/spillway/pkg/webhook"
)

const tenant = "AIDAEXAMPLETENANT"

// receiver is a webhook receiver: it answers with a status, and keeps what it
// was sent.
type receiver struct {
	status func(n int, path string) int    // n counts from 1
	takes  func(path string) time.Duration // until it answers

	mu   sync.Mutex
	got  []received
	seen map[string]int // deliveries answered 200, by webhook id
}

type received struct {
	path, id string
	body     []byte
	at       time.Time
}

func (r *receiver) answer(req *http.Request, body []byte) (*http.Response, error) {
	if r.takes != nil {
		timer := time.NewTimer(r.takes(req.URL.Path))
		defer timer.Stop()
		select {
		case <-req.Context().Done():
			return nil, req.Context().Err()
		case <-timer.C:
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, received{req.URL.Path, req.Header.Get(webhook.HeaderID), body, time.Now()})
	status := http.StatusOK
	if r.status != nil {
		status = r.status(len(r.got), req.URL.Path)
	}
	if status == http.StatusOK {
		if r.seen == nil {
			r.seen = map[string]int{}
		}
		r.seen[req.Header.Get(webhook.HeaderID)]++
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// all are the deliveries so far.
func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// delivered are the ids of the deliveries that were accepted, with how often.
func (r *receiver) delivered() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := map[string]int{}
	for id, n := range r.seen {
		ids[id] = n
	}
	return ids
}

// inBubble runs a scenario on a stack of its own, beside the others.
func inBubble(t *testing.T, opts memstack.Options, scenario func(t *testing.T, s *memstack.Stack)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { scenario(t, memstack.New(t, opts)) })
}

func submit(t *testing.T, s *memstack.Stack, r client.SubmitRequest) string {
	t.Helper()
	submitted, err := s.Client(tenant).Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return submitted.ID
}

func get(t *testing.T, s *memstack.Stack, id string) *client.Task {
	t.Helper()
	got, err := s.Client(tenant).Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// ends waits until a task has ended, which must be as it should.
func ends(t *testing.T, s *memstack.Stack, id string, want client.Status) *client.Task {
	t.Helper()
	var got *client.Task
	s.Await("task "+id+" ends", func() bool {
		got = get(t, s, id)
		return got.Status.Finished()
	})
	if got.Status != want {
		t.Fatalf("got %+v, want it %s\n%s", got, want, s.State())
	}
	return got
}

var (
	export  = client.SubmitRequest{Type: "trips.export", Input: json.RawMessage(`{}`)}
	deliver = client.SubmitRequest{Type: webhook.Type, Input: webhook.Input{URL: "https://hooks.example.com/in", Event: "invoice.paid", Payload: json.RawMessage(`1`)}}
	booking = client.SubmitRequest{Type: "trip.book", Input: json.RawMessage(`{"traveler":"Ada","hotel":{"id":"hotel-grand","nights":2},"flight":{"id":"flight-lh400","seats":1},"car":{"id":"car-compact","days":2}}`)}
)

// A task that is submitted is worked on, and its result can be read.
func TestLife(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		id := submit(t, s, export)
		ended, err := s.Client(tenant).Wait(t.Context(), id)
		if err != nil || ended.Status != client.Succeeded || !strings.Contains(string(ended.Result), `"count":0`) {
			t.Errorf("got %+v, %v", ended, err)
		}
		if _, err := s.Client("AIDASOMEOTHER").Get(t.Context(), id); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("another tenant sees %v", err)
		}
		s.Quiet()
	})
}

// An attempt that fails is tried again after a growing pause.
func TestRetry(t *testing.T) {
	hooks := &receiver{status: func(n int, _ string) int {
		if n < 3 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}}
	inBubble(t, memstack.Options{Receiver: hooks.answer}, func(t *testing.T, s *memstack.Stack) {
		ended := ends(t, s, submit(t, s, deliver), client.Succeeded)
		if ended.Attempts != 3 || len(hooks.all()) != 3 {
			t.Errorf("%d attempts, %d deliveries, want 3", ended.Attempts, len(hooks.all()))
		}
		if took := ended.FinishedAt.Sub(ended.CreatedAt); took > 10*time.Second {
			t.Errorf("two retries took %s, with a base of 2 s", took)
		}
		s.Quiet()
	})
}

// A delayed task does not start before its time.
func TestDelay(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		later := export
		later.Delay = 15 * time.Minute
		ended := ends(t, s, submit(t, s, later), client.Succeeded)
		if waited := ended.StartedAt.Sub(ended.CreatedAt); waited < later.Delay || waited > later.Delay+5*time.Second {
			t.Errorf("started after %s, want %s", waited, later.Delay)
		}
	})
}

// records counts the messages that a function was given from a queue.
func records(s *memstack.Stack, function, queue string) (n int) {
	for _, i := range s.Invocations(function) {
		n += strings.Count(string(i.Event), `:`+s.Name(queue)+`"`)
	}
	return n
}

// Bulk tasks wait in the backlog queue, and so do those that got old in the
// tasks queue.
func TestBacklog(t *testing.T) {
	inBubble(t, memstack.Options{Paused: []string{"WorkerFunction.Tasks"}}, func(t *testing.T, s *memstack.Stack) {
		bulk := export
		bulk.Priority = client.Bulk
		ends(t, s, submit(t, s, bulk), client.Succeeded)
		if n := records(s, "WorkerFunction", "BacklogQueue"); n != 1 {
			t.Errorf("%d messages of the backlog queue, want 1", n)
		}

		aged := submit(t, s, export)
		began := time.Now()
		s.Await("BacklogAfter is over", func() bool { return time.Since(began) > 6*time.Minute })
		if got := get(t, s, aged); got.Status != client.Queued {
			t.Fatalf("without a worker: %+v", got)
		}
		s.Resume("WorkerFunction.Tasks")
		ends(t, s, aged, client.Succeeded)
		if tasks, backlog := records(s, "WorkerFunction", "TasksQueue"), records(s, "WorkerFunction", "BacklogQueue"); tasks != 1 || backlog != 2 {
			t.Errorf("%d messages of the tasks queue, %d of the backlog queue, want 1 and 2", tasks, backlog)
		}
		s.Quiet()
	})
}

// The same request twice is one task.
func TestIdempotency(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		once := export
		once.IdempotencyKey = "order-1"
		a, b := submit(t, s, once), submit(t, s, once)
		if a != b {
			t.Errorf("two tasks: %s and %s", a, b)
		}
		ends(t, s, a, client.Succeeded)
		if c := submit(t, s, once); c != a {
			t.Errorf("once more: %s, want %s", c, a)
		}
		s.Quiet()
		if got := get(t, s, a); got.Attempts != 1 {
			t.Errorf("%d attempts", got.Attempts)
		}
	})
}

// A task that waits is canceled at once, and its message is dropped.
func TestCancel(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		later := export
		later.Delay = time.Minute
		id := submit(t, s, later)
		if got, err := s.Client(tenant).Cancel(t.Context(), id); err != nil || got.Status != client.Canceled {
			t.Fatalf("got %+v, %v", got, err)
		}
		s.Quiet()
		if got := get(t, s, id); got.Status != client.Canceled || !got.StartedAt.IsZero() {
			t.Errorf("got %+v", got)
		}
	})
}

// The end of a task is delivered to its callback URL, signed.
func TestCallback(t *testing.T) {
	hooks := &receiver{}
	inBubble(t, memstack.Options{Receiver: hooks.answer}, func(t *testing.T, s *memstack.Stack) {
		told := export
		told.CallbackURL = "https://hooks.example.com/done"
		id := submit(t, s, told)
		s.Await("the callback", func() bool { return len(hooks.all()) > 0 })
		if got := hooks.all()[0]; got.path != "/done" || !strings.Contains(string(got.body), id) || !strings.Contains(string(got.body), `"succeeded"`) {
			t.Errorf("got %s at %s", got.body, got.path)
		}
		s.Quiet()
		if n := len(hooks.all()); n != 1 {
			t.Errorf("%d callbacks", n)
		}
	})
}
