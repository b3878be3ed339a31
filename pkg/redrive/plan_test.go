package redrive_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
)

// A dry run changes nothing, and its plan is what is done, not what has come
// since.
func TestPlan(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.bury(12)
		p := r.plan(redrive.Request{Filter: redrive.Filter{Type: "report.build"}})
		if p.Matched != 12 || p.Replay != 12 || !p.Complete || len(p.Messages) != 12 || p.Destinations[tasks] != 12 ||
			len(p.Groups) != 1 || p.Groups[0].Count != 12 || p.Groups[0].Code != "http_500" {
			t.Errorf("%+v", p)
		}
		r.holds(0, 12)
		r.visible()
		for _, id := range ids {
			r.is(id, task.DeadLettered, 1)
		}
		later := r.bury(3)
		r.succeed()
		report, err := r.execute(p.ID)
		if err != nil || report.Replayed != 12 || report.Matched != 12 || !report.Finished {
			t.Errorf("%+v, %v", report, err)
		}
		r.holds(12, 3)
		r.visible()
		for _, id := range later {
			r.is(id, task.DeadLettered, 1)
		}
		// Executing it again only reports.
		again, err := r.execute(p.ID)
		if err != nil || again.Replayed != 12 || again.Status != redrive.Done {
			t.Errorf("%+v, %v", again, err)
		}
		r.holds(12, 3)
	})
}

func TestPlanThatChanged(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.bury(5)
		p := r.plan(redrive.Request{})
		if _, err := r.table.Cancel(t.Context(), "acme", ids[0]); err != nil {
			t.Fatal(err)
		}
		for _, rec := range r.sqs.Receive(dead, 10) {
			if strings.Contains(rec.Body, ids[1]) {
				r.sqs.Delete(dead, rec.ReceiptHandle)
			}
		}
		time.Sleep(31 * time.Second)
		report, err := r.execute(p.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int{"canceled": 1, redrive.ReasonGone: 1}
		if report.Replayed != 3 || report.Skipped != 2 || report.Dropped != 1 || !maps.Equal(report.Reasons, want) || !report.Finished {
			t.Errorf("%+v", report)
		}
		r.holds(3, 0)
	})
}

func TestPlanErrors(t *testing.T) {
	bubble(t, func(r *rig) {
		r.bury(1)
		p := r.plan(redrive.Request{})
		if _, err := r.redrive().Execute(r.ctx(), p.ID, redrive.KindRetry, "", redrive.Settings{}); !errors.Is(err, redrive.ErrPlanUsed) {
			t.Errorf("another kind: %v", err)
		}
		if _, err := r.redrive().Execute(r.ctx(), p.ID, redrive.KindReplay, "stream", redrive.Settings{}); !errors.Is(err, redrive.ErrPlanUsed) {
			t.Errorf("another queue: %v", err)
		}
		if _, err := r.execute("nonsense"); !errors.Is(err, redrive.ErrNotFound) {
			t.Errorf("no such plan: %v", err)
		}
		time.Sleep(time.Hour + time.Second)
		if _, err := r.execute(p.ID); !errors.Is(err, redrive.ErrPlanExpired) {
			t.Errorf("expired: %v", err)
		}
		r.holds(0, 1)
		r.visible()
	})
}

func TestRequestErrors(t *testing.T) {
	bubble(t, func(r *rig) {
		for name, q := range map[string]redrive.Request{
			"unknown queue": {Kind: redrive.KindReplay, Queue: "mails"},
			"negative max":  {Kind: redrive.KindReplay, Queue: "tasks", Max: -1},
			"huge max":      {Kind: redrive.KindReplay, Queue: "tasks", Max: redrive.MaxPlan + 1},
			"negative rate": {Kind: redrive.KindReplay, Queue: "tasks", Rate: -1},
			"huge rate":     {Kind: redrive.KindReplay, Queue: "tasks", Rate: 1e9},
			"huge canary":   {Kind: redrive.KindReplay, Queue: "tasks", Canary: 101},
			"canary":        {Kind: redrive.KindPurge, Queue: "tasks", Canary: 1},
			"no origin":     {Kind: redrive.KindReplay, Queue: "stream"},
			"empty ages":    {Kind: redrive.KindReplay, Queue: "tasks", Filter: redrive.Filter{OlderThan: time.Hour, NewerThan: time.Minute}},
			"status":        {Kind: redrive.KindReplay, Queue: "tasks", Filter: redrive.Filter{Status: task.Failed}},
			"other status":  {Kind: redrive.KindRetry, Filter: redrive.Filter{Status: task.Succeeded}},
			"no kind":       {Queue: "tasks"},
			"other kind":    {Kind: redrive.KindNative, Queue: "tasks"},
			"empty id":      {Kind: redrive.KindReplay, Queue: "tasks", Filter: redrive.Filter{IDs: []string{""}}},
		} {
			if _, err := r.redrive().Run(r.ctx(), q); err == nil {
				t.Errorf("%s: no error", name)
			}
			if _, err := r.redrive().Plan(r.ctx(), q); err == nil {
				t.Errorf("%s: no error of a plan", name)
			}
		}
		if keys := r.control.Keys(); len(keys) != 0 {
			t.Errorf("stored: %v", keys)
		}
	})
}
