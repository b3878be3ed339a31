// Package statements is an example of a task type of your own: it mails an
// account's monthly statements, one page of customers after the other.
package statements

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// Type is the name of the task type.
const Type = "statements.send"

// Input is what a caller submits.
type Input struct {
	Account string `json:"account"`
	Month   string `json:"month"`
}

var month = regexp.MustCompile(`^20\d\d-(0[1-9]|1[0-2])$`)

// Validate makes Input a [task.Validator]: what it refuses is answered with
// 400 by POST /tasks, and no task is stored.
func (in Input) Validate() error {
	switch {
	case in.Account == "":
		return errors.New("account: is missing")
	case !month.MatchString(in.Month):
		return errors.New("month: must look like 2026-01")
	}
	return nil
}

// Result is what GET /tasks/{id} shows of a task that succeeded.
type Result struct {
	Sent int `json:"sent"`
}

// What the services below answer.
var (
	ErrNoAccount = errors.New("there is no such account")
	ErrBusy      = errors.New("the mail service asks for a pause")
)

// Customers knows an account's customers, in pages.
type Customers interface {
	Page(ctx context.Context, account string, page int) (names []string, pages int, err error)
}

// Mailer sends a statement. It drops a key that it has seen before.
type Mailer interface {
	Send(ctx context.Context, key, customer, month string) error
}

// Sender handles [Type].
type Sender struct {
	Customers Customers
	Mailer    Mailer
}

// position is the checkpoint: what the next attempt has to know.
type position struct {
	Page int `json:"page"`
	Sent int `json:"sent"`
}

// Send is the handler. Each call is one attempt, and what it returns decides
// what becomes of the task.
func (s Sender) Send(ctx context.Context, in Input) (Result, error) {
	var at position // zero in the first attempt
	if _, err := task.Restore(ctx, &at); err != nil {
		return Result{}, err
	}
	for {
		names, pages, err := s.Customers.Page(ctx, in.Account, at.Page)
		if errors.Is(err, ErrNoAccount) {
			// No retry mends this: failed now, with a code for programs.
			return Result{}, task.Permanent(task.Code("no_account", err))
		}
		if err != nil {
			return Result{}, err // any other error: another attempt, after a backoff
		}
		for _, name := range names {
			// An attempt may repeat what an earlier one did. This key is the
			// same in all of them, so nobody gets two statements.
			key := task.IdempotencyKey(ctx) + "-" + name
			err := s.Mailer.Send(ctx, key, name, in.Month)
			if errors.Is(err, ErrBusy) {
				return Result{}, task.RetryAfter(time.Minute, err)
			}
			if err != nil {
				return Result{}, fmt.Errorf("statement for %s: %w", name, err)
			}
			at.Sent++
		}
		if at.Page++; at.Page >= pages {
			return Result{Sent: at.Sent}, nil
		}
		// Callers see the progress in GET /tasks/{id}. The checkpoint is where
		// the next attempt goes on, and it tells a canceled task to stop.
		if err := task.Progress(ctx, int64(at.Page), int64(pages), "pages"); err != nil {
			return Result{}, err
		}
		if err := task.Checkpoint(ctx, at); err != nil {
			return Result{}, err
		}
	}
}
