package tasktabletest_test

import (
	"testing"

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
