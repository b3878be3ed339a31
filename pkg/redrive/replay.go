package redrive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// replayLetters is the work of a replay: the canary first, if there is one, and
// the rest if that has succeeded.
func replayLetters(ctx context.Context, x *run) (through bool, err error) {
	src, err := x.source(x.job.Request.Queue)
	if err != nil {
		return false, err
	}
	limit := x.limit()
	do := func(ctx context.Context, letters []*Letter) ([]Entry, error) { return x.replayStep(ctx, &src, letters) }
	return x.withCanary(ctx, src.Tasks, limit, func(limit int) (bool, error) {
		return x.sweepLetters(ctx, src.Letters, limit, do)
	})
}

// limit is how many messages the job may replay.
func (x *run) limit() int {
	if x.job.State.Max > 0 {
		return x.job.State.Max
	}
	return MaxPlan
}

// replayStep replays some letters: rows first, then the messages, each
// confirmed by SQS. It returns an error only for what concerns all of them.
func (x *run) replayStep(ctx context.Context, src *Source, letters []*Letter) ([]Entry, error) {
	decisions := make([]decision, len(letters))
	entries := make([]Entry, len(letters))
	var requests []tasktable.ReplayRequest
	var asked []int
	for i, l := range letters {
		entries[i] = intentOf(l)
		v, refused := x.refuse(src, l)
		if decisions[i] = v; refused {
			continue
		}
		if l.Task == nil || src.Tasks == nil {
			decisions[i] = decision{action: send, noRow: true}
			if l.Task != nil {
				decisions[i].run = l.Task.Run
			}
			continue
		}
		if e, known := x.tasks.of(l.TaskID()); known && e.Outcome == Replayed && e.Run <= l.nextRun() {
			if decisions[i] = (decision{action: skip, reason: ReasonAgain}); e.Run == l.nextRun() {
				decisions[i] = decision{action: drop, reason: ReasonDuplicate}
			}
			continue
		}
		requests = append(requests, tasktable.ReplayRequest{
			ID: l.TaskID(), Run: l.nextRun(), PlanID: x.job.ID, Tenant: l.Tenant(), Type: l.Type(),
			After: l.nextRun() - 1, MaxReplays: x.opts.MaxReplays,
		})
		asked = append(asked, i)
	}
	if len(requests) > 0 {
		now := time.Now()
		for n, a := range src.Tasks.ReplayAll(ctx, requests) {
			i := asked[n]
			if a.Err != nil || a.Row == nil && !a.Absent { // nothing is known
				entries[i].Outcome, entries[i].Reason = Failed, "table_unavailable"
				continue
			}
			decisions[i] = x.settledRow(letters[i], a.Row, a.Done, x.job.ID, now)
		}
	}
	// Two letters of one task and run are of a crash between the first and its
	// row. What one does, the other would only repeat.
	first := map[string]bool{}
	for i, l := range letters {
		if v := &decisions[i]; v.action == send && !v.noRow && entries[i].Outcome == Intended {
			if first[l.TaskID()] {
				*v = decision{action: drop, reason: ReasonDuplicate}
			}
			first[l.TaskID()] = true
		}
	}
	x.sendBack(ctx, src, letters, decisions, entries)
	for i, v := range decisions {
		e := &entries[i]
		switch {
		case e.Outcome != Intended:
		case v.action == drop:
			e.Outcome, e.Reason = Dropped, v.reason
		case v.action == skip:
			e.Outcome, e.Reason = Skipped, v.reason
		case v.action == admit:
			e.Outcome, e.Run, e.To = Replayed, v.run, letters[i].Origin()
		}
	}
	return entries, nil
}

// sendBack sends letters to where they came from and writes down, for each,
// whether SQS has confirmed it.
func (x *run) sendBack(ctx context.Context, src *Source, letters []*Letter, decisions []decision, entries []Entry) {
	now := time.Now()
	var queues []Queue
	byQueue := map[string][]int{}
	for i, v := range decisions {
		if v.action != send || entries[i].Outcome != Intended {
			continue
		}
		q, _ := src.Origins.Named(letters[i].Origin()) // known, or it would have been refused
		if byQueue[q.Name()] == nil {
			queues = append(queues, q)
		}
		byQueue[q.Name()] = append(byQueue[q.Name()], i)
	}
	for _, q := range queues {
		indices := byQueue[q.Name()]
		messages := make([]workqueue.Outgoing, len(indices))
		for n, i := range indices {
			messages[n] = workqueue.Replay(&letters[i].SQSMessage, decisions[i].run, now)
			messages[n].DeduplicationID = onceOnly(letters[i].MessageID, x.job.ID)
		}
		for n, err := range sendInOrder(ctx, q, messages) {
			e := &entries[indices[n]]
			e.To, e.Run, e.NoRow = q.Name(), decisions[indices[n]].run, decisions[indices[n]].noRow
			switch {
			case err == nil:
				e.Outcome = Replayed
			case errors.Is(err, errBlocked):
				e.Outcome, e.Reason = Skipped, ReasonGroup
			default:
				e.Outcome, e.Reason = Failed, reasonOf(err)
			}
		}
	}
}

// errBlocked is the outcome of a message that has to stay behind an earlier one
// of its group.
var errBlocked = errors.New("an earlier message of the group could not be sent")

// sendInOrder sends messages and returns one outcome for each. To a FIFO queue
// it sends those of one group one after the other, and none behind one that
// could not be sent.
func sendInOrder(ctx context.Context, q Queue, messages []workqueue.Outgoing) []error {
	if !q.FIFO() {
		return q.SendBatch(ctx, messages)
	}
	errs := make([]error, len(messages))
	for i := range errs {
		errs[i] = workqueue.ErrNoOutcome // until SQS has confirmed it
	}
	blocked := map[string]bool{}
	left := make([]int, len(messages))
	for i := range left {
		left[i] = i
	}
	for len(left) > 0 {
		var round, later []int
		busy := map[string]bool{}
		for _, i := range left {
			switch group := messages[i].Group; {
			case group != "" && blocked[group]:
				errs[i] = errBlocked
			case group != "" && busy[group]:
				later = append(later, i)
			default:
				busy[group] = true
				round = append(round, i)
			}
		}
		batch := make([]workqueue.Outgoing, len(round))
		for n, i := range round {
			batch[n] = messages[i]
		}
		if len(batch) > 0 {
			for n, err := range q.SendBatch(ctx, batch) {
				if errs[round[n]] = err; err != nil {
					blocked[messages[round[n]].Group] = true
				}
			}
		}
		left = later
	}
	return errs
}

// onceOnly is the deduplication id of a message in a job: another one than the
// message had, which SQS would drop within five minutes without a word; but the
// same when a run that died is repeated, so that SQS drops the second send
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html).
func onceOnly(messageID, jobID string) string {
	sum := sha256.Sum256([]byte(messageID + "\n" + jobID))
	return hex.EncodeToString(sum[:16])
}
