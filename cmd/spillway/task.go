package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/client"
	"github.com/spillway-go/spillway/pkg/task"
)

func (o *operator) taskCommand() *cobra.Command {
	return o.group("task", "Show, retry and cancel any tenant's tasks",
		`Show, retry and cancel any tenant's tasks.

Works through the stack's admin function, which your identity must be allowed to
invoke (lambda:InvokeFunction). What changes something asks before; --yes answers
for scripts.

Exit codes: 0 done, 1 failed, refused or stopped, 2 used wrongly, or nobody there
to say yes, 3 a task that was retried did not succeed, 130 interrupted.`,
		o.taskGetCommand(), o.taskRetryCommand(), o.taskCancelCommand())
}

func (o *operator) getTask(ctx context.Context, id string) (*adminapi.Task, []byte, error) {
	found, raw, err := ask(ctx, o, adminapi.TaskGet, adminapi.TaskRequest{ID: id})
	if err != nil {
		return nil, raw, err
	}
	return found.Task, raw, nil
}

// showAdminTask shows a task with what only operators see.
func (o *operator) showAdminTask(t *adminapi.Task) error {
	if err := o.showTask(clientTask(&t.Task)); err != nil {
		return err
	}
	var rows details
	rows.addCount("run", t.Run)
	rows.addCount("replays", t.Replays)
	rows.add("job", t.PlanID)
	failure := t.LastFailure()
	if rows.addFailure(failure); failure == nil && len(t.History) > 0 {
		rows.addCount("attempts", len(t.History))
		rows.addHistory(t.History)
	}
	if len(rows) == 0 {
		return nil
	}
	p := &printer{w: o.out}
	p.printf("\n")
	p.table(0, []column{{}, {}}, rows)
	return p.err
}

func (o *operator) taskGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "get ID",
		Short:             "Show one task of any tenant, and why it failed",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: o.action(0, o.withAdmin(func(ctx context.Context, args []string) error {
			t, raw, err := o.getTask(ctx, args[0])
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			return o.showAdminTask(t)
		})),
	}
}

func (o *operator) taskCancelCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:               "cancel ID",
		Short:             "Cancel a task of any tenant",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = o.action(0, o.withAdmin(func(ctx context.Context, args []string) error {
		if !yes {
			t, raw, err := o.getTask(ctx, args[0])
			if err != nil {
				return o.answer(raw, err)
			}
			if err := o.confirm(ctx, fmt.Sprintf("Cancel %s?", describe(t)), o.commandLine("task", "cancel", args[0], "--yes")); err != nil {
				return err
			}
		}
		done, raw, err := change(ctx, o, adminapi.TaskCancel, adminapi.TaskCancelRequest{ID: args[0]})
		if err != nil || o.json() {
			return o.answer(raw, err)
		}
		return o.showAdminTask(done.Task)
	}))
	return cmd
}

// clientTask is a task as the API's client reads it, to be shown in the same way.
func clientTask(t *task.Task) *client.Task {
	c := &client.Task{
		ID: t.ID, Type: t.Type, Status: client.Status(t.Status), Tenant: t.Tenant, Priority: client.Priority(t.Priority), CreatedAt: t.CreatedAt.Time,
		Deadline: t.Deadline.Time, Attempts: t.Attempts, Progress: (*client.Progress)(t.Progress), Result: t.Result, Error: (*client.TaskError)(t.Error),
		CancelRequested: t.CancelRequested,
	}
	if t.StartedAt != nil {
		c.StartedAt = t.StartedAt.Time
	}
	if t.FinishedAt != nil {
		c.FinishedAt = t.FinishedAt.Time
	}
	return c
}

// describe is a task in a question.
func describe(t *adminapi.Task) string {
	text := fmt.Sprintf("task %s (%s, %s", clean(t.ID), clean(t.Type), t.Status)
	if t.Tenant != "" {
		text += ", of tenant " + clean(t.Tenant)
	}
	return text + ")"
}

func (o *operator) taskRetryCommand() *cobra.Command {
	f := replayFlags{kind: adminapi.KindRetry, path: []string{"task", "retry"}}
	cmd := &cobra.Command{
		Use:   "retry ID | filters",
		Short: "Run failed or dead-lettered tasks again, from their stored input",
		Long: `Run failed or dead-lettered tasks again, from their stored input.

With filters, first shows the plan and asks; then sends, and follows the tasks to
their end (--no-follow does not). Ctrl-C stops the job where it is, and says how
to go on with it.`,
		Example: `  spillway task retry 01JZ8Q4W7M6T3V9X2K5B0N1C8D
  spillway task retry --status failed --type webhook.deliver --newer-than 2h --rate 20`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.addTo(cmd, "tasks")
	f.filter.addStatus(cmd)
	cmd.MarkFlagsMutuallyExclusive("plan", "status")
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		filter, err := f.filter.filter()
		switch {
		case err != nil:
			return err
		case len(args) == 1 && (filter != nil || f.plan != "" || f.rate > 0 || f.max > 0 || f.canary > 0):
			return usagef("an id stands alone: no filter, --plan, --rate, --max or --canary beside it")
		case len(args) == 1 && args[0] == "":
			return usagef("the id is empty")
		case len(args) == 0 && filter == nil && f.plan == "":
			return usagef("which tasks? Give an id or a filter; --status failed means all that have failed")
		}
		return o.withAdmin(func(ctx context.Context, args []string) error {
			switch {
			case len(args) == 0:
				return o.replay(ctx, &f, filter)
			case f.dryRun:
				return o.replay(ctx, &f, &adminapi.Filter{IDs: args})
			default:
				return o.retryOne(ctx, &f, args[0])
			}
		})(ctx, args)
	})
	return cmd
}

// retryOne retries a single task, which needs no plan.
func (o *operator) retryOne(ctx context.Context, f *replayFlags, id string) error {
	if !f.yes {
		t, raw, err := o.getTask(ctx, id)
		if err != nil {
			return o.answer(raw, err)
		}
		words := append([]string{"task", "retry", id}, givenWords(f.cmd.Flags(), "no-follow")...)
		if err := o.confirm(ctx, fmt.Sprintf("Run %s again?", describe(t)), o.commandLine(append(words, "--yes")...)); err != nil {
			return err
		}
	}
	done, raw, err := change(ctx, o, adminapi.TaskRetry, adminapi.TaskRetryRequest{ID: id})
	if err != nil {
		return o.answer(raw, err)
	}
	if !f.noFollow {
		again, answer, err := o.followTask(ctx, done.Task)
		if again != nil {
			done.Task, raw = again, answer
		}
		if err != nil {
			return errors.Join(o.showRetried(done.Task, raw), err)
		}
	}
	if err := o.showRetried(done.Task, raw); err != nil {
		return err
	}
	if s := done.Task.Status; !f.noFollow && s != task.Succeeded {
		return &exitError{exitNotSucceed, "the task ended as " + clean(string(s))}
	}
	return nil
}

func (o *operator) showRetried(t *adminapi.Task, raw []byte) error {
	if o.json() {
		return o.writeRaw(raw)
	}
	return o.showAdminTask(t)
}
