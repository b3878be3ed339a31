package memstack_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/client"
	"github.com/spillway-go/spillway/pkg/webhook"
)

// to is a delivery to a path of the receiver.
func to(path string) client.SubmitRequest {
	r := deliver
	r.Input = webhook.Input{URL: "https://hooks.example.com" + path, Event: "invoice.paid", Payload: []byte(`1`)}
	return r
}

// passes lets virtual time pass.
func passes(s *memstack.Stack, d time.Duration) {
	began := time.Now()
	s.Await(d.String()+" pass", func() bool { return time.Since(began) >= d })
}

// A permanent error is not tried again, and has no dead letter.
func TestFailed(t *testing.T) {
	hooks := &receiver{status: func(int, string) int { return http.StatusGone }}
	inBubble(t, memstack.Options{Receiver: hooks.answer}, func(t *testing.T, s *memstack.Stack) {
		got := ends(t, s, submit(t, s, deliver), client.Failed)
		if got.Attempts != 1 || got.Error == nil || got.Error.Retryable {
			t.Errorf("got %+v, %+v", got, got.Error)
		}
		s.Quiet()
		if n := len(s.SQS.Messages(s.Name("DeadLetterQueue"))); n > 0 {
			t.Errorf("%d dead letters", n)
		}
	})
}

// A task that nothing works on expires at its deadline, and is not worked on
// afterwards.
func TestExpired(t *testing.T) {
	hooks := &receiver{}
	inBubble(t, memstack.Options{Receiver: hooks.answer, Paused: []string{"WorkerFunction.Tasks"}}, func(t *testing.T, s *memstack.Stack) {
		short := deliver
		short.TTL = time.Minute
		id := submit(t, s, short)
		passes(s, 2*time.Minute)
		got := ends(t, s, id, client.Expired)
		if !got.FinishedAt.Equal(got.Deadline) {
			t.Errorf("finished at %s, want its deadline %s", got.FinishedAt, got.Deadline)
		}
		s.Resume("WorkerFunction.Tasks")
		s.Quiet()
		if n := len(hooks.all()); n > 0 {
			t.Errorf("%d deliveries", n)
		}
	})
}

// A batch that takes longer than the function has hands back what it did not
// begin, without counting an attempt.
func TestBatchLongerThanTimeout(t *testing.T) {
	hooks := &receiver{takes: func(string) time.Duration { return 3 * time.Second }}
	opts := memstack.Options{Receiver: hooks.answer, Paused: []string{"WorkerFunction.Tasks"}, Parameters: map[string]string{"Size": "local", "WebhookTimeout": "5s"}}
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) { // the function has 10 s, for 2 at a time
		var ids []string
		for range 30 {
			ids = append(ids, submit(t, s, deliver))
		}
		s.Resume("WorkerFunction.Tasks")
		for _, id := range ids {
			if got := ends(t, s, id, client.Succeeded); got.Attempts != 1 {
				t.Errorf("task %s took %d attempts", id, got.Attempts)
			}
		}
		s.Quiet()
		for _, i := range s.Invocations("WorkerFunction") {
			if i.Error != "" {
				t.Errorf("an invocation ended with %s", i.Answer)
			}
		}
		if n := len(hooks.all()); n != len(ids) {
			t.Errorf("%d deliveries, want %d", n, len(ids))
		}
	})
}

// Fresh tasks do not queue behind those that an outage has left.
func TestFreshWorkOvertakesBacklog(t *testing.T) {
	hooks := &receiver{takes: func(path string) time.Duration {
		if path == "/old" {
			return 2 * time.Second
		}
		return 0
	}}
	opts := memstack.Options{Receiver: hooks.answer, Paused: []string{"WorkerFunction.Tasks", "WorkerFunction.Backlog"}}
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		const aged, fresh = 300, 10
		var old, young []string
		for range aged {
			old = append(old, submit(t, s, to("/old")))
		}
		passes(s, 6*time.Minute)
		for range fresh {
			young = append(young, submit(t, s, to("/new")))
		}
		s.Resume("WorkerFunction.Tasks")
		s.Resume("WorkerFunction.Backlog")
		for _, id := range young {
			ends(t, s, id, client.Succeeded)
		}
		if begun := len(hooks.all()) - fresh; begun > aged/10 {
			t.Errorf("%d of %d old tasks were delivered before the fresh ones", begun, aged)
		}
		for _, id := range old {
			if got := ends(t, s, id, client.Succeeded); got.Attempts != 1 {
				t.Errorf("task %s took %d attempts", id, got.Attempts)
			}
		}
		s.Quiet()
		if n := records(s, "WorkerFunction", "BacklogQueue"); n < aged {
			t.Errorf("%d messages of the backlog queue, want %d or more", n, aged)
		}
	})
}

// A secret that is rotated signs deliveries once the cached one is too old, and
// the previous one signs beside it.
func TestSecretRotation(t *testing.T) {
	var signatures []string
	hooks := &receiver{}
	opts := memstack.Options{Receiver: func(r *http.Request, body []byte) (*http.Response, error) {
		signatures = append(signatures, r.Header.Get(webhook.HeaderSignature)) // one delivery at a time
		return hooks.answer(r, body)
	}}
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		ends(t, s, submit(t, s, deliver), client.Succeeded)
		s.SetWebhookSecret(`{"current":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","previous":"whsec_c3BpbGx3YXkgaW4gbWVtb3J5IHRlc3Rz"}`)
		ends(t, s, submit(t, s, deliver), client.Succeeded)
		passes(s, 6*time.Minute) // WebhookSecretTTL is 5 minutes
		ends(t, s, submit(t, s, deliver), client.Succeeded)
		ends(t, s, submit(t, s, deliver), client.Succeeded)
		for i, want := range []int{1, 1, 2, 2} {
			if got := len(strings.Fields(signatures[i])); got != want {
				t.Errorf("delivery %d has %d signatures, want %d", i, got, want)
			}
		}
	})
}
