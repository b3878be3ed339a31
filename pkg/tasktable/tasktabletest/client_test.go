package tasktabletest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// mishap is what happens to one call.
type mishap int

const (
	none   mishap = iota
	failed        // it has no effect, and none of the SDK's retries has
	lost          // it takes effect, its answer is lost, and the retries time out
	again         // it takes effect, its answer is lost, and the SDK sends it again
	late          // it fails, and takes effect after a while
	slow          // it takes a while
	partly        // one entry of a batch is throttled inside of a 200
)

var mishaps = []mishap{failed, lost, again, late, slow, partly}

func (m mishap) String() string {
	return [...]string{"none", "failed", "lost", "again", "late", "slow", "partly"}[m]
}

// meanwhile is how long a late or slow call takes: more than a lease here.
const meanwhile = 45 * time.Second

var (
	errMishap = errors.New("the service did not answer")
	errDead   = errors.New("the process is gone")
)

// process is one that calls AWS, for the time of one invocation or request. Its
// calls are counted from 0; what is to happen to them is decided beforehand.
type process struct {
	name    string
	kill    int // before this call the process is killed; -1: it is not
	after   bool
	mishaps map[int]mishap

	mu   sync.Mutex
	n    int // calls so far
	dead bool
}

// healthy returns a process to which nothing happens.
func healthy(name string) *process { return &process{name: name, kill: -1} }

// dying returns a process that is killed before or after its nth call.
func dying(name string, n int, after bool) *process {
	return &process{name: name, kill: n, after: after}
}

func (p *process) String() string {
	s := p.name
	if p.kill >= 0 {
		s += fmt.Sprintf(", killed at call %d (after its effect: %t)", p.kill, p.after)
	}
	if len(p.mishaps) > 0 {
		s += fmt.Sprintf(", mishaps %v", p.mishaps)
	}
	return s
}

// die ends the process: nothing that it does from now on has an effect.
func (p *process) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead
}

// calls returns how many there were.
func (p *process) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// next decides about the next call.
func (p *process) next() (m mishap, killedAfter, alive bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.n
	p.n++
	if n == p.kill && !p.after {
		p.dead = true
	}
	return p.mishaps[n], n == p.kill, !p.dead
}

type processKey struct{}

func (p *process) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, processKey{}, p)
}

// processOf returns the process that ctx belongs to.
func processOf(ctx context.Context) *process {
	p, ok := ctx.Value(processKey{}).(*process)
	if !ok {
		return healthy("harness")
	}
	return p
}

// client is the SDK's clients of table and queues, as processes use them.
type client struct {
	db  *tasktabletest.DynamoDB
	sqs *workqueuetest.SQS
}

var (
	_ tasktable.API = client{}
	_ workqueue.API = client{}
)

// through makes a call, and lets happen to it what is to happen. partial is
// the call with its first entry throttled; nil if it has no entries.
func through[In, Out, Opt any](ctx context.Context, in In, next func(context.Context, In, ...Opt) (*Out, error), partial func() (*Out, error)) (*Out, error) {
	p := processOf(ctx)
	m, last, alive := p.next()
	if !alive {
		return nil, errDead
	}
	if last {
		_, _ = next(ctx, in)
		p.die()
		return nil, errDead
	}
	switch m {
	case failed:
		return nil, errMishap
	case lost:
		_, _ = next(ctx, in)
		return nil, errMishap
	case again:
		_, _ = next(ctx, in)
	case late:
		ctx := context.WithoutCancel(ctx)
		go func() {
			time.Sleep(meanwhile)
			_, _ = next(ctx, in)
		}()
		return nil, errMishap
	case slow:
		if err := sleep(ctx, meanwhile); err != nil {
			return nil, err
		}
		if !p.alive() { // killed while it waited
			return nil, errDead
		}
	case partly:
		if partial != nil {
			return partial()
		}
	default:
	}
	return next(ctx, in)
}

// sleep waits, but not longer than ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c client) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	return through(ctx, in, c.db.PutItem, nil)
}

func (c client) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return through(ctx, in, c.db.GetItem, nil)
}

func (c client) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return through(ctx, in, c.db.UpdateItem, nil)
}

func (c client) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	return through(ctx, in, c.db.BatchGetItem, nil)
}

func (c client) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return through(ctx, in, c.db.Query, nil)
}

func (c client) BatchExecuteStatement(ctx context.Context, in *dynamodb.BatchExecuteStatementInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchExecuteStatementOutput, error) {
	return through(ctx, in, c.db.BatchExecuteStatement, func() (*dynamodb.BatchExecuteStatementOutput, error) {
		out, rest := &dynamodb.BatchExecuteStatementOutput{}, *in
		if rest.Statements = in.Statements[1:]; len(rest.Statements) > 0 {
			var err error
			if out, err = c.db.BatchExecuteStatement(ctx, &rest); err != nil {
				return nil, err
			}
		}
		throttled := dynamotypes.BatchStatementResponse{Error: &dynamotypes.BatchStatementError{
			Code: dynamotypes.BatchStatementErrorCodeEnumThrottlingError, Message: aws.String("slow down"),
		}}
		out.Responses = append([]dynamotypes.BatchStatementResponse{throttled}, out.Responses...)
		return out, nil
	})
}

func (c client) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	return through(ctx, in, c.sqs.SendMessage, nil)
}

func (c client) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	return through(ctx, in, c.sqs.SendMessageBatch, func() (*sqs.SendMessageBatchOutput, error) {
		out, rest := &sqs.SendMessageBatchOutput{}, *in
		if rest.Entries = in.Entries[1:]; len(rest.Entries) > 0 {
			var err error
			if out, err = c.sqs.SendMessageBatch(ctx, &rest); err != nil {
				return nil, err
			}
		}
		out.Failed = append(out.Failed, throttledEntry(in.Entries[0].Id))
		return out, nil
	})
}

func (c client) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return through(ctx, in, c.sqs.ChangeMessageVisibility, nil)
}

func (c client) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return through(ctx, in, c.sqs.ChangeMessageVisibilityBatch, func() (*sqs.ChangeMessageVisibilityBatchOutput, error) {
		out, rest := &sqs.ChangeMessageVisibilityBatchOutput{}, *in
		if rest.Entries = in.Entries[1:]; len(rest.Entries) > 0 {
			var err error
			if out, err = c.sqs.ChangeMessageVisibilityBatch(ctx, &rest); err != nil {
				return nil, err
			}
		}
		out.Failed = append(out.Failed, throttledEntry(in.Entries[0].Id))
		return out, nil
	})
}

func throttledEntry(id *string) sqstypes.BatchResultErrorEntry {
	return sqstypes.BatchResultErrorEntry{Id: id, Code: aws.String("InternalError"), Message: aws.String("slow down")}
}
