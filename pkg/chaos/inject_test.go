package chaos_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/spillway-go/spillway/pkg/chaos"
)

// Each fault as whoever calls the function sees it.
func TestFaults(t *testing.T) {
	const limit = 10 * time.Second // of an invocation
	for _, tt := range []struct {
		fault   chaos.Fault
		latency time.Duration
		typ     string // of the error; empty for none
		exits   bool
		ran     int32
		took    time.Duration
	}{
		{fault: chaos.BusinessError, typ: "sold_out"},
		{fault: chaos.PlainError, typ: "InjectedError"},
		{fault: chaos.Panic, typ: "InjectedError", exits: true},
		{fault: chaos.Timeout, typ: "InjectedError", took: limit + 5*time.Second},
		{fault: chaos.Throttle, typ: "Lambda.TooManyRequestsException"},
		{fault: chaos.Latency, latency: 3 * time.Second, ran: 1, took: 3 * time.Second},
		{fault: chaos.Latency, latency: 11 * time.Second, typ: "deadlineExceededError", took: limit},
		{fault: chaos.ErrorAfterEffect, typ: "InjectedError", ran: 1},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.opts.BusinessCode = "sold_out"
				r.set(chaos.Setting{Target: book, Fault: tt.fault, Times: 1, Latency: tt.latency})
				h := lambda.NewHandler(r.environment())
				began := time.Now()
				out, failure := invoke(r.Context(), h, limit)
				if took := time.Since(began); took != tt.took || r.ran.Load() != tt.ran {
					r.Errorf("took %s, the handler ran %d times; want %s, %d", took, r.ran.Load(), tt.took, tt.ran)
				}
				switch {
				case tt.typ == "" && (failure != nil || out != `"booked"`):
					r.Errorf("answer %s, %v", out, failure)
				case tt.typ != "" && (failure == nil || failure.Type != tt.typ || failure.ShouldExit != tt.exits):
					r.Errorf("failure %+v, want %s", failure, tt.typ)
				case tt.typ != "" && tt.took != limit && failure.Message != "fault injected at saga.BookFlight: "+string(tt.fault):
					r.Errorf("message %q", failure.Message)
				}
				// It was for one call only.
				if out, failure := invoke(r.Context(), h, limit); failure != nil || out != `"booked"` {
					r.Errorf("afterwards: answer %s, %v", out, failure)
				}
				if n := r.logged(`msg="fault injected" target=saga.BookFlight fault=` + string(tt.fault)); n != 1 {
					r.Errorf("logged %d times: %s", n, &r.log)
				}
			})
		})
	}
}

// invoke calls a function, and returns its error as aws-lambda-go reports it.
func invoke(ctx context.Context, h lambda.Handler, limit time.Duration) (out string, failure *messages.InvokeResponse_Error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			e, _ := r.(*chaos.InjectedError)
			failure = &messages.InvokeResponse_Error{Type: "InjectedError", Message: e.Error(), ShouldExit: true}
		}
	}()
	answer, err := h.Invoke(ctx, []byte(`{}`))
	switch e := err.(type) { //nolint:errorlint // as aws-lambda-go does: a wrapped one has lost its type
	case nil:
		return string(answer), nil
	case messages.InvokeResponse_Error:
		return "", &e
	case *chaos.InjectedError:
		return "", &messages.InvokeResponse_Error{Type: "InjectedError", Message: e.Error()}
	default:
		return "", &messages.InvokeResponse_Error{Type: "deadlineExceededError", Message: err.Error()}
	}
}

// What fails by itself has no effect that could be hidden.
func TestErrorAfterNoEffect(t *testing.T) {
	bubble(t, func(r *rig) {
		r.fails = messages.InvokeResponse_Error{Type: "sold_out"}
		r.set(chaos.Setting{Target: book, Fault: chaos.ErrorAfterEffect, Times: 1})
		if _, failure := invoke(r.Context(), lambda.NewHandler(r.environment()), time.Second); failure == nil || failure.Type != "sold_out" {
			r.Errorf("failure %v", failure)
		}
	})
}

// A call without a time of its own cannot outstay it for ever.
func TestTimeoutIsBounded(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opts.Grace = time.Minute
		r.set(chaos.Setting{Target: book, Fault: chaos.Timeout, Rate: 1, For: time.Hour})
		h, began := r.environment(), time.Now()
		if n := r.hits(h, 1); n != 1 || time.Since(began) != 16*time.Minute {
			r.Errorf("%d hits after %s", n, time.Since(began))
		}
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		began = time.Now()
		if _, err := h(ctx, json.RawMessage(`{}`)); err != nil || time.Since(began) != 0 { // whose fault cannot be read any more
			r.Errorf("%v after %s", err, time.Since(began))
		}
	})
}
