package worker_test

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// chaos stands between a worker and AWS: it counts calls, fails them before or
// after their effect, and kills workers between any two of them.
type chaos struct {
	db  *tasktabletest.DynamoDB
	sqs *workqueuetest.SQS

	mu     sync.Mutex
	called map[string]int
	decide func(ctx context.Context, operation string) fault // nil lets all pass
}

var (
	_ tasktable.API = (*chaos)(nil)
	_ workqueue.API = (*chaos)(nil)
)

// fault is what happens to a call.
type fault int

const (
	none   fault = iota
	before       // fails without effect
	after        // takes effect, and the answer is lost
)

var errChaos = errors.New("injected")

// life is one invocation's. Once it is over, none of its calls has an effect.
type life struct {
	mu   sync.Mutex
	left int // calls until it ends; negative: it does not
	over bool
}

type lifeKey struct{}

func withLife(ctx context.Context, l *life) context.Context {
	return context.WithValue(ctx, lifeKey{}, l)
}

// alive reports whether the invocation that ctx belongs to is.
func alive(ctx context.Context) bool {
	l, ok := ctx.Value(lifeKey{}).(*life)
	if !ok {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.over
}

// call counts down to the end.
func (l *life) call() (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == 0 {
		l.over = true
	}
	l.left--
	return !l.over
}

func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// inject decides about every call from now on.
func (c *chaos) inject(decide func(ctx context.Context, operation string) fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decide = decide
}

// nth makes the nth call of an operation from now on fail.
func (c *chaos) nth(operation string, n int, f fault) {
	c.inject(func(_ context.Context, op string) fault {
		if op == operation {
			if n--; n == 0 {
				return f
			}
		}
		return none
	})
}

func (c *chaos) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.called = nil
}

func (c *chaos) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.called)
}

func through[In, Out, Opt any](ctx context.Context, c *chaos, operation string, in In, next func(context.Context, In, ...Opt) (*Out, error)) (*Out, error) {
	if l, ok := ctx.Value(lifeKey{}).(*life); ok && !l.call() {
		return nil, errChaos
	}
	c.mu.Lock()
	if c.called == nil {
		c.called = map[string]int{}
	}
	c.called[operation]++
	f := none
	if c.decide != nil {
		f = c.decide(ctx, operation)
	}
	c.mu.Unlock()
	if f == before {
		return nil, errChaos
	}
	out, err := next(ctx, in)
	if f == after {
		return nil, errChaos
	}
	return out, err
}

func (c *chaos) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	return through(ctx, c, "PutItem", in, c.db.PutItem)
}

func (c *chaos) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return through(ctx, c, "GetItem", in, c.db.GetItem)
}

func (c *chaos) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return through(ctx, c, "UpdateItem", in, c.db.UpdateItem)
}

func (c *chaos) BatchExecuteStatement(ctx context.Context, in *dynamodb.BatchExecuteStatementInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchExecuteStatementOutput, error) {
	return through(ctx, c, "BatchExecuteStatement", in, c.db.BatchExecuteStatement)
}

func (c *chaos) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	return through(ctx, c, "BatchGetItem", in, c.db.BatchGetItem)
}

func (c *chaos) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return through(ctx, c, "Query", in, c.db.Query)
}

func (c *chaos) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	return through(ctx, c, "SendMessage", in, c.sqs.SendMessage)
}

func (c *chaos) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	return through(ctx, c, "SendMessageBatch", in, c.sqs.SendMessageBatch)
}

func (c *chaos) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return through(ctx, c, "ChangeMessageVisibility", in, c.sqs.ChangeMessageVisibility)
}

func (c *chaos) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return through(ctx, c, "ChangeMessageVisibilityBatch", in, c.sqs.ChangeMessageVisibilityBatch)
}
