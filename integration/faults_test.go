//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/spillway-go/spillway/internal/awsproxy"
	"github.com/spillway-go/spillway/pkg/client"
)

// One call in twenty fails, before or after it took effect, alone or as one
// entry of a batch. Every task that was accepted comes to the end that it has
// without them.
func TestFaults(t *testing.T) {
	const tasks = 500
	r := newReceiver(t)
	setVisibility(t, soon())
	fault := func(service, operation string, when awsproxy.When, e awsproxy.Error) *awsproxy.Injection {
		return stack.proxy.Inject(awsproxy.Fault{Service: service, Operation: operation, When: when, Error: e, Rate: 0.05})
	}
	var injections []*awsproxy.Injection
	for _, op := range [][2]string{
		{"sqs", "SendMessage"}, {"sqs", "SendMessageBatch"}, {"dynamodb", "PutItem"}, {"dynamodb", "UpdateItem"}, {"dynamodb", "BatchExecuteStatement"},
	} {
		injections = append(injections, fault(op[0], op[1], awsproxy.Before, awsproxy.ServerError), fault(op[0], op[1], awsproxy.After, awsproxy.Reset))
	}
	injections = append(injections,
		fault("dynamodb", "BatchExecuteStatement", awsproxy.PartialBefore, awsproxy.Throttling),
		fault("dynamodb", "BatchExecuteStatement", awsproxy.PartialAfter, awsproxy.ServerError),
		fault("sqs", "SendMessageBatch", awsproxy.PartialBefore, awsproxy.ServerError))

	kinds := []struct {
		path string
		want client.Status
	}{{"/ok", client.Succeeded}, {"/flaky/2/500", client.Succeeded}, {"/status/400", client.Failed}, {"/status/500", client.DeadLettered}}
	var mu sync.Mutex
	accepted := map[string]client.Status{}
	var g errgroup.Group
	g.SetLimit(16)
	for i := range tasks {
		kind := kinds[0]
		if i%10 < len(kinds) {
			kind = kinds[i%10]
		}
		g.Go(func() error {
			task, err := stack.api.Submit(t.Context(), client.SubmitRequest{Type: "webhook.deliver", Input: webhook(r.URL + kind.path)})
			if api := (*client.APIError)(nil); errors.As(err, &api) && api.Status >= 500 {
				return nil // was not accepted
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			accepted[task.ID] = kind.want
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	g.SetLimit(16)
	for id, status := range accepted {
		g.Go(func() error {
			task, err := stack.api.Wait(ctx, id)
			if err != nil {
				return fmt.Errorf("task %s: %w", id, err)
			}
			if task.Status != status {
				return fmt.Errorf("task %s is %s after %d attempts, want %s (%+v)", id, task.Status, task.Attempts, status, task.Error)
			}
			if task.Attempts > 4 {
				return fmt.Errorf("task %s had %d attempts, at most 4 are allowed", id, task.Attempts)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	fired := 0
	for _, in := range injections {
		fired += in.Fired()
		in.Remove()
	}
	t.Logf("%d of %d tasks accepted, %d faults injected", len(accepted), tasks, fired)
	if fired < 20 || len(accepted) < tasks*9/10 {
		t.Errorf("%d faults and %d accepted tasks prove little", fired, len(accepted))
	}
	eventually(t, quiet(stack.out["TasksQueueUrl"]))
	eventually(t, quiet(stack.out["BacklogQueueUrl"]))
}
