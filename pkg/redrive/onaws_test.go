package redrive_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// From a queue that hides letters, repeats them and brings deleted ones back,
// each task is replayed once, however often the operator replays.
func TestReplayFromAnUnreliableQueue(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				as := workqueuetest.AsOnAWS(seed + 1)
				as.Redelivery = 0.2
				r := newRigOn(t, as)
				ids := r.bury(30)
				r.succeed()
				for range 200 {
					if r.depth(dead) > 0 {
						r.replay(redrive.Request{})
					}
					r.work()
					if r.depth(tasks)+r.depth(backlog)+r.depth(dead) == 0 {
						break
					}
					time.Sleep(time.Minute)
				}
				for _, id := range ids {
					r.is(id, task.Succeeded, 2)
					if n := r.times(id, 2); n != 1 {
						t.Errorf("task %s: its second run was tried %d times", id, n)
					}
				}
				r.holds(0, 0)
			})
		})
	}
}
