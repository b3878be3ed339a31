package rescue

import (
	"context"
	"slices"

	"github.com/spillway-go/spillway/pkg/archive"
)

// List returns up to limit archived records, without their data: first those
// that wait for a replay, then the others, each in the order of their streams.
func (r *Replayer) List(ctx context.Context, limit int) ([]Record, error) {
	limit = min(max(limit, 1), maxMax)
	waiting, others, err := r.find(ctx, limit, limit)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(waiting, others)
	return all[:min(len(all), limit)], nil
}

// Ranges returns up to limit ranges that Lambda gave up and messages that were
// no such range, in the order of their streams.
func (r *Replayer) Ranges(ctx context.Context, limit int) ([]FailedRange, error) {
	limit = min(max(limit, 1), maxMax)
	ranges := []FailedRange{}
	err := r.each(ctx, groupRanges, func(it archive.Item) bool {
		ranges = append(ranges, rangeOf(it))
		return len(ranges) < limit
	})
	return ranges, err
}

// find reads the archive until it has found so many records that wait, and
// keeps so many others on the way.
func (r *Replayer) find(ctx context.Context, waiting, others int) (wait, other []Record, err error) {
	wait = []Record{}
	err = r.each(ctx, groupRecords, func(it archive.Item) bool {
		if rec := recordOf(it); rec.State == Archived {
			wait = append(wait, rec)
		} else if len(other) < others {
			other = append(other, rec)
		}
		return len(wait) < waiting
	})
	return wait, other, err
}

// each calls f for the items of a group, as long as that returns true.
func (r *Replayer) each(ctx context.Context, group string, f func(archive.Item) bool) error {
	after := ""
	for {
		items, next, err := r.kept.List(ctx, group, after, 1000)
		if err != nil {
			return err
		}
		for _, it := range items {
			if !f(it) {
				return nil
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
}
