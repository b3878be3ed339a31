package workqueuetest

import (
	"context"
	"errors"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// Call is a request as an injected function sees it.
type Call struct {
	Operation string   // "SendMessageBatch", …
	Queue     string   // name
	Entries   []string // bodies of a send, receipt handles of a change of visibility
}

// Fault is what to do to a call. The zero value lets it pass.
type Fault struct {
	// Err is answered instead.
	Err error
	// AfterEffect lets the call take effect before Err is answered: its
	// answer is lost.
	AfterEffect bool
	// Entries fail, by index, inside of a batch call that succeeds.
	Entries map[int]types.BatchResultErrorEntry
}

// Inject calls f before every call and does what it says. f runs without a
// lock and must be safe for concurrent use. nil ends it.
func (s *SQS) Inject(f func(Call) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inject = f
}

// Calls returns how often each operation was called.
func (s *SQS) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// ResetCalls makes [SQS.Calls] count from 0 again.
func (s *SQS) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
}

// begin counts a call and asks what to do to it.
func (s *SQS) begin(c Call) Fault {
	s.mu.Lock()
	s.calls[c.Operation]++
	inject := s.inject
	s.mu.Unlock()
	if inject == nil {
		return Fault{}
	}
	return inject(c)
}

// refusal lets entry i of a batch take effect, unless it is to fail, and
// returns why it failed.
func (f Fault) refusal(i int, effect func() error) *types.BatchResultErrorEntry {
	if e, ok := f.Entries[i]; ok {
		return &e
	}
	err := effect()
	if err == nil {
		return nil
	}
	e := types.BatchResultErrorEntry{Code: aws.String("InternalError"), Message: aws.String(err.Error())}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Code, e.Message, e.SenderFault = aws.String(api.ErrorCode()), aws.String(api.ErrorMessage()), true
	}
	return &e
}

// enter is the beginning of every call about a queue: which one, and what goes
// wrong.
func (s *SQS) enter(ctx context.Context, operation string, url *string, entries []string) (Fault, *queue, error) {
	if err := ctx.Err(); err != nil {
		return Fault{}, nil, err
	}
	q := s.byURL(url)
	if q == nil {
		return Fault{}, nil, noQueue()
	}
	fault := s.begin(Call{Operation: operation, Queue: q.name, Entries: entries})
	if fault.Err != nil && !fault.AfterEffect {
		return fault, q, fault.Err
	}
	return fault, q, nil
}
