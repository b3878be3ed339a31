package job_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

// repeating is a client that loses the answer to one of its updates and repeats
// the request, as the SDK does.
type repeating struct {
	*archivetest.Table
	left int // updates until then
}

func (c *repeating) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if c.left--; c.left == 0 {
		if _, err := c.Table.UpdateItem(ctx, in, opts...); err != nil {
			return nil, err
		}
	}
	return c.Table.UpdateItem(ctx, in, opts...)
}

// eachLost runs a test once for each of some updates, whose answer is lost. The
// updates of a short job are: lock, job, job (left), lock (let go).
func eachLost(t *testing.T, updates int, test func(r *rig, client *repeating)) {
	t.Helper()
	t.Parallel()
	for n := 1; n <= updates; n++ {
		t.Run(fmt.Sprint("update ", n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				test(r, &repeating{Table: r.table, left: n})
			})
		})
	}
}

// A process whose answer was lost when it took a job has the job.
func TestTakenWithoutAnAnswer(t *testing.T) {
	eachLost(t, 2, func(r *rig, client *repeating) {
		j := r.create(3)
		e := newEngine(client, r.opts)
		found, err := e.Find(r.ctx(), j.ID)
		if err != nil {
			r.t.Fatal(err)
		}
		x, err := e.Begin(r.ctx(), found, true)
		if err != nil {
			r.t.Fatal(err)
		}
		if _, err := r.begin(r.ctx(), j.ID, true); !errors.Is(err, job.ErrBusy) {
			r.t.Errorf("another process: %v", err)
		}
		if done, err := r.drive(r.ctx(), x); err != nil || done.Status != job.Done {
			r.t.Errorf("%+v, %v", done, err)
		}
	})
}

// A process whose answer was lost when it left a job goes on: the next invocation
// is asked for, and a job that has ended gives its lock up.
func TestLeftWithoutAnAnswer(t *testing.T) {
	for _, end := range []job.Status{job.Running, job.Done} {
		t.Run(string(end), func(t *testing.T) {
			eachLost(t, 4, func(r *rig, client *repeating) {
				continued := 0
				opts := r.opts
				opts.Continue = func(context.Context, string, int) error { continued++; return nil }
				j, other := r.create(3), r.create(0)
				e := newEngine(client, opts)
				found, err := e.Find(r.ctx(), j.ID)
				if err != nil {
					r.t.Fatal(err)
				}
				x, err := e.Begin(r.ctx(), found, true)
				if err != nil {
					r.t.Fatal(err)
				}
				ctx := r.ctx()
				if end == job.Running { // no time for a step
					short, cancel := context.WithTimeout(r.t.Context(), time.Second)
					defer cancel()
					ctx = short
				}
				left, err := r.drive(ctx, x)
				if err != nil || left.Status != end {
					r.t.Fatalf("%+v, %v", left, err)
				}
				if want := map[job.Status]int{job.Running: 1}[end]; continued != want {
					r.t.Errorf("continued %d times, want %d", continued, want)
				}
				if _, err := r.begin(r.ctx(), other.ID, true); errors.Is(err, job.ErrBusy) != (end == job.Running) {
					r.t.Errorf("another job: %v", err)
				}
			})
		})
	}
}

// An invocation that is repeated asks for the next one again, if its job still
// waits for that.
func TestContinueAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		var hops []int
		r.opts.Continue = func(_ context.Context, _ string, hop int) error { hops = append(hops, hop); return nil }
		j := r.create(3)
		x, err := r.begin(r.ctx(), j.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(r.t.Context(), time.Second)
		defer cancel()
		if _, err := r.drive(short, x); err != nil {
			t.Fatal(err)
		}
		again := func(hop int) {
			t.Helper()
			found, err := r.engine().Find(r.ctx(), j.ID)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.engine().Continue(r.ctx(), found, hop); err != nil {
				t.Error(err)
			}
		}
		again(0)
		again(1) // its own turn
		if _, err := r.begin(r.ctx(), j.ID, false); err != nil {
			t.Fatal(err)
		}
		again(0) // the next one has begun
		if !slices.Equal(hops, []int{1, 1}) {
			t.Errorf("continued with the hops %v", hops)
		}
	})
}
