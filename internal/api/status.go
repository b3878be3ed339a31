package api

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

const (
	// maxWait is the longest that GET /tasks/{id} holds its answer; API
	// Gateway gives up after 29 s.
	maxWait = 25 * time.Second
	// waitMargin is left for the answer itself.
	waitMargin = time.Second

	firstPoll = 150 * time.Millisecond
	lastPoll  = time.Second

	defaultLimit = 25
	maxLimit     = 100
)

// Reader is what [Status] uses of the task table.
type Reader interface {
	Get(ctx context.Context, id string) (*tasktable.Row, error)
	List(ctx context.Context, q tasktable.Query) (tasktable.Page, error)
}

// Status answers GET /tasks/{id} and GET /tasks.
type Status struct{ Table Reader }

// Handle is the Lambda handler.
func (s *Status) Handle(ctx context.Context, r request) (response, error) {
	ctx, done := inTime(ctx)
	defer done()
	if _, one := r.PathParameters["id"]; one {
		return s.get(ctx, &r), nil
	}
	return s.list(ctx, &r), nil
}

func (s *Status) get(ctx context.Context, r *request) response {
	id, ok := pathID(r)
	if !ok {
		return failure(ctx, tasktable.ErrNotFound)
	}
	var wait time.Duration
	if text := r.QueryStringParameters["wait"]; text != "" {
		var err error
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 || wait > maxWait {
			return failure(ctx, invalid(`"wait" is a duration from 0s to %s`, maxWait))
		}
	}
	row, err := s.await(ctx, id, tenant(r.RequestContext.Identity), wait)
	if err != nil {
		return failure(ctx, err)
	}
	slog.InfoContext(ctx, "task read", slog.String("task_id", id), slog.String("status", string(row.Status)))
	var headers map[string]string
	if !row.Status.Finished() {
		headers = map[string]string{"Retry-After": retryAfter(row, time.Now())}
	}
	return answer(http.StatusOK, row.Task(), headers)
}

// await reads a task until it has finished or the wait is over, less and less
// often: each read costs half a unit.
func (s *Status) await(ctx context.Context, id, tenant string, wait time.Duration) (*tasktable.Row, error) {
	end := time.Now().Add(wait)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-waitMargin).Before(end) {
		end = deadline.Add(-waitMargin)
	}
	var seen *tasktable.Row
	for poll := firstPoll; ; poll = min(poll*3/2, lastPoll) {
		row, err := s.Table.Get(ctx, id)
		if err != nil && seen != nil && !errors.Is(err, tasktable.ErrNotFound) {
			slog.WarnContext(ctx, "wait cut short", slog.String("task_id", id), slog.Any("error", err))
			return seen, nil // an early answer is better than none
		}
		if err != nil {
			return nil, err
		}
		if row.Tenant != tenant {
			return nil, tasktable.ErrNotFound
		}
		seen = row
		left := time.Until(end)
		if row.Status.Finished() || left <= 0 {
			return row, nil
		}
		timer := time.NewTimer(min(poll, left))
		select {
		case <-ctx.Done():
			timer.Stop()
			return row, nil
		case <-timer.C:
		}
	}
}

// taskList is the body of GET /tasks.
type taskList struct {
	Tasks  []task.Task `json:"tasks"`
	Cursor string      `json:"cursor,omitempty"`
}

func (s *Status) list(ctx context.Context, r *request) response {
	q, err := query(r)
	if err != nil {
		return failure(ctx, err)
	}
	page, err := s.Table.List(ctx, q)
	if err != nil {
		return failure(ctx, err)
	}
	slog.InfoContext(ctx, "tasks listed", slog.Int("count", len(page.Rows)))
	list := taskList{Tasks: make([]task.Task, 0, len(page.Rows))}
	for _, row := range page.Rows {
		list.Tasks = append(list.Tasks, row.Task())
	}
	if page.Next != "" {
		list.Cursor = encodeCursor(page.Next)
	}
	return answer(http.StatusOK, list, nil)
}

func query(r *request) (tasktable.Query, error) {
	params := r.QueryStringParameters
	q := tasktable.Query{
		Tenant: tenant(r.RequestContext.Identity), Type: params["type"], Status: task.Status(params["status"]), Limit: defaultLimit,
	}
	// An empty parameter is one that is not given: ?cursor= is how a loop over
	// pages begins.
	if q.Status != "" && !q.Status.Known() {
		return q, invalid(`"status" is one of %s`, strings.Join(statusNames(), ", "))
	}
	if text := params["limit"]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return q, invalid(`"limit" is a number from 1 to %d`, maxLimit)
		}
		q.Limit = n
	}
	if text := params["cursor"]; text != "" {
		id, ok := decodeCursor(text)
		if !ok {
			return q, invalid(`"cursor" is not one that a page of this API has given`)
		}
		q.Before = id
	}
	return q, nil
}

func statusNames() []string {
	names := make([]string, len(task.Statuses))
	for i, s := range task.Statuses {
		names[i] = string(s)
	}
	return names
}

// cursorPrefix versions the cursor, which is opaque to callers.
const cursorPrefix = "1:"

func encodeCursor(id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + id))
}

func decodeCursor(text string) (string, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return "", false
	}
	id, ok := strings.CutPrefix(string(raw), cursorPrefix)
	return id, ok && isID(id) && encodeCursor(id) == text // there is one spelling
}

func pathID(r *request) (string, bool) {
	id := r.PathParameters["id"]
	return id, isID(id)
}

// isID reports whether id has the one spelling that ids have.
func isID(id string) bool {
	parsed, err := ulid.ParseStrict(id)
	return err == nil && parsed.String() == id
}
