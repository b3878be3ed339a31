package worker_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// On a queue that reorders and repeats messages, before and after they were
// acknowledged, each task still comes to one end: one attempt of one run
// succeeds, and no dead letter is made.
func TestRedeliveredAndReordered(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				as := workqueuetest.AsOnAWS(seed + 1)
				as.Redelivery = 0.2
				p := newPipelineOn(t, as)
				var mu sync.Mutex
				ended := map[int]int{}
				p.handle(func(ctx context.Context, i in) (any, error) {
					time.Sleep(time.Duration(i.N) * 100 * time.Millisecond)
					if i.N%3 == 0 && task.Current(ctx).Attempt == 1 {
						return nil, errFlaky
					}
					mu.Lock()
					defer mu.Unlock()
					ended[i.N]++
					return nil, nil
				})
				var ids []string
				for i := range 30 {
					ids = append(ids, p.submit(number(i), until(24*time.Hour)))
				}
				p.drain()
				for i, id := range ids {
					attempts := 1
					if i%3 == 0 {
						attempts = 2
					}
					p.has(id, task.Succeeded, attempts)
					if ended[i] != 1 {
						t.Errorf("task %d ended %d times", i, ended[i])
					}
				}
				p.holds(map[string]int{})
			})
		})
	}
}
