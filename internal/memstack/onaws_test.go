package memstack_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake"
	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/client"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// asOnAWS are the options with which everything happens that AWS allows itself:
// reordering, redelivery, lag, throttles, conflicts.
func asOnAWS(seed uint64, hooks *receiver) memstack.Options {
	return memstack.Options{
		SQS: workqueuetest.AsOnAWS(seed), DynamoDB: ddbfake.AsOnAWS(seed), Seed: seed, Again: 0.1, Slow: 0.01, Receiver: hooks.answer,
		Parameters: map[string]string{"Size": "local"},
	}
}

// finals watches the rows of tasks: one that has succeeded or was canceled stays
// as it is.
func finals(t *testing.T, s *memstack.Stack) {
	var mu sync.Mutex
	final := map[string]string{}
	table := s.Name("TasksTable")
	s.DB.Watch(func(c ddbfake.Change) {
		id, _ := c.New["id"].(*types.AttributeValueMemberS)
		status, _ := c.New["status"].(*types.AttributeValueMemberS)
		if c.Table != table || id == nil || status == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if was := final[id.Value]; was != "" && was != status.Value {
			t.Errorf("task %s was %s and is %s", id.Value, was, status.Value)
		}
		if status.Value == "succeeded" || status.Value == "canceled" {
			final[id.Value] = status.Value
		}
	})
}

// With all that, and with processes that are killed at random calls, every task
// ends, every receiver accepts one message for each webhook, and the queues are
// empty.
func TestAsOnAWS(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			hooks := &receiver{}
			inBubble(t, asOnAWS(seed+1, hooks), func(t *testing.T, s *memstack.Stack) {
				finals(t, s)
				var mu sync.Mutex
				dice := rand.New(rand.NewPCG(seed, 1))
				s.Inject(func(c memstack.Call) memstack.Fault {
					mu.Lock()
					defer mu.Unlock()
					return memstack.Fault{Kill: c.Function != "" && dice.IntN(50) == 0, AfterEffect: dice.IntN(2) == 0}
				})
				var ids []string
				webhooks := 0
				for i := range 30 {
					r := deliver
					if i%3 == 0 {
						r = export
						r.CallbackURL = "https://hooks.example.com/done"
					}
					if i%4 == 0 {
						r.Priority = client.Bulk
					}
					r.Delay = time.Duration(i%5) * 10 * time.Second
					webhooks++ // the task's own, or its callback
					ids = append(ids, submit(t, s, r))
				}
				for _, id := range ids {
					ends(t, s, id, client.Succeeded)
				}
				s.Await("all webhooks", func() bool { return len(hooks.delivered()) == webhooks })
				s.Quiet()
				if n := len(hooks.delivered()); n != webhooks {
					t.Errorf("%d webhooks, want %d", n, webhooks)
				}
			})
		})
	}
}
