package tasktabletest_test

import (
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/ddbfake"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

func TestTable(t *testing.T) {
	t.Parallel()
	shared := tasktabletest.NewDynamoDB()
	tasktabletest.Run(t, func(_ *testing.T, opts *tasktable.Options) tasktabletest.Store {
		return tasktable.New(shared, "tasks", opts)
	})
}

// The protocol holds where indexes lag, as on AWS.
func TestLateTable(t *testing.T) {
	t.Parallel()
	db := ddbfake.New(&ddbfake.Options{Seed: 1, Lag: 30 * time.Millisecond, FreshReads: true})
	db.CreateTable(tasktabletest.Spec("tasks"))
	tasktabletest.Run(t, func(_ *testing.T, opts *tasktable.Options) tasktabletest.Store {
		return tasktable.New(db, "tasks", opts)
	})
}
