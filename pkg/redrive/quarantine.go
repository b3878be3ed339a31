package redrive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// aside is a letter in quarantine: all that is needed to put it back.
type aside struct {
	MessageID  string                                 `json:"message_id"`
	Body       string                                 `json:"body"`
	Attributes map[string]types.MessageAttributeValue `json:"attributes,omitempty"`
	Group      string                                 `json:"group,omitempty"`
	Trace      string                                 `json:"trace,omitempty"`
	SentAt     time.Time                              `json:"sent_at"`

	TaskID      string `json:"task_id,omitempty"`
	Run         int    `json:"run,omitempty"` // of the row that the letter belongs to
	Fingerprint string `json:"fingerprint,omitempty"`
}

func quarantineGroup(jobID string) string { return "quarantine#" + jobID }

// quarantineLetters is the work of a purge: letters are stored, then taken off
// the queue, and off the index of dead-lettered tasks.
func quarantineLetters(ctx context.Context, x *run) (through bool, err error) {
	src, err := x.source(x.job.Request.Queue)
	if err != nil {
		return false, err
	}
	return x.sweepLetters(ctx, src.Letters, x.limit(), func(ctx context.Context, letters []*Letter) ([]Entry, error) {
		return x.quarantineStep(ctx, &src, letters)
	})
}

func (x *run) quarantineStep(ctx context.Context, src *Source, letters []*Letter) ([]Entry, error) {
	items := make([]archive.Item, len(letters))
	entries := make([]Entry, len(letters))
	expires := x.job.Created.Add(x.opts.QuarantineFor)
	for i, l := range letters {
		entries[i] = intentOf(l)
		out := workqueue.AsReceived(&l.SQSMessage)
		a := aside{
			MessageID: l.MessageID, Body: out.Body, Attributes: out.Attributes, Group: out.Group, Trace: out.Trace, SentAt: l.SentAt,
			TaskID: l.TaskID(), Fingerprint: l.Failure.Fingerprint,
		}
		if l.Task != nil {
			a.Run = l.nextRun() - 1
		}
		data, err := json.Marshal(a)
		if err != nil {
			return nil, fmt.Errorf("set %s aside: %w", l.MessageID, err)
		}
		items[i] = archive.Item{Group: quarantineGroup(x.job.ID), ID: l.MessageID, Data: data, ExpiresAt: expires}
	}
	var unlisted []tasktable.FailureEntry
	stored := x.opts.Quarantine.PutAll(ctx, items)
	if len(stored) != len(items) {
		return nil, fmt.Errorf("set aside: %d answers for %d letters", len(stored), len(items))
	}
	for i, err := range stored {
		if err != nil {
			entries[i].Outcome, entries[i].Reason = Failed, reasonOf(err)
			continue
		}
		entries[i].Outcome = Quarantined
		if id := letters[i].TaskID(); id != "" && letters[i].MovedBy == ByWorker {
			unlisted = append(unlisted, tasktable.FailureEntry{ID: id, Run: letters[i].nextRun() - 1})
		}
	}
	if src.Tasks != nil && len(unlisted) > 0 {
		for i, err := range src.Tasks.Unlist(ctx, unlisted) {
			if err != nil { // the index says more than there is, until the row goes
				x.opts.Logger.WarnContext(ctx, "task still listed", slogTask(unlisted[i].ID), slogError(err))
			}
		}
	}
	return entries, nil
}

// Purge sets dead letters aside: they leave the queue and can be restored until
// [Options.QuarantineFor] is over. It returns as [Redrive.Run] does.
func (r *Redrive) Purge(ctx context.Context, req Request) (*Report, error) {
	if r.opts.Quarantine == nil {
		return nil, fmt.Errorf("%w: there is no quarantine", ErrUnsupported)
	}
	req.Kind = KindPurge
	return r.Run(ctx, req)
}

// RestorableUntil is when the letters that a purge has set aside are forgotten.
func (r *Redrive) RestorableUntil(created time.Time) time.Time {
	return created.Add(r.opts.QuarantineFor)
}

// Restore puts back what a purge has set aside, into the queue it came from. It
// returns as [Redrive.Run] does, with a job of its own; restoring twice finds
// nothing the second time.
func (r *Redrive) Restore(ctx context.Context, purgeID, by, requestID string) (*Report, error) {
	if r.opts.Quarantine == nil {
		return nil, fmt.Errorf("%w: there is no quarantine", ErrUnsupported)
	}
	purge, err := r.jobs.Find(ctx, purgeID)
	if err != nil {
		return nil, err
	}
	if purge.Request.Kind != KindPurge {
		return nil, invalid("%s is a %s; a restore needs the id of a purge", purgeID, purge.Request.Kind)
	}
	if seen := purge.Seen(time.Now()); seen == Running || seen == Stopping {
		return nil, fmt.Errorf("%w: %s is still purging; stop it first", ErrBusy, purgeID)
	}
	return r.Run(ctx, Request{Kind: KindRestore, Queue: purge.Request.Queue, Source: purgeID, By: by, RequestID: requestID})
}

// restoreLetters is the work of a restore.
func restoreLetters(ctx context.Context, x *run) (through bool, err error) {
	src, err := x.source(x.job.Request.Queue)
	if err != nil {
		return false, err
	}
	w := &restoreWork{run: x, src: &src, group: quarantineGroup(x.job.Request.Source)}
	return job.Sweep(ctx, x.engineRun, w, job.Bounds{Limit: x.limit(), Concurrency: 1, Step: stepSize})
}

// restoreWork goes through a quarantine, in the order in which it lists letters.
type restoreWork struct {
	*run
	src          *Source
	group, after string
}

func (w *restoreWork) Next(ctx context.Context) (items []archive.Item, end bool, err error) {
	items, w.after, err = w.opts.Quarantine.List(ctx, w.group, w.after, stepSize)
	return items, w.after == "", err
}

func (w *restoreWork) Wants(archive.Item) bool { return true }

func (w *restoreWork) Intent(it archive.Item) Entry { return Entry{MessageID: it.ID} }

// Do sends letters back to their queue.
func (w *restoreWork) Do(ctx context.Context, items []archive.Item) ([]Entry, error) {
	entries, letters := make([]Entry, len(items)), make([]aside, len(items))
	var messages []workqueue.Outgoing
	var sent []int
	for i := range items {
		entries[i] = w.Intent(items[i])
		whole, err := w.opts.Quarantine.Get(ctx, items[i].Group, items[i].ID)
		if err == nil {
			err = json.Unmarshal(whole.Data, &letters[i])
		}
		if err != nil {
			entries[i].Outcome, entries[i].Reason = Failed, reasonOf(err)
			continue
		}
		a := &letters[i]
		entries[i].TaskID, entries[i].Fingerprint = a.TaskID, a.Fingerprint
		messages = append(messages, workqueue.Outgoing{
			Body: a.Body, Attributes: a.Attributes, Group: a.Group, Trace: a.Trace, DeduplicationID: onceOnly(a.MessageID, w.job.ID),
		})
		sent = append(sent, i)
	}
	var listed []tasktable.FailureEntry
	if len(messages) > 0 {
		for n, err := range sendInOrder(ctx, w.src.Letters, messages) {
			i := sent[n]
			if err != nil {
				entries[i].Outcome, entries[i].Reason = Failed, reasonOf(err)
				continue
			}
			entries[i].Outcome, entries[i].To = Restored, w.src.Letters.Name()
			if a := letters[i]; a.TaskID != "" && a.Run > 0 {
				listed = append(listed, tasktable.FailureEntry{ID: a.TaskID, Fingerprint: a.Fingerprint, Run: a.Run, At: a.SentAt})
			}
		}
	}
	if w.src.Tasks != nil && len(listed) > 0 {
		for i, err := range w.src.Tasks.Relist(ctx, listed) {
			if err != nil {
				w.opts.Logger.WarnContext(ctx, "task not listed", slogTask(listed[i].ID), slogError(err))
			}
		}
	}
	return entries, nil
}

// Leave removes restored letters from the quarantine.
func (w *restoreWork) Leave(ctx context.Context, settled, _ []archive.Item) error {
	var errs []error
	for _, it := range settled {
		errs = append(errs, w.opts.Quarantine.Delete(ctx, it.Group, it.ID))
	}
	return errors.Join(errs...)
}
