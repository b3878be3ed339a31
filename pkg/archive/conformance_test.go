package archive_test

import (
	"testing"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	table, bucket := archivetest.NewTable(), archivetest.NewBucket()
	archivetest.Run(t, archive.New(table, "control", bucket, "bucket", nil))
	if keys := table.Keys(); len(keys) > 0 {
		t.Errorf("%v are left", keys)
	}
}
