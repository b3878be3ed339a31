package redrive_test

import (
	"context"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/redrive"
)

// A job that has ended is followed without anybody looking, over invocations,
// and what its tasks have come to is kept when they are gone.
func TestFollow(t *testing.T) {
	bubble(t, func(r *rig) {
		var hops []int
		r.opts.Follow = func(_ context.Context, _ string, hop int) error {
			hops = append(hops, hop)
			return nil
		}
		ids := r.bury(3)
		r.succeed()
		report := r.replay(redrive.Request{})
		if len(hops) != 1 || hops[0] != 0 {
			t.Fatalf("hops %v", hops)
		}
		if err := r.redrive().Follow(r.ctx(), report.JobID, 0); err != nil || len(hops) != 2 || hops[1] != 1 {
			t.Fatalf("hops %v, %v", hops, err)
		}
		done := make(chan error)
		go func() { done <- r.redrive().Follow(r.ctx(), report.JobID, 1) }()
		time.Sleep(time.Second)
		r.work()
		if err := <-done; err != nil || len(hops) != 2 {
			t.Errorf("hops %v, %v", hops, err)
		}
		for _, id := range ids {
			r.db.Delete(id)
		}
		h, err := r.redrive().Job(r.ctx(), report.JobID, 0, 0)
		if err != nil || h.Outcomes == nil || h.Outcomes.Succeeded != 3 {
			t.Errorf("%+v, %v", h, err)
		}
		// Nobody is followed for ever.
		r.fails(context.DeadlineExceeded)
		r.bury(1)
		report = r.replay(redrive.Request{})
		time.Sleep(time.Hour)
		hops = nil
		if err := r.redrive().Follow(r.ctx(), report.JobID, 5); err != nil || len(hops) != 0 {
			t.Errorf("hops %v, %v", hops, err)
		}
	})
}

// Those to look at come first, and the rest can be asked for.
func TestMessagesOfAJob(t *testing.T) {
	bubble(t, func(r *rig) {
		r.bury(5)
		r.foreign("from elsewhere", nil)
		r.succeed()
		report := r.replay(redrive.Request{})
		r.work()
		h, err := r.redrive().Job(r.ctx(), report.JobID, 0, 2)
		if err != nil || len(h.Messages) != 2 || h.Messages[0].Reason != redrive.ReasonOrigin || h.Messages[1].Became != "succeeded" {
			t.Errorf("%+v, %v", h.Messages, err)
		}
		if h, err = r.redrive().Job(r.ctx(), report.JobID, 5, 10); err != nil || len(h.Messages) != 1 {
			t.Errorf("%+v, %v", h.Messages, err)
		}
		if h, err = r.redrive().Job(r.ctx(), report.JobID, 50, 10); err != nil || len(h.Messages) != 0 {
			t.Errorf("%+v, %v", h.Messages, err)
		}
	})
}
