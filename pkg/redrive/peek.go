package redrive

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Listing is what a look into a dead-letter queue has found.
type Listing struct {
	Letters []*Letter
	// Complete says that all of the queue was looked through, or as much as was
	// asked for.
	Complete bool
	// Unseen is how many letters somebody else held all the while.
	Unseen int
}

// MaxList is how many letters one listing holds, and maxListBytes how much of
// their bodies: an answer of Lambda's has 6 MB.
const (
	MaxList      = 1000
	maxListBytes = 4 << 20
)

// List looks at up to limit dead letters that match. Nothing is consumed: all
// are visible again when it returns, with one more receive. One that another
// process holds at the moment is not seen.
func (r *Redrive) List(ctx context.Context, queue string, f Filter, limit int) (*Listing, error) {
	src, err := r.source(queue)
	if err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	limit = min(cmp.Or(max(limit, 0), 100), MaxList)
	found, bytes := &Listing{}, 0
	now := time.Now()
	complete, unseen, err := r.peek(ctx, src.Letters, func(l *Letter) bool {
		if !f.matches(l.subject(), now) {
			return true
		}
		if bytes += l.bytes(); bytes > maxListBytes {
			return false
		}
		found.Letters = append(found.Letters, l)
		return len(found.Letters) < limit
	})
	found.Complete, found.Unseen = complete || len(found.Letters) == limit, unseen
	return found, err
}

// peek shows the letters of a queue until each returns false, the queue has
// been gone through, or the time is over.
func (r *Redrive) peek(ctx context.Context, letters Inbox, each func(*Letter) bool) (complete bool, unseen int, err error) {
	s := r.sweepOf(ctx, letters)
	defer s.close(ctx)
	for job.InTime(ctx, 0) {
		found, end, err := s.next(ctx)
		if err != nil {
			return false, 0, err
		}
		for _, l := range found {
			s.hold(l.ReceiptHandle)
		}
		for _, l := range found {
			if !each(l) {
				return false, 0, nil
			}
		}
		if end {
			return s.unseen == 0, s.unseen, nil
		}
	}
	return false, 0, ctx.Err()
}

// Group is dead letters that failed the same way.
type Group struct {
	Fingerprint string
	Type        string
	Code        string
	Message     string // of the sample
	Count       int
	FirstSeen   time.Time
	LastSeen    time.Time
	MovedBy     string // [ByWorker], [BySQS] or [BySender]
	TaskID      string // of the sample, the newest
	MessageID   string // of the sample; empty for one that was found in the index
}

// Overview is what a dead-letter queue holds.
type Overview struct {
	Name   string
	Counts workqueue.Counts
	// Oldest is when the oldest letter that was found became one; zero without
	// any.
	Oldest time.Time
	Groups []Group // the largest first
	// Indexed is how many letters the index of the task table knows.
	Indexed int
	// Complete says that the groups cover all of the queue.
	Complete bool
}

// Overview groups what is in a dead-letter queue. Letters of tasks are found in
// the index of the task table, without receiving anything. Only if the queue
// does not hold as many, because SQS moved messages itself, they are none of
// ours, or somebody has taken some out, it is looked through as by
// [Redrive.List].
func (r *Redrive) Overview(ctx context.Context, queue string) (*Overview, error) {
	src, err := r.source(queue)
	if err != nil {
		return nil, err
	}
	groups := grouping{}
	found, err := r.survey(ctx, &src, nil, func(l *Letter) bool {
		groups.letter(l)
		return true
	})
	if err != nil {
		return nil, err
	}
	o := &Overview{Name: src.Letters.Name(), Counts: found.counts, Indexed: found.indexed, Complete: found.complete}
	for _, e := range found.listed {
		if g, newest := groups.group(e.Fingerprint, ByWorker, e.At); newest {
			g.TaskID, g.Type = e.ID, e.Type
		}
	}
	if src.Tasks != nil {
		if err := groups.explain(ctx, src.Tasks); err != nil {
			return nil, err
		}
	}
	o.Groups = groups.sorted()
	for _, g := range o.Groups {
		if o.Oldest.IsZero() || g.FirstSeen.Before(o.Oldest) {
			o.Oldest = g.FirstSeen
		}
	}
	return o, nil
}

// grouping gathers groups by fingerprint and by who moved the letters.
type grouping map[[2]string]*Group

func (gs grouping) group(fingerprint, movedBy string, at time.Time) (g *Group, newest bool) {
	key := [2]string{fingerprint, movedBy}
	if g = gs[key]; g == nil {
		g = &Group{Fingerprint: fingerprint, MovedBy: movedBy, FirstSeen: at, LastSeen: at}
		gs[key] = g
	}
	g.Count++
	if at.Before(g.FirstSeen) {
		g.FirstSeen = at
	}
	if newest = g.Count == 1 || at.After(g.LastSeen); newest {
		g.LastSeen = at
	}
	return g, newest
}

func (gs grouping) letter(l *Letter) {
	if g, newest := gs.group(l.Failure.Fingerprint, l.MovedBy, l.SentAt); newest {
		g.TaskID, g.MessageID, g.Type, g.Code, g.Message = l.TaskID(), l.MessageID, l.Type(), l.Failure.Code, l.Failure.Message
	}
}

func (gs grouping) row(row *tasktable.Row) {
	g, newest := gs.group(row.Fingerprint, ByWorker, time.UnixMilli(row.FinishedAt))
	if newest && row.Error != nil {
		g.TaskID, g.Type, g.Code, g.Message = row.ID, row.Type, row.Error.Code, row.Error.Message
	}
}

// explain fills in what the index does not say, from the sample's row.
func (gs grouping) explain(ctx context.Context, tasks Tasks) error {
	var ids []string
	for _, g := range gs {
		if g.Code == "" && g.TaskID != "" {
			ids = append(ids, g.TaskID)
		}
	}
	rows, err := tasks.Rows(ctx, ids)
	if err != nil {
		return err
	}
	for _, g := range gs {
		if row := rows[g.TaskID]; g.Code == "" && row != nil && row.Error != nil {
			g.Code, g.Message = row.Error.Code, row.Error.Message
		}
	}
	return nil
}

func (gs grouping) sorted() []Group {
	groups := make([]Group, 0, len(gs))
	for _, g := range gs {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Fingerprint, b.Fingerprint), strings.Compare(a.MovedBy, b.MovedBy))
	})
	return groups
}
