package redrive

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Plan is what a job would do, message by message, found out without changing
// anything.
type Plan struct {
	ID      string
	Until   time.Time // when it can be executed no more
	Request Request

	Matched      int
	Replay       int // to be sent
	Drop         int // to be taken off the queue, since their tasks have ended
	Skip         int // not to be sent, dropped ones among them
	Reasons      map[string]int
	Destinations map[string]int   // by queue, those to be sent
	Groups       []Group          // of what matches
	Messages     []PlannedMessage // the first 100
	// Complete says that the plan covers all that matches.
	Complete bool
}

// PlannedMessage is what is to become of one message.
type PlannedMessage struct {
	MessageID string `json:"message_id,omitempty"`
	TaskID    string `json:"task_id,omitempty"`
	Type      string `json:"type,omitempty"`
	Run       int    `json:"run,omitempty"`
	Action    string `json:"action"` // replay, drop, skip, or purge
	Reason    string `json:"reason,omitempty"`
	To        string `json:"to,omitempty"` // name of the queue
}

// maxShown is how many messages a plan shows.
const maxShown = 100

// plan is a plan as stored: what it is to deal with, by message id, or by task
// id for what was found in the index of the task table.
type plan struct {
	keys  []string
	index map[string]struct{}
}

// taskKey is how a plan names the letter of a task: by the run that it is for,
// since a letter of another run has another reason.
func taskKey(id string, run int) string { return taskPrefix + id + "/" + strconv.Itoa(run) }

const taskPrefix = "task/"

// taskOf reads a taskKey.
func taskOf(key string) (id string, run int, ok bool) {
	rest, ok := strings.CutPrefix(key, taskPrefix)
	id, number, _ := strings.Cut(rest, "/")
	run, err := strconv.Atoi(number)
	return id, run, ok && err == nil
}

// holds reports whether the plan is about a letter.
func (p *plan) holds(l *Letter) bool {
	if _, ok := p.index[l.MessageID]; ok {
		return true
	}
	if l.Task == nil || l.MovedBy != ByWorker {
		return false
	}
	_, ok := p.index[taskKey(l.TaskID(), l.Task.Run)]
	return ok
}

func newPlan(keys []string) *plan {
	p := &plan{keys: keys, index: make(map[string]struct{}, len(keys))}
	for _, key := range keys {
		p.index[key] = struct{}{}
	}
	return p
}

// Plan finds out what a request would do, and keeps it, so that executing the
// plan does that and no more. Nothing is changed. Letters of tasks are found in
// the index of the task table; only if the queue holds more than that are
// letters received, and made visible again.
func (r *Redrive) Plan(ctx context.Context, req Request) (*Plan, error) {
	if err := r.check(&req); err != nil {
		return nil, err
	}
	req.Planned = true
	p := &Plan{ID: id.New(), Request: req, Reasons: map[string]int{}, Destinations: map[string]int{}}
	d := draft{Plan: p, groups: grouping{}, limit: cmp.Or(req.Max, MaxPlan), now: time.Now()}
	var err error
	if req.Kind == KindRetry {
		err = r.draftRetry(ctx, &d)
	} else {
		err = r.draftLetters(ctx, &d)
	}
	if err != nil {
		return nil, err
	}
	p.Groups = d.groups.sorted()
	p.Until = time.Now().Add(r.opts.PlanFor).UTC().Truncate(time.Millisecond)
	if err := r.jobs.SavePlan(ctx, p.ID, d.keys, p.Until); err != nil {
		return nil, err
	}
	_, err = r.create(ctx, p.ID, req, progress{
		Progress: job.Progress{Rate: req.Rate}, Max: req.Max, CanarySize: req.Canary, PlanUntil: p.Until.UnixMilli(), Planned: len(d.keys),
	}, "planned")
	return p, err
}

// draft is a plan being made.
type draft struct {
	*Plan
	groups grouping
	limit  int
	now    time.Time
	keys   []string
}

// add adds what is to become of one message to the plan.
func (d *draft) add(key string, p PlannedMessage, act action) {
	d.Matched++
	if p.Reason != "" {
		d.Reasons[p.Reason]++
	}
	switch act {
	case send, admit:
		d.Replay++
		d.Destinations[p.To]++
		d.keys = append(d.keys, key)
	case drop:
		d.Skip++
		d.Drop++
		d.keys = append(d.keys, key)
	default:
		d.Skip++
	}
	if len(d.Messages) < maxShown {
		d.Messages = append(d.Messages, p)
	}
}

// full reports whether the plan holds as much as was asked for.
func (d *draft) full() bool { return d.Replay >= d.limit }

// draftLetters finds letters: those of tasks in the index of the task table,
// and what that does not know in the queue.
func (r *Redrive) draftLetters(ctx context.Context, d *draft) error {
	src, err := r.source(d.Request.Queue)
	if err != nil {
		return err
	}
	var chunk []*Letter
	var failed error
	settle := func() {
		if failed == nil {
			failed = r.foreseeAll(ctx, &src, d, chunk)
		}
		chunk = nil
	}
	found, err := r.survey(ctx, &src, d.Request.Filter.IDs, func(l *Letter) bool {
		if !d.Request.Filter.matches(l.subject(), d.now) {
			return true
		}
		l.slim() // a plan of many must not hold their bodies
		if chunk = append(chunk, l); len(chunk) == 100 || d.Replay+len(chunk) >= d.limit {
			settle()
		}
		return failed == nil && !d.full()
	})
	settle()
	if err := cmp.Or(err, failed); err != nil {
		return err
	}
	d.Complete = found.complete || d.full()
	return r.draftIndexed(ctx, &src, d, found.listed)
}

// draftIndexed adds the letters of dead-lettered tasks to a plan, as far as the
// filter selects them, without receiving anything.
func (r *Redrive) draftIndexed(ctx context.Context, src *Source, d *draft, entries []tasktable.FailureEntry) error {
	f := &d.Request.Filter
	for chunk := range slices.Chunk(entries, 1000) {
		var ids []string
		for _, e := range chunk {
			if (f.Type == "" || f.Type == e.Type) && (f.Tenant == "" || f.Tenant == e.Tenant) && (len(f.IDs) == 0 || slices.Contains(f.IDs, e.ID)) {
				ids = append(ids, e.ID)
			}
		}
		rows, err := src.Tasks.Rows(ctx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if d.full() {
				return nil
			}
			if row := rows[id]; row != nil && row.Status == task.DeadLettered && f.matches(subjectOf(row), d.now) {
				r.foreseeRow(src, d, row)
			}
		}
		if !job.InTime(ctx, 0) {
			d.Complete = false
			return ctx.Err()
		}
	}
	return nil
}

// foreseeRow adds the letter of a dead-lettered task to a plan, as far as its
// row tells.
func (r *Redrive) foreseeRow(src *Source, d *draft, row *tasktable.Row) {
	p := PlannedMessage{TaskID: row.ID, Type: row.Type, Action: "purge"}
	act := send
	if d.Request.Kind == KindReplay {
		p.Run, p.Action, p.To = row.Run+1, "replay", src.homeOf(row).Name()
		if reason := r.refuseRow(row, d.now); reason != "" {
			act, p = skip, PlannedMessage{TaskID: row.ID, Type: row.Type, Action: "skip", Reason: reason}
		}
	}
	d.groups.row(row)
	d.add(taskKey(row.ID, row.Run+1), p, act)
}

// foreseeAll adds letters to a plan.
func (r *Redrive) foreseeAll(ctx context.Context, src *Source, d *draft, letters []*Letter) error {
	rows := map[string]*tasktable.Row{}
	if src.Tasks != nil {
		ids := make([]string, len(letters)) // Rows takes each once
		for i, l := range letters {
			ids[i] = l.TaskID()
		}
		var err error
		if rows, err = src.Tasks.Rows(ctx, ids); err != nil {
			return err
		}
	}
	for _, l := range letters {
		if d.full() {
			return nil
		}
		p := PlannedMessage{MessageID: l.MessageID, TaskID: l.TaskID(), Type: l.Type(), Action: "purge"}
		v := decision{action: send} // a purge takes all
		if d.Request.Kind == KindReplay {
			v = r.foresee(src, l, rows[l.TaskID()], d.now)
			p.Run, p.Reason, p.Action = v.run, v.reason, v.action.String()
			if v.action == send {
				p.To = l.Origin()
			}
		}
		d.groups.letter(l)
		d.add(l.MessageID, p, v.action)
	}
	return nil
}
