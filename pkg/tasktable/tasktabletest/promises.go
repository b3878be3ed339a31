package tasktabletest

import (
	"slices"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// held reports whether the latest claim has not been settled.
func held(r *tasktable.Row) bool { return r.Status == task.Running && r.Settled < r.Fence }

// deferred reports whether somebody else completes the task.
func deferred(r *tasktable.Row) bool {
	return r.Status == task.Running && r.ClaimableAt == tasktable.Never
}

// leased reports whether somebody's lease holds at an instant in milliseconds.
func leased(r *tasktable.Row, at int64) bool { return r.Status == task.Running && r.ClaimableAt >= at }

// began checks the begin of a handler. History.mu must be held.
func (h *History) began(b *biography, f Fact) {
	r := b.run(f.Run)
	r.begun++
	for i := len(r.charges) - 1; i >= 0; i-- {
		if c := &r.charges[i]; c.by == f.By && !c.void {
			c.void = true
			break
		}
	}
	if f.Attempt > h.opts.MaxAttempts {
		h.broken(b, MaximumHolds, "attempt %d began, the maximum is %d", f.Attempt, h.opts.MaxAttempts)
	}
	if b.row == nil {
		if h.opts.EveryWrite {
			h.broken(b, KnownTask, "a handler began without a row")
		}
		return
	}
	if b.row.Run > f.Run || b.row.Run == f.Run && b.row.Status.Finished() {
		h.broken(b, BeginsInItsRun, "run %d began when the row was %s in run %d", f.Run, b.row.Status, b.row.Run)
	}
	if h.opts.EveryWrite {
		h.beganUnder(b, f)
	}
}

// beganUnder checks the begin of a handler against the row at that moment.
func (h *History) beganUnder(b *biography, f Fact) {
	row, at := b.row, f.At.UnixMilli()
	switch {
	case !held(row):
		h.broken(b, BeginsLeased, "nobody holds it")
	case row.ClaimableAt <= at:
		h.broken(b, BeginsLeased, "its lease is over")
	case row.Deadline <= at:
		h.broken(b, BeginsLeased, "its deadline has passed")
	case b.claim.begun:
		h.broken(b, BeginsLeased, "a handler has begun under fence %d before", row.Fence)
	case row.Run != f.Run:
		h.broken(b, BeginsInItsRun, "run %d began and the row is in run %d", f.Run, row.Run)
	}
	if want := b.claim.base + 1; f.Attempt != want {
		h.broken(b, BegunIsCharged, "the handler was told attempt %d, it is %d", f.Attempt, want)
	}
	if row.Vanished() && !b.claim.charged {
		h.broken(b, VanishedIsMarked, "it begins uncounted, and the worker before vanished")
	}
	b.claim.begun, b.claim.by = true, f.By
}

// stored checks a row as it was observed. History.mu must be held.
func (h *History) stored(b *biography, f Fact) {
	before, row := b.row, f.Row
	b.row = row
	h.standsAlone(b, row)
	if before == nil {
		h.created(b, row)
		return
	}
	h.follows(b, before, row)
	if h.opts.EveryWrite && !before.Status.Final() {
		h.wrote(b, before, row, f.At.UnixMilli())
	}
}

// standsAlone checks what is true of every row.
func (h *History) standsAlone(b *biography, row *tasktable.Row) {
	r := b.run(row.Run)
	for i := range r.charges {
		// The claim was settled, so what it counted beforehand was taken back.
		if c := &r.charges[i]; c.fence == row.Fence && !held(row) || c.fence == row.Settled {
			c.void = true
		}
	}
	if !b.submitted {
		h.broken(b, KnownTask, "nobody submitted it")
	}
	if row.Attempts > h.opts.MaxAttempts {
		h.broken(b, MaximumHolds, "%d attempts are counted, the maximum is %d", row.Attempts, h.opts.MaxAttempts)
	}
	if row.Settled > row.Fence || row.Replays > row.Run-1 {
		h.broken(b, NothingFalls, "settled %d of fence %d, %d replays of run %d", row.Settled, row.Fence, row.Replays, row.Run)
	}
	if limit := max(1, b.letter, b.replay); row.Run > limit {
		h.broken(b, RunIsAsked, "run %d, and none above %d was asked for", row.Run, limit)
	}
	// With every write, attempts are accounted for exactly instead.
	if !h.opts.EveryWrite && row.Attempts > r.begun+r.charged() {
		h.broken(b, BegunIsCharged, "%d attempts are counted in run %d, %d began and %d were counted beforehand", row.Attempts, row.Run, r.begun, r.charged())
	}
	h.failing(b, row)
	switch row.Status {
	case task.Succeeded:
		if !slices.Contains(r.results, string(row.Result)) {
			h.broken(b, OneResult, "the result is %s; the handlers of run %d returned %q", row.Result, row.Run, r.results)
		}
	case task.Canceled:
		if !b.cancelAsked {
			h.broken(b, CancelHolds, "it is canceled, and nobody asked")
		}
	default:
	}
	if row.Status.Finished() && row.ClaimableAt != tasktable.Never {
		h.broken(b, LegalTransition, "it is %s and may be claimed", row.Status)
	}
	if row.Status.Finished() && row.Settled != row.Fence {
		h.broken(b, FencedWrite, "it is %s, and settled %d of fence %d", row.Status, row.Settled, row.Fence)
	}
}

// charged is how many attempts may be counted beforehand: by a worker that has
// not begun yet, or vanished before it did.
func (r *run) charged() (n int) {
	for _, c := range r.charges {
		if !c.void {
			n++
		}
	}
	return n
}

// created checks the first row that is seen of a task.
func (h *History) created(b *biography, row *tasktable.Row) {
	if h.opts.EveryWrite && (row.Status != task.Queued || row.Run != 1 || row.Fence != 0 || row.Settled != 0 || row.Attempts != 0) {
		h.broken(b, LegalTransition, "its first row is no fresh one")
	}
}

// follows checks a row against an earlier one, whatever was between them.
func (h *History) follows(b *biography, before, row *tasktable.Row) {
	if row.Fence < before.Fence || row.Settled < before.Settled || row.Run < before.Run || row.Replays < before.Replays {
		h.broken(b, NothingFalls, "fence %d, settled %d, run %d, replays %d came after %d, %d, %d, %d",
			row.Fence, row.Settled, row.Run, row.Replays, before.Fence, before.Settled, before.Run, before.Replays)
	}
	if row.Run == before.Run && before.Result != nil && string(before.Result) != string(row.Result) {
		h.broken(b, OneResult, "the result %s became %s", before.Result, row.Result)
	}
	if row.Run > before.Run {
		h.rerun(b, row)
	} else if row.PlanID != before.PlanID {
		h.broken(b, PlanNamed, "the plan of run %d was %q and is %q", row.Run, before.PlanID, row.PlanID)
	}
	if before.Status.Final() && (row.Status != before.Status || row.Fence != before.Fence || row.Run != before.Run || row.Attempts != before.Attempts) {
		h.broken(b, FinalStays, "%s changed", before.Status)
	}
	if !reachable(before.Status, row.Status) {
		h.broken(b, LegalTransition, "%s became %s", before.Status, row.Status)
	}
	if row.Deadline != before.Deadline || row.Tenant != before.Tenant || row.Type != before.Type {
		h.broken(b, FencedWrite, "deadline, tenant or type changed")
	}
}

// reachable reports whether legal changes lead from one state to another.
func reachable(from, to task.Status) bool {
	seen := []task.Status{from}
	for i := 0; i < len(seen); i++ {
		if seen[i] == to {
			return true
		}
		for _, next := range task.Statuses {
			if seen[i].CanBecome(next) && !slices.Contains(seen, next) {
				seen = append(seen, next)
			}
		}
	}
	return false
}

// wrote checks one single write.
func (h *History) wrote(b *biography, before, row *tasktable.Row, at int64) {
	if row.Status != before.Status && !before.Status.CanBecome(row.Status) {
		h.broken(b, LegalTransition, "%s became %s", before.Status, row.Status)
	}
	switch {
	case row.Fence == before.Fence+1:
		h.took(b, before, row, at)
	case row.Fence != before.Fence:
		h.broken(b, FencedWrite, "the fence went from %d to %d", before.Fence, row.Fence)
	case held(before) && held(row):
		h.kept(b, before, row)
	case held(before):
		h.settled(b, before, row, at)
	case row.Status != before.Status || row.Settled != before.Settled || row.Run != before.Run || row.Attempts != before.Attempts || row.ClaimableAt != before.ClaimableAt:
		h.broken(b, FencedWrite, "it was changed without a claim")
	}
}

// took checks a write that raised the fence: a claim, a replay, or the end of
// a task that nobody held.
func (h *History) took(b *biography, before, row *tasktable.Row, at int64) {
	if leased(before, at) {
		h.broken(b, LeaseHolds, "fence %d was taken while the lease of fence %d held", row.Fence, before.Fence)
	}
	attempts := before.Attempts
	switch row.Status {
	case task.Running:
		if before.ClaimableAt >= at {
			h.broken(b, LeaseHolds, "claimed before its time")
		}
		if row.Settled != before.Settled || row.Run != before.Run {
			h.broken(b, FencedWrite, "a claim changes neither settled nor run")
		}
		b.claim = claim{base: attempts, state: string(before.State)}
	case task.Queued:
		if row.Run <= before.Run {
			h.broken(b, FencedWrite, "queued again in the same run")
		}
		attempts = 0
	case task.Canceled:
	case task.Expired:
		h.expired(b, row, at)
	default:
		h.broken(b, FencedWrite, "it became %s without a claim", row.Status)
	}
	if row.Status != task.Running && row.Settled != row.Fence {
		h.broken(b, FencedWrite, "the fence is %d, settled %d: it looks as if a worker had vanished", row.Fence, row.Settled)
	}
	if row.Attempts != attempts {
		h.broken(b, BegunIsCharged, "attempts went from %d to %d where none began", before.Attempts, row.Attempts)
	}
}

// kept checks a write of the holder, or beside it, that leaves the claim as it
// is: a charge, the run of a replay, a renewal, the request to cancel.
func (h *History) kept(b *biography, before, row *tasktable.Row) {
	switch {
	case row.Run > before.Run:
		if row.Attempts != 0 || row.Settled != before.Settled || b.claim.begun {
			h.broken(b, FencedWrite, "a run that begins under a claim has no attempts, and leaves settled as it is")
		}
		b.claim = claim{state: b.claim.state}
	case row.Settled != before.Settled:
		h.broken(b, FencedWrite, "settled changed while the claim goes on")
	case row.Attempts == before.Attempts:
	case row.Attempts == b.claim.base+1 && !b.claim.charged && !b.claim.begun && before.Vanished():
		b.claim.charged = true
	default:
		h.broken(b, BegunIsCharged, "attempts went from %d to %d under a claim that goes on", before.Attempts, row.Attempts)
	}
}

// settled checks the write that ends a claim.
func (h *History) settled(b *biography, before, row *tasktable.Row, at int64) {
	want := b.claim.base
	if b.claim.begun && !b.claim.goesOn(row) {
		want++
	}
	if row.Attempts != want {
		h.broken(b, BegunIsCharged, "%d attempts are counted, %d before the claim, and a handler began: %t", row.Attempts, b.claim.base, b.claim.begun)
	}
	if row.Run != before.Run {
		h.broken(b, FencedWrite, "a settlement changed the run")
	}
	h.attemptTold(b, before, row)
	released := row.Status == task.Queued && !b.claim.begun && before.Vanished()
	switch {
	case released && row.Settled == before.Settled:
	case row.Settled != row.Fence:
		h.broken(b, FencedWrite, "fence %d was settled as %d", row.Fence, row.Settled)
	case released && row.Attempts < h.opts.MaxAttempts: // else it does not begin again
		h.broken(b, VanishedIsMarked, "it was handed back, and nothing says any more that a worker vanished")
	}
	switch row.Status {
	case task.Succeeded:
		if !b.claim.begun || string(row.Result) != b.claim.result {
			h.broken(b, OneResult, "it succeeded, and no handler had returned that result under fence %d", row.Fence)
		}
	case task.DeadLettered:
		if b.letter <= row.Run {
			h.broken(b, LetterFirst, "no letter of a run above %d was sent", row.Run)
		}
	case task.Canceled:
		if !before.CancelRequested {
			h.broken(b, CancelHolds, "its holder canceled it, and it had not been told to")
		}
	case task.Expired:
		h.expired(b, row, at)
	default:
	}
	failed := row.Status == task.Failed || row.Status == task.DeadLettered || row.Status == task.Queued && b.claim.begun
	if failed && before.CancelRequested {
		h.broken(b, CancelHolds, "its cancel was requested, and its failure made it %s", row.Status)
	}
}

// expired checks the write that lets a task expire.
func (h *History) expired(b *biography, row *tasktable.Row, at int64) {
	if row.Deadline > at {
		h.broken(b, ExpiryIsDue, "it expired %d ms before its deadline", row.Deadline-at)
	}
}

// end checks a task of which nothing more is to be expected, and whose dead
// letters carry these runs. History.mu must be held.
func (h *History) end(b *biography, letters []int) {
	highest := slices.Max(append([]int{0}, letters...))
	row := b.row
	switch {
	case row == nil:
		if b.accepted {
			h.broken(b, NothingLost, "it was accepted and has no row")
		}
		return
	case row.Status == task.DeadLettered && highest <= row.Run:
		h.broken(b, LetterFirst, "it is dead-lettered in run %d, and its dead letters are of runs %v", row.Run, letters)
	case b.accepted && !b.over() && (highest == 0 || highest < row.Run):
		h.broken(b, NothingLost, "it is %s for ever", row.Status)
	}
	if b.cancelTaken && (row.Status == task.Failed || row.Status == task.DeadLettered) {
		h.broken(b, CancelHolds, "its cancel was taken, and it ended as %s", row.Status)
	}
}
