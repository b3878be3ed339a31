package redrive_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

func TestPurgeAndRestore(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.bury(13)
		binary := attribute{DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}}
		r.foreign(strings.Repeat("x", 400_000), map[string]attribute{"origin": text(tasks), "bytes": binary}) // larger than an item
		before := r.sqs.Messages(dead)
		report, err := r.redrive().Purge(r.ctx(), redrive.Request{Queue: "tasks", By: "ada"})
		if err != nil || report.Quarantined != 14 || !report.Finished || report.Failed != 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		r.holds(0, 0)
		o, err := r.redrive().Overview(r.ctx(), "tasks")
		if err != nil || len(o.Groups) != 0 || o.Indexed != 0 {
			t.Errorf("purged, and yet there: %+v, %v", o, err)
		}
		for _, id := range ids {
			r.is(id, task.DeadLettered, 1)
		}
		restored, err := r.redrive().Restore(r.ctx(), report.JobID, "grace", "")
		if err != nil || restored.Restored != 14 || !restored.Finished {
			t.Fatalf("%+v, %v", restored, err)
		}
		after := r.sqs.Messages(dead)
		bodies := func(messages int) map[string]any { return map[string]any{"n": messages} }
		if diff := cmp.Diff(bodies(len(before)), bodies(len(after))); diff != "" {
			t.Fatal(diff)
		}
		for _, m := range before {
			found := false
			for _, n := range after {
				if n.Body == m.Body && n.Group == m.Group {
					found = true
					a, _ := json.Marshal(m.Attributes)
					b, _ := json.Marshal(n.Attributes)
					if string(a) != string(b) {
						t.Errorf("attributes %s, were %s", b, a)
					}
				}
			}
			if !found {
				t.Errorf("lost: %.80s", m.Body)
			}
		}
		if o, err = r.redrive().Overview(r.ctx(), "tasks"); err != nil || o.Indexed != 13 {
			t.Errorf("restored, and not listed: %+v, %v", o, err)
		}
		again, err := r.redrive().Restore(r.ctx(), report.JobID, "", "")
		if err != nil || again.Restored != 0 || !again.Finished {
			t.Errorf("restored twice: %+v, %v", again, err)
		}
		r.succeed()
		if replay := r.replay(redrive.Request{Kind: redrive.KindReplay, Queue: "tasks", Filter: redrive.Filter{Type: "report.build"}}); replay.Replayed != 13 {
			t.Errorf("%+v", replay)
		}
		r.work()
		r.is(ids[0], task.Succeeded, 2)
	})
}

func TestQuarantineErrors(t *testing.T) {
	bubble(t, func(r *rig) {
		r.bury(2)
		replay := r.plan(redrive.Request{})
		if _, err := r.redrive().Restore(r.ctx(), replay.ID, "", ""); !errors.Is(err, redrive.ErrInvalid) {
			t.Errorf("a restore of a replay: %v", err)
		}
		if _, err := r.redrive().Restore(r.ctx(), "nonsense", "", ""); !errors.Is(err, redrive.ErrNotFound) {
			t.Errorf("%v", err)
		}
		report, err := r.redrive().Purge(r.ctx(), redrive.Request{Queue: "tasks", Max: 1})
		if err != nil || report.Quarantined != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		r.holds(0, 1)
		r.visible()
		// What has been in quarantine for too long is gone, and that is said.
		time.Sleep(14*24*time.Hour + time.Minute)
		restored, err := r.redrive().Restore(r.ctx(), report.JobID, "", "")
		if err != nil || restored.Restored != 0 {
			t.Errorf("%+v, %v", restored, err)
		}
		r.opts.Quarantine = nil
		if _, err := r.redrive().Purge(r.ctx(), redrive.Request{Queue: "tasks"}); !errors.Is(err, redrive.ErrUnsupported) {
			t.Errorf("%v", err)
		}
		if _, err := r.redrive().Restore(r.ctx(), report.JobID, "", ""); !errors.Is(err, redrive.ErrUnsupported) {
			t.Errorf("%v", err)
		}
	})
}

// Nothing is taken off the queue that is not in quarantine.
func TestQuarantineFails(t *testing.T) {
	bubble(t, func(r *rig) {
		r.bury(3)
		r.opts.Quarantine = broken{r.kept}
		report, err := r.redrive().Purge(r.ctx(), redrive.Request{Queue: "tasks"})
		if err != nil || report.Quarantined != 0 || report.Failed != 3 {
			t.Errorf("%+v, %v", report, err)
		}
		r.holds(0, 3)
		r.visible()
		if err := r.queues[dead].Send(t.Context(), workqueue.Outgoing{Body: "x"}); err != nil {
			t.Error(err)
		}
	})
}
