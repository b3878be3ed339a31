package tasktabletest_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// story tells facts of the task "a", a second apart.
type story []tasktabletest.Fact

func (s story) and(facts ...tasktabletest.Fact) story {
	return append(append(story{}, s...), facts...)
}

func (s story) told(everyWrite bool) *tasktabletest.History {
	h := tasktabletest.NewHistory(tasktabletest.HistoryOptions{MaxAttempts: 2, EveryWrite: everyWrite})
	for i, f := range s {
		f.At = start.Add(time.Duration(i) * time.Second)
		if f.ID == "" && f.Row == nil {
			f.ID = "a"
		}
		h.Add(f)
	}
	return h
}

func fact(what tasktabletest.Event) tasktabletest.Fact { return tasktabletest.Fact{What: what} }

// row is the task "a" as stored, changed.
func row(change func(r *tasktable.Row)) tasktabletest.Fact {
	r := &tasktable.Row{ID: "a", Tenant: "t", Type: "x", Status: task.Queued, Run: 1, Deadline: start.Add(time.Hour).UnixMilli()}
	if change != nil {
		change(r)
	}
	return tasktabletest.Fact{What: tasktabletest.Stored, Row: r}
}

// claimed is a row under a claim whose lease lasts for long.
func claimed(fence, settled int64, attempts int) tasktabletest.Fact {
	return row(func(r *tasktable.Row) {
		r.Status, r.Fence, r.Settled, r.Attempts = task.Running, fence, settled, attempts
		r.ClaimableAt = start.Add(time.Minute).UnixMilli()
		if settled > 0 && attempts > 0 { // as ended left it
			r.History = []task.Attempt{{Attempt: attempts}}
		}
	})
}

// ended is a row that a claim's settlement has ended, or queued again.
func ended(status task.Status, fence int64, attempts int, change ...func(*tasktable.Row)) tasktabletest.Fact {
	return row(func(r *tasktable.Row) {
		r.Status, r.Fence, r.Settled, r.Attempts, r.ClaimableAt = status, fence, fence, attempts, tasktable.Never
		if status == task.Queued {
			r.ClaimableAt = 0
		}
		if attempts > 0 && (status == task.Queued || status == task.Failed || status == task.DeadLettered) {
			r.History = []task.Attempt{{Attempt: attempts}}
		}
		for _, c := range change {
			c(r)
		}
	})
}

func result(s string) func(*tasktable.Row) {
	return func(r *tasktable.Row) { r.Result = json.RawMessage(s) }
}

func inRun(n int) func(*tasktable.Row) {
	return func(r *tasktable.Row) { r.Run, r.Replays = n, n-1 }
}

// ofPlan makes a row one that a plan has replayed.
func ofPlan(plan string) func(*tasktable.Row) { return func(r *tasktable.Row) { r.PlanID = plan } }

func asked(run int, plan string) tasktabletest.Fact {
	return tasktabletest.Fact{What: tasktabletest.ReplayAsked, Run: run, Plan: plan}
}

func attempts(numbers ...int) func(*tasktable.Row) {
	return func(r *tasktable.Row) {
		r.History = nil
		for _, n := range numbers {
			r.History = append(r.History, task.Attempt{Attempt: n, Code: "c"})
		}
	}
}

func listedAs(fingerprint string) func(*tasktable.Row) {
	return func(r *tasktable.Row) { r.Fingerprint, r.Report = fingerprint, json.RawMessage(`{}`) }
}

func toCancel(r *tasktable.Row) { r.CancelRequested = true }

func began(attempt int) tasktabletest.Fact {
	return tasktabletest.Fact{What: tasktabletest.Began, By: "w", Run: 1, Attempt: attempt}
}

// yielded is the handler's word; the row under its claim has this checkpoint.
func yielded(state string) story {
	at := claimed(1, 0, 0)
	inState(state)(at.Row)
	return story{at, {What: tasktabletest.Yielded, By: "w", Run: 1}}
}

func inState(state string) func(*tasktable.Row) {
	return func(r *tasktable.Row) { r.State = json.RawMessage(state) }
}

func returned(s string) tasktabletest.Fact {
	return tasktabletest.Fact{What: tasktabletest.Ended, By: "w", Run: 1, Result: json.RawMessage(s)}
}

func letter(run int) tasktabletest.Fact {
	return tasktabletest.Fact{What: tasktabletest.Letter, Run: run}
}

// lapsed moves a row's lease into the past of every story.
func lapsed(f tasktabletest.Fact) tasktabletest.Fact {
	r := *f.Row
	r.ClaimableAt = start.Add(-time.Second).UnixMilli()
	f.Row = &r
	return f
}

var (
	fresh     = story{fact(tasktabletest.Submitting), row(nil), fact(tasktabletest.Accepted)}
	running   = fresh.and(claimed(1, 0, 0))
	begun     = running.and(began(1))
	done      = begun.and(returned(`1`), ended(task.Succeeded, 1, 1, result(`1`)))
	queued    = begun.and(ended(task.Queued, 1, 1))
	takenOver = fresh.and(lapsed(claimed(1, 0, 0)), claimed(2, 0, 0)) // and claimed again
	buried    = begun.and(letter(2), ended(task.DeadLettered, 1, 1))
	canceled  = fresh.and(fact(tasktabletest.CancelAsked), ended(task.Canceled, 1, 0))
	replayed  = buried.and(asked(2, "p"), ended(task.Queued, 2, 0, inRun(2), ofPlan("p"))) // for a plan
)

// What the protocol allows is no violation.
func TestHistoryKept(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]story{
		"succeeded":                done,
		"tried again":              queued.and(claimed(2, 1, 1), began(2), returned(`2`), ended(task.Succeeded, 2, 2, result(`2`), attempts(1))),
		"handed back":              running.and(ended(task.Queued, 1, 0)),
		"goes on":                  begun.and(yielded(`1`)...).and(ended(task.Queued, 1, 0, inState(`1`)), claimed(2, 1, 0), began(1)),
		"yields, already given up": begun.and(yielded(`1`)...).and(ended(task.Queued, 1, 1, inState(`1`))),
		"yields, canceled": begun.and(yielded(`1`)...).and(fact(tasktabletest.CancelAsked), withCancel(claimed(1, 0, 0)),
			ended(task.Canceled, 1, 0, toCancel, inState(`1`))),
		"worker lost, goes on": takenOver.and(claimed(2, 0, 1), began(1), tasktabletest.Fact{What: tasktabletest.Yielded, By: "w", Run: 1},
			ended(task.Queued, 2, 0, inState(`1`)), claimed(3, 2, 0), began(1)),
		"dead-lettered and replayed": buried.and(ended(task.Queued, 2, 0, inRun(2))),
		"replayed for a plan":        replayed.and(asked(2, "p"), asked(2, "q")),
		"listed, then replayed": begun.and(letter(2), ended(task.DeadLettered, 1, 1, listedAs("f")), asked(2, ""),
			ended(task.Queued, 2, 0, inRun(2))),
		"listed, then canceled": begun.and(letter(2), ended(task.DeadLettered, 1, 1, listedAs("f")), fact(tasktabletest.CancelAsked),
			ended(task.Canceled, 2, 1, attempts(1), listedAs(""))),
		"canceled":             canceled,
		"worker lost, charged": takenOver.and(claimed(2, 0, 1), began(1), returned(`1`), ended(task.Succeeded, 2, 1, result(`1`))),
		"worker lost, released": takenOver.and(ended(task.Queued, 2, 0, func(r *tasktable.Row) { r.Settled = 0 }),
			claimed(3, 0, 0), claimed(3, 0, 1), began(1)),
		"cancel of a running task": begun.and(fact(tasktabletest.CancelAsked), withCancel(claimed(1, 0, 0)), ended(task.Canceled, 1, 1, toCancel)),
		"a run begun by a claim": queued.and(claimed(2, 1, 1), tasktabletest.Fact{What: tasktabletest.ReplayAsked, Run: 2},
			ended(task.Running, 2, 0, inRun(2), func(r *tasktable.Row) { r.Settled, r.ClaimableAt = 1, start.Add(time.Minute).UnixMilli() })),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := s.told(true).Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

func withCancel(f tasktabletest.Fact) tasktabletest.Fact {
	r := *f.Row
	r.CancelRequested = true
	f.Row = &r
	return f
}

// Every promise is noticed when it is broken, with every write told and, where
// they can tell, with samples.
func TestHistoryBroken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		story   story
		promise tasktabletest.Promise
		sampled bool // samples tell as well
	}{
		"final state changes":         {done.and(ended(task.Queued, 2, 0)), tasktabletest.FinalStays, true},
		"final row changes":           {done.and(ended(task.Succeeded, 1, 2, result(`1`))), tasktabletest.FinalStays, true},
		"queued to succeeded":         {fresh.and(returned(`1`), ended(task.Succeeded, 0, 0, result(`1`))), tasktabletest.LegalTransition, false},
		"ended and claimable":         {begun.and(ended(task.Failed, 1, 1, func(r *tasktable.Row) { r.ClaimableAt = 0 })), tasktabletest.LegalTransition, true},
		"first row is no fresh one":   {story{fact(tasktabletest.Submitting), claimed(1, 0, 0)}, tasktabletest.LegalTransition, false},
		"fence falls":                 {queued.and(claimed(2, 1, 1), ended(task.Queued, 1, 1)), tasktabletest.NothingFalls, true},
		"settled falls":               {queued.and(claimed(2, 0, 1)), tasktabletest.NothingFalls, true},
		"settled beyond fence":        {fresh.and(claimed(1, 2, 0)), tasktabletest.NothingFalls, true},
		"settled without a claim":     {queued.and(ended(task.Queued, 1, 0)), tasktabletest.FencedWrite, false},
		"ended and unsettled":         {begun.and(ended(task.Failed, 1, 1, func(r *tasktable.Row) { r.Settled = 0 })), tasktabletest.FencedWrite, true},
		"two fences at once":          {fresh.and(claimed(2, 0, 0)), tasktabletest.FencedWrite, false},
		"settlement keeps settled":    {begun.and(ended(task.Queued, 1, 1, func(r *tasktable.Row) { r.Settled = 0 })), tasktabletest.FencedWrite, false},
		"replay leaves settled":       {buried.and(ended(task.Queued, 2, 0, inRun(2), func(r *tasktable.Row) { r.Settled = 1 })), tasktabletest.FencedWrite, false},
		"lease taken":                 {running.and(claimed(2, 0, 0)), tasktabletest.LeaseHolds, false},
		"canceled under a lease":      {running.and(fact(tasktabletest.CancelAsked), ended(task.Canceled, 2, 0)), tasktabletest.LeaseHolds, false},
		"begins unclaimed":            {fresh.and(began(1)), tasktabletest.BeginsLeased, false},
		"begins after its lease":      {fresh.and(lapsed(claimed(1, 0, 0)), began(1)), tasktabletest.BeginsLeased, false},
		"begins twice":                {begun.and(began(1)), tasktabletest.BeginsLeased, false},
		"begins after the end":        {done.and(began(1)), tasktabletest.BeginsInItsRun, true},
		"begins in an older run":      {buried.and(ended(task.Queued, 2, 0, inRun(2)), began(1)), tasktabletest.BeginsInItsRun, true},
		"attempt above the maximum":   {running.and(began(3)), tasktabletest.MaximumHolds, true},
		"attempts above the maximum":  {begun.and(ended(task.Queued, 1, 3)), tasktabletest.MaximumHolds, true},
		"counted, not begun":          {running.and(ended(task.Queued, 1, 1)), tasktabletest.BegunIsCharged, true},
		"counted by the claim":        {fresh.and(claimed(1, 0, 1)), tasktabletest.BegunIsCharged, true},
		"begun, not counted":          {begun.and(ended(task.Queued, 1, 0)), tasktabletest.BegunIsCharged, false},
		"yields without a checkpoint": {begun.and(yielded(``)...).and(ended(task.Queued, 1, 0)), tasktabletest.BegunIsCharged, false},
		"an older handler yields": {
			begun.and(tasktabletest.Fact{What: tasktabletest.Yielded, By: "v", Run: 1}, ended(task.Queued, 1, 0, inState(`1`))),
			tasktabletest.BegunIsCharged, false,
		},
		"yields, and keeps the mark": {takenOver.and(claimed(2, 0, 1), began(1), tasktabletest.Fact{What: tasktabletest.Yielded, By: "w", Run: 1},
			ended(task.Queued, 2, 0, inState(`1`), func(r *tasktable.Row) { r.Settled = 0 })), tasktabletest.FencedWrite, false},
		"yields though to be canceled": {begun.and(yielded(`1`)...).and(fact(tasktabletest.CancelAsked), withCancel(claimed(1, 0, 0)),
			ended(task.Queued, 1, 0, toCancel, inState(`1`))), tasktabletest.CancelHolds, false},
		"told another attempt":        {running.and(began(2)), tasktabletest.BegunIsCharged, false},
		"charged though healthy":      {running.and(claimed(1, 0, 1)), tasktabletest.BegunIsCharged, true},
		"charged twice":               {takenOver.and(claimed(2, 0, 1), claimed(2, 0, 2)), tasktabletest.BegunIsCharged, true},
		"vanished, begins uncounted":  {takenOver.and(began(1)), tasktabletest.VanishedIsMarked, false},
		"vanished, mark lost":         {takenOver.and(ended(task.Queued, 2, 0)), tasktabletest.VanishedIsMarked, false},
		"a result nobody returned":    {begun.and(returned(`1`), ended(task.Succeeded, 1, 1, result(`2`))), tasktabletest.OneResult, true},
		"two results":                 {done.and(returned(`2`), ended(task.Succeeded, 1, 1, result(`2`))), tasktabletest.OneResult, true},
		"row before its letter":       {begun.and(ended(task.DeadLettered, 1, 1)), tasktabletest.LetterFirst, false},
		"canceled by nobody":          {fresh.and(ended(task.Canceled, 1, 0)), tasktabletest.CancelHolds, true},
		"fails though to be canceled": {begun.and(fact(tasktabletest.CancelAsked), withCancel(claimed(1, 0, 0)), ended(task.Failed, 1, 1, toCancel)), tasktabletest.CancelHolds, false},
		"expires early":               {fresh.and(ended(task.Expired, 1, 0)), tasktabletest.ExpiryIsDue, false},
		"a run out of nothing":        {buried.and(ended(task.Queued, 2, 0, inRun(3))), tasktabletest.RunIsAsked, true},
		"a plan that nobody asked":    {buried.and(ended(task.Queued, 2, 0, inRun(2), ofPlan("p"))), tasktabletest.PlanNamed, true},
		"another plan than asked":     {buried.and(asked(2, "p"), ended(task.Queued, 2, 0, inRun(2), ofPlan("q"))), tasktabletest.PlanNamed, true},
		"the plan of another run":     {replayed.and(ended(task.Queued, 3, 0, inRun(3), ofPlan("p"))), tasktabletest.PlanNamed, true},
		"a plan that comes too late":  {queued.and(asked(1, "p"), ended(task.Queued, 1, 1, ofPlan("p"))), tasktabletest.PlanNamed, true},
		"a plan that is forgotten":    {replayed.and(ended(task.Queued, 2, 0, inRun(2))), tasktabletest.PlanNamed, true},
		"one run twice":               {replayed.and(ended(task.Queued, 1, 0), ended(task.Queued, 2, 0, inRun(2), ofPlan("p"))), tasktabletest.OncePerPlan, true},
		"an attempt untold":           {begun.and(ended(task.Queued, 1, 1, attempts())), tasktabletest.AttemptsTold, false},
		"an attempt too many":         {running.and(ended(task.Queued, 1, 0, attempts(1))), tasktabletest.AttemptsTold, true},
		"an attempt told twice":       {begun.and(ended(task.Queued, 1, 1, attempts(1, 1))), tasktabletest.AttemptsTold, true},
		"eleven attempts told":        {begun.and(ended(task.Queued, 1, 1, attempts(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11))), tasktabletest.AttemptsTold, true},
		"attempts of the run before":  {buried.and(ended(task.Queued, 2, 0, inRun(2), attempts(1))), tasktabletest.AttemptsTold, true},
		"listed and queued":           {buried.and(ended(task.Queued, 2, 0, inRun(2), listedAs("f"))), tasktabletest.FailuresListed, true},
		"listed and canceled":         {buried.and(fact(tasktabletest.CancelAsked), ended(task.Canceled, 2, 1, listedAs("f"))), tasktabletest.FailuresListed, true},
		"a row out of nothing":        {story{row(nil)}, tasktabletest.KnownTask, true},
		"one key, two tasks": {story{
			{What: tasktabletest.Accepted, Key: "k"}, {What: tasktabletest.Accepted, ID: "b", Key: "k"},
		}, tasktabletest.KnownTask, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, everyWrite := range []bool{true, false} {
				err := tt.story.told(everyWrite).Err()
				if got := breaks(err, tt.promise); got != (everyWrite || tt.sampled) {
					t.Errorf("with every write: %t, noticed: %t\n%v", everyWrite, got, err)
				}
			}
		})
	}
}

// breaks looks for a promise among what was violated.
func breaks(err error, p tasktabletest.Promise) bool {
	all, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return false
	}
	for _, e := range all.Unwrap() {
		if v, ok := errors.AsType[*tasktabletest.BrokenError](e); ok && v.Promise == p {
			return true
		}
	}
	return false
}

func TestHistoryEnd(t *testing.T) {
	t.Parallel()
	later := func(r *tasktable.Row) { r.Deadline = time.Now().Add(time.Hour).UnixMilli() }
	for name, tt := range map[string]struct {
		story   story
		letters []int
		promise tasktabletest.Promise // empty: all are kept
	}{
		"succeeded":                       {done, nil, ""},
		"queued for ever":                 {story{fact(tasktabletest.Accepted), row(later)}, nil, tasktabletest.NothingLost},
		"queued, moved by SQS":            {story{fact(tasktabletest.Accepted), row(later)}, []int{1}, ""},
		"queued, never accepted":          {story{fact(tasktabletest.Submitting), row(later)}, nil, ""},
		"no row":                          {story{fact(tasktabletest.Accepted)}, nil, tasktabletest.NothingLost},
		"letter":                          {buried, []int{2}, ""},
		"no letter":                       {buried, nil, tasktabletest.LetterFirst},
		"only an old letter":              {buried, []int{1}, tasktabletest.LetterFirst},
		"failed though its cancel counts": {begun.and(fact(tasktabletest.CancelAsked), fact(tasktabletest.CancelTaken), ended(task.Failed, 1, 1)), nil, tasktabletest.CancelHolds},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := tt.story.told(false)
			h.End(map[string][]int{"a": tt.letters})
			if err := h.Err(); (err != nil) != (tt.promise != "") || err != nil && !breaks(err, tt.promise) {
				t.Errorf("%v, want %q broken", err, tt.promise)
			}
		})
	}
}

func TestHistoryMessages(t *testing.T) {
	t.Parallel()
	h := story{fact(tasktabletest.Accepted), row(func(r *tasktable.Row) { r.Deadline = time.Now().Add(time.Hour).UnixMilli() })}.told(true)
	h.Messages(map[string]int{"a": 1})
	if err := h.Err(); err != nil {
		t.Error(err)
	}
	h.Messages(nil)
	if !breaks(h.Err(), tasktabletest.NothingLost) {
		t.Error("a task without a message is not noticed")
	}
}

// A violation comes with everything that is known about its task, and a fact
// means the same after its way through a log.
func TestHistoryTells(t *testing.T) {
	t.Parallel()
	var facts []tasktabletest.Fact
	for i, f := range done.and(began(1)) {
		f.At = start.Add(time.Duration(i) * time.Second)
		line, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var read tasktabletest.Fact
		if err := json.Unmarshal(line, &read); err != nil {
			t.Fatal(err)
		}
		if read.ID == "" && read.Row == nil {
			read.ID = "a"
		}
		facts = append([]tasktabletest.Fact{read}, facts...)
	}
	tasktabletest.SortFacts(facts)
	h := tasktabletest.NewHistory(tasktabletest.HistoryOptions{MaxAttempts: 2})
	for _, f := range facts {
		h.Add(f)
	}
	text := ""
	if err := h.Err(); err != nil {
		text = err.Error()
	}
	for _, want := range []string{string(tasktabletest.BeginsInItsRun), "+0.000s submitting", "began        by=w run=1 attempt=1", "result=1", "succeeded run=1 fence=1 settled=1 attempts=1 claimable=never"} {
		if !strings.Contains(text, want) {
			t.Errorf("the violation does not say %q:\n%s", want, text)
		}
	}
	if got := h.Tasks(); len(got) != 1 || got[0] != "a" || h.Began("a", 1) != 2 {
		t.Errorf("accepted %v, began %d times", got, h.Began("a", 1))
	}
}
