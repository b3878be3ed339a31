package job_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

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
