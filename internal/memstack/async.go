package memstack

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// asyncConfig is what happens to events of asynchronous invocations.
type asyncConfig struct {
	retries int
	maxAge  time.Duration
	// destination is the URL of the queue that is told of events given up,
	// empty without one.
	destination string
}

// asyncDefaults are those of a function without an EventInvokeConfig
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html).
var asyncDefaults = asyncConfig{retries: 2, maxAge: 6 * time.Hour}

// asyncWaits are the waits before the second try and the third
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
var asyncWaits = []time.Duration{time.Minute, 2 * time.Minute}

// maxAgain is how much later an event that succeeded comes again, at most. AWS
// states no figure.
const maxAgain = time.Minute

// invokeAsync takes an event into the function's queue of asynchronous
// invocations, and returns at once. A throttled event is tried again after 1 s,
// twice as long each time up to 5 minutes, until it is too old. An event that
// succeeded comes again as often as [Options.Again] says
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
func (s *Stack) invokeAsync(f *function, payload []byte) {
	s.spawn(func() {
		id, taken, backoff := s.uuid(), time.Now(), time.Second
		for tries := 0; ; {
			if time.Since(taken) > f.async.maxAge {
				s.undelivered(f, id, "EventAgeExceeded", tries, payload, result{})
				return
			}
			if f.enter() {
				if !s.wait(backoff) {
					return
				}
				backoff = min(2*backoff, 5*time.Minute)
				continue
			}
			out := f.invoke(payload)
			if s.ctx.Err() != nil {
				return
			}
			if tries++; out.kind == "" {
				if !s.chance(s.opts.Again) || !s.wait(s.upTo(maxAgain)) {
					return
				}
				tries = 0
				continue
			}
			if tries > f.async.retries {
				s.undelivered(f, id, "RetriesExhausted", tries, payload, out)
				return
			}
			if !s.wait(asyncWaits[min(tries, len(asyncWaits))-1]) {
				return
			}
		}
	})
}

// wait waits, and returns false if the stack ends.
func (s *Stack) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// undelivered sends an event that Lambda gave up to the destination of failures
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html).
func (s *Stack) undelivered(f *function, id, condition string, tries int, payload []byte, out result) {
	if f.async.destination == "" {
		s.logf("%s gives up an asynchronous event: %s after %d tries: %s", f.id, condition, tries, out.payload)
		return
	}
	s.sendRecord(f.async.destination, map[string]any{
		"version": "1.0", "timestamp": stamp(time.Now()),
		"requestContext":  map[string]any{"requestId": id, "functionArn": f.arn() + ":$LATEST", "condition": condition, "approximateInvokeCount": tries},
		"requestPayload":  json.RawMessage(payload),
		"responseContext": map[string]any{"statusCode": 200, "executedVersion": "$LATEST", "functionError": out.kind},
		"responsePayload": json.RawMessage(out.payload),
	})
}

// sendRecord sends a record of Lambda to a queue.
func (s *Stack) sendRecord(url string, record map[string]any) {
	text, err := json.Marshal(record)
	if err != nil {
		s.failf("a record for %s: %v", url, err)
		return
	}
	body := string(text)
	if _, err := s.SQS.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
		s.failf("a record for %s: %v", url, err)
	}
}

// stamp is a time as Lambda's records have it.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
