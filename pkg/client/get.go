package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

// Get returns the task with the given id.
func (c *Client) Get(ctx context.Context, id string) (*Task, error) {
	path, err := taskPath(id)
	if err != nil {
		return nil, err
	}
	t := new(Task)
	if out := c.do(ctx, call{method: http.MethodGet, path: path}, t); out.err != nil {
		return nil, out.err
	}
	return t, nil
}

// Wait returns the task once it has finished, in whatever way: look at its
// Status. It long-polls until then or until ctx ends, so give ctx a deadline.
// When it ends early by ctx or by an error that retries did not cure, the task
// as last seen, if it was seen, comes along with the error.
func (c *Client) Wait(ctx context.Context, id string) (*Task, error) {
	path, err := taskPath(id)
	if err != nil {
		return nil, err
	}
	var last *Task
	for {
		hold := c.opts.LongPoll
		if deadline, ok := ctx.Deadline(); ok {
			// Leave time for the answer: the last look is worth more than
			// holding on until ctx ends without one.
			if left := time.Until(deadline) - time.Second; left < hold {
				hold = max(left.Truncate(time.Second), 0)
			}
		}
		var query url.Values
		if hold > 0 {
			query = url.Values{"wait": {hold.String()}}
		}

		t, began := new(Task), time.Now()
		out := c.do(ctx, call{method: http.MethodGet, path: path, query: query}, t)
		if out.err != nil {
			return last, out.err
		}
		if t.Status.Finished() {
			return t, nil
		}
		last = t

		pause := out.retryAfter
		if pause <= 0 && time.Since(began) < time.Second {
			pause = time.Second // an answer that was not held must not make a busy loop
		}
		if err := sleep.For(ctx, pause); err != nil {
			return last, fmt.Errorf("wait for task %s: %w", id, err)
		}
	}
}

// Cancel asks for the task to end and returns it: canceled, or still running
// with CancelRequested. A task that has finished is [ErrTaskFinished].
func (c *Client) Cancel(ctx context.Context, id string) (*Task, error) {
	path, err := taskPath(id)
	if err != nil {
		return nil, err
	}
	t := new(Task)
	out := c.do(ctx, call{method: http.MethodDelete, path: path}, t)
	if out.err == nil {
		return t, nil
	}
	if out.unknown && errors.Is(out.err, ErrTaskFinished) {
		// An earlier attempt, whose answer was lost, may be what finished it.
		if t, err := c.Get(ctx, id); err == nil && t.Status == Canceled {
			return t, nil
		}
	}
	return nil, out.err
}

// taskPath refuses ids that would address something other than one task.
func taskPath(id string) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", fmt.Errorf("client: %q is no task id: %w", id, ErrInvalidRequest)
	}
	return "/tasks/" + url.PathEscape(id), nil
}
