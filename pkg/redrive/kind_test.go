package redrive_test

import (
	"errors"
	"testing"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/redrive"
)

// A job of a kind that this package does not run is refused, and not taken.
func TestExecuteUnknownKind(t *testing.T) {
	synctestRun(t, func(r *rig) {
		others := job.New[redrive.Request, *job.Progress, redrive.Entry](r.control, "control", job.Spec[redrive.Request, *job.Progress]{
			New: func() *job.Progress { return &job.Progress{} }, Lock: func(redrive.Request) string { return "" },
		}, job.Options{})
		j, err := others.Create(r.ctx(), id.New(), redrive.Request{Kind: "other"}, &job.Progress{}, job.Event{What: "begun"})
		if err != nil {
			r.t.Fatal(err)
		}
		if _, err := r.redrive().Execute(r.ctx(), j.ID, "other", "", redrive.Settings{}); !errors.Is(err, redrive.ErrUnsupported) {
			r.t.Errorf("%v", err)
		}
		if j, err = others.Find(r.ctx(), j.ID); err != nil || j.Status != job.Planned {
			r.t.Errorf("%+v, %v", j, err)
		}
	})
}
