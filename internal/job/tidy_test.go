package job_test

import (
	"context"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/job"
)

// What a run that died has left in the source is forgotten by a later one, even
// if a run between them had no time for it.
func TestTidyLater(t *testing.T) {
	bubble(t, func(r *rig) {
		all := func(w *work) { w.bounds = job.Bounds{Limit: 3, Concurrency: 1, Step: 3} }
		j := r.create(3)
		begin := func(tidy bool) *run {
			t.Helper()
			x, err := r.begin(r.ctx(), j.ID, true)
			if err != nil || x.Tidy != tidy {
				t.Fatalf("%+v, %v", x, err)
			}
			return x
		}
		x := begin(true)
		r.kill(4, false) // all are dealt with, and none is forgotten
		if _, err := r.drive(r.ctx(), x, all); err == nil || !r.again() || len(r.written) != 3 || len(r.guests()) != 3 {
			t.Fatalf("%v; wrote to %v, left %v", err, r.written, r.guests())
		}
		time.Sleep(time.Minute)
		short, cancel := context.WithTimeout(r.t.Context(), time.Second)
		defer cancel()
		if stopped, err := r.drive(short, begin(false), all); err != nil || stopped.Status != job.Stopped {
			t.Errorf("%+v, %v", stopped, err)
		}
		if done, err := r.drive(r.ctx(), begin(false), all); err != nil || done.Status != job.Done || len(r.guests()) > 0 {
			t.Errorf("%+v, %v; left %v", done, err, r.guests())
		}
		for name, n := range r.written {
			if n != 1 {
				t.Errorf("%s was written to %d times", name, n)
			}
		}
	})
}
