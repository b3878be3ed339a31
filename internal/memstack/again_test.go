package memstack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/spillway-go/spillway/internal/memstack"
)

// Lambda may deliver an asynchronous event again although the function has
// succeeded
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
func TestLimitAsyncAgain(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	opts := with("RecoverFunction", func(_ context.Context, event json.RawMessage) (json.RawMessage, error) {
		mu.Lock()
		defer mu.Unlock()
		seen[string(event)]++
		return nil, nil
	})
	opts.Again = 0.5
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		const sent = 30
		for i := range sent {
			if _, err := invoke(t, s, "RecoverFunction", fmt.Append(nil, i), types.InvocationTypeEvent); err != nil {
				t.Fatal(err)
			}
		}
		again := func() (n int) {
			mu.Lock()
			defer mu.Unlock()
			for _, times := range seen {
				n += min(times-1, 1)
			}
			return n
		}
		s.Await("some of the events come again", func() bool { return again() >= sent/5 })
		if len(seen) != sent {
			t.Errorf("%d events were delivered, want %d", len(seen), sent)
		}
	})
}

// A stream's batch that succeeded may come again, before the next one
// (https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html).
func TestLimitStreamAgain(t *testing.T) {
	c := &consumer{answer: func([]string, []events.DynamoDBEventRecord) (string, error) { return "", nil }}
	opts := with("NotifyFunction", c.handle)
	opts.Again = 0.5
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		const rows = 30
		var last string
		for i := range rows {
			last = fmt.Sprint(i)
			ended(t, s, last)
			s.Await("row "+last, func() bool { seen := c.seen(); return len(seen) > 0 && seen[len(seen)-1] == last })
		}
		s.Quiet()
		seen := c.seen()
		order := []string{}
		for _, batch := range seen {
			if len(order) == 0 || order[len(order)-1] != batch {
				order = append(order, batch)
			}
		}
		if len(order) != rows || len(seen) < rows+rows/5 {
			t.Errorf("%d batches, %d without repetitions, want more than %d and %d", len(seen), len(order), rows, rows)
		}
	})
}
