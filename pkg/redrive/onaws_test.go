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

// What a sweep has received may still count as visible, for up to a minute: it
// is not held by another process, and nothing is missing in a list.
func TestListWhileNumbersLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRigOn(t, workqueuetest.Options{CountLag: time.Minute})
		r.bury(12)
		time.Sleep(time.Hour)
		begin := time.Now()
		list, err := r.redrive().List(r.ctx(), "tasks", redrive.Filter{}, 0)
		if err != nil || len(list.Letters) != 12 || !list.Complete || list.Unseen != 0 || time.Since(begin) > 3*time.Second {
			t.Errorf("%+v, %v after %v", list, err, time.Since(begin))
		}
		if p := r.plan(redrive.Request{}); p.Matched != 12 || !p.Complete {
			t.Errorf("%+v", p)
		}
		r.sqs.Receive(dead, 2) // another process holds two for 30 s
		list, err = r.redrive().List(r.ctx(), "tasks", redrive.Filter{}, 0)
		if err != nil || len(list.Letters) != 10 || list.Complete || list.Unseen != 2 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
