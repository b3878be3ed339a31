package redrive_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
)

// Looking changes nothing but receive counts.
func TestList(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.bury(23)
		list, err := r.redrive().List(r.ctx(), "tasks", redrive.Filter{}, 1000)
		if err != nil || len(list.Letters) != 23 || !list.Complete {
			t.Fatalf("%d letters, %v", len(list.Letters), err)
		}
		r.visible()
		r.holds(0, 23)
		l := list.Letters[0]
		if l.MovedBy != redrive.ByWorker || l.Failure.Code != "http_500" || len(l.Failure.History) != 1 || l.Failure.Attempts != 1 ||
			l.Tenant() != "acme" || l.Type() != "report.build" || l.Origin() != tasks || l.Task.Run != 2 || l.ReceiveCount != 1 {
			t.Errorf("%+v", l)
		}
		if list, err = r.redrive().List(r.ctx(), "tasks", redrive.Filter{IDs: ids[20:21]}, 0); err != nil || len(list.Letters) != 1 || list.Letters[0].TaskID() != ids[20] {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err = r.redrive().List(r.ctx(), "tasks", redrive.Filter{}, 5); err != nil || len(list.Letters) != 5 || !list.Complete {
			t.Errorf("%+v, %v", list, err)
		}
		r.visible()
		if _, err := r.redrive().List(r.ctx(), "nonsense", redrive.Filter{}, 5); !errors.Is(err, redrive.ErrUnknownQueue) || !strings.Contains(err.Error(), "stream, tasks") {
			t.Errorf("%v", err)
		}
	})
}

// What others hold is not seen, and that is said.
func TestListOfHeldLetters(t *testing.T) {
	bubble(t, func(r *rig) {
		r.bury(5)
		r.sqs.Receive(dead, 2) // somebody looks at them, for 30 s
		list, err := r.redrive().List(r.ctx(), "tasks", redrive.Filter{}, 100)
		if err != nil || len(list.Letters) != 3 || list.Complete || list.Unseen != 2 {
			t.Errorf("%d letters, %+v, %v", len(list.Letters), list, err)
		}
	})
}

// The bodies of a listing are bounded, whatever lies in the queue.
func TestListOfLargeLetters(t *testing.T) {
	bubble(t, func(r *rig) {
		for range 8 {
			r.foreign(strings.Repeat("x", 900_000), nil)
		}
		list, err := r.redrive().List(r.ctx(), "tasks", redrive.Filter{}, 100)
		if err != nil || len(list.Letters) != 4 || list.Complete {
			t.Errorf("%d letters, complete %t, %v", len(list.Letters), list.Complete, err)
		}
		r.visible()
	})
}

// Groups come from the index, without receiving anything, as long as that knows
// all there is.
func TestOverview(t *testing.T) {
	bubble(t, func(r *rig) {
		first := r.bury(3)
		time.Sleep(time.Hour)
		r.bury(4)
		r.fails(task.Code("timeout", errors.New("no answer from 10.0.0.7:8080 within 3s")))
		r.bury(2)
		receives := r.sqs.Calls()["ReceiveMessage"]
		o, err := r.redrive().Overview(r.ctx(), "tasks")
		if err != nil {
			t.Fatal(err)
		}
		if r.sqs.Calls()["ReceiveMessage"] != receives {
			t.Error("something was received")
		}
		if o.Counts.Visible != 9 || o.Indexed != 9 || !o.Complete || len(o.Groups) != 2 || time.Since(o.Oldest) < time.Hour {
			t.Fatalf("%+v", o)
		}
		g := o.Groups[0]
		if g.Count != 7 || g.Code != "http_500" || g.Type != "report.build" || g.MovedBy != redrive.ByWorker || g.LastSeen.Sub(g.FirstSeen) < time.Hour || g.TaskID == first[0] {
			t.Errorf("%+v", g)
		}
		// What the index does not know is looked for.
		r.foreign("from elsewhere", nil)
		if o, err = r.redrive().Overview(r.ctx(), "tasks"); err != nil || len(o.Groups) != 3 || o.Groups[2].MovedBy != redrive.BySender || o.Groups[2].MessageID == "" || !o.Complete {
			t.Errorf("%+v, %v", o, err)
		}
		if o.Groups[0].Count != 7 {
			t.Errorf("counted twice: %+v", o.Groups)
		}
		r.visible()
	})
}
