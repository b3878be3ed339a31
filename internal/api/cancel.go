package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Canceler is what [Cancel] uses of the task table.
type Canceler interface {
	Cancel(ctx context.Context, tenant, id string) (*tasktable.Row, error)
}

// Cancel answers DELETE /tasks/{id}.
type Cancel struct{ Table Canceler }

// Handle is the Lambda handler.
func (c *Cancel) Handle(ctx context.Context, r request) (response, error) {
	ctx, done := inTime(ctx)
	defer done()
	id, ok := pathID(&r)
	if !ok {
		return failure(ctx, tasktable.ErrNotFound), nil
	}
	row, err := c.Table.Cancel(ctx, tenant(r.RequestContext.Identity), id)
	if errors.Is(err, tasktable.ErrFinished) {
		return problemAnswer(codeFinished, fmt.Sprintf("The task is %s and cannot be canceled any more.", row.Status)), nil
	}
	if err != nil {
		return failure(ctx, err), nil
	}
	slog.InfoContext(ctx, "cancel", slog.String("task_id", id), slog.String("status", string(row.Status)))
	return answer(http.StatusOK, row.Task(), nil), nil
}
