package redrive

import (
	"context"
	"slices"
	"time"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// failures finds the failed tasks that a filter selects, page by page. Ages count
// until now.
type failures struct {
	tasks    Tasks
	filter   *Filter
	now      time.Time
	statuses []task.Status // still to be looked through
	cursor   string        // within the first of them
}

func newFailures(tasks Tasks, f *Filter, now time.Time) *failures {
	statuses := retryable
	if f.Status != "" {
		statuses = []task.Status{f.Status}
	}
	return &failures{tasks: tasks, filter: f, now: now, statuses: statuses}
}

// next returns some tasks; none only at the end, or when the time is over.
func (s *failures) next(ctx context.Context) (rows []*tasktable.Row, end bool, err error) {
	f := s.filter
	if len(f.IDs) > 0 {
		rows, err = s.selected(ctx, slices.Compact(slices.Sorted(slices.Values(f.IDs))))
		return rows, true, err
	}
	for len(rows) == 0 && len(s.statuses) > 0 && job.InTime(ctx, 0) {
		page, err := s.tasks.Failures(ctx, tasktable.FailureQuery{Status: s.statuses[0], Limit: 100, Cursor: s.cursor})
		if err != nil {
			return nil, false, err
		}
		var ids []string
		for _, e := range page.Entries {
			if (f.Type == "" || f.Type == e.Type) && (f.Tenant == "" || f.Tenant == e.Tenant) && !e.At.After(s.now) {
				ids = append(ids, e.ID)
			}
		}
		if rows, err = s.selected(ctx, ids); err != nil {
			return nil, false, err
		}
		if s.cursor = page.Cursor; s.cursor == "" {
			s.statuses = s.statuses[1:]
		}
	}
	return rows, len(s.statuses) == 0, ctx.Err()
}

// selected reads those of some tasks that the filter selects.
func (s *failures) selected(ctx context.Context, ids []string) (rows []*tasktable.Row, err error) {
	stored, err := s.tasks.Rows(ctx, ids)
	for _, id := range ids {
		if row := stored[id]; row != nil && s.filter.selects(row, s.now) {
			rows = append(rows, row)
		}
	}
	return rows, err
}

// selects reports whether the filter selects a failed task.
func (f *Filter) selects(row *tasktable.Row, now time.Time) bool {
	if !slices.Contains(retryable, row.Status) || f.Status != "" && f.Status != row.Status {
		return false
	}
	return f.matches(subjectOf(row), now)
}

// subjectOf is what filters look at in a failed task.
func subjectOf(row *tasktable.Row) subject {
	s := subject{typ: row.Type, tenant: row.Tenant, at: time.UnixMilli(row.FinishedAt), ids: [2]string{row.ID, row.ID}}
	if row.Error != nil {
		s.reason = row.Error.Code + ": " + row.Error.Message
	}
	return s
}
