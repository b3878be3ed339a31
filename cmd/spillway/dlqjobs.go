package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
)

func (o *operator) dlqJobsCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "jobs [JOB]",
		Short: "Show who changed what, and what came of it",
		Long: `Show who changed what, and what came of it: the last 25 jobs, or one with its
events and how its tasks ended. A plan is a job from the time it was made.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().IntVar(&limit, "max", 0, "also show what became of so many messages of the job")
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		switch given := cmd.Flags().Changed("max"); {
		case given && len(args) == 0:
			return usagef("--max goes with a job: it is about that one's messages")
		case given && limit < 1:
			return usagef("--max must be at least 1")
		}
		return o.withAdmin(func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				list, raw, err := ask(ctx, o, adminapi.DLQJobs, adminapi.DLQJobsRequest{})
				if err != nil || o.json() {
					return o.answer(raw, err)
				}
				return o.showJobs(list.Jobs)
			}
			j, raw, err := o.findJob(ctx, args[0], limit)
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			return o.showJob(j)
		})(ctx, args)
	})
	return cmd
}

func (o *operator) showJobs(jobs []adminapi.Job) error {
	if len(jobs) == 0 {
		p := &printer{w: o.errw}
		p.printf("no jobs\n")
		return p.err
	}
	rows := make([][]string, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		rows[i] = []string{
			clean(j.JobID), clean(string(j.Kind)), clean(j.Queue), clean(string(j.Status)), since(j.CreatedAt.Time),
			counted(j), clean(j.By),
		}
	}
	width, _ := o.screen(o.out)
	p := &printer{w: o.out}
	p.table(width, []column{
		{title: "JOB"},
		{title: "KIND"},
		{title: "QUEUE"},
		{title: "STATUS"},
		{title: "AGE", right: true},
		{title: "DONE"},
		{title: "BY"},
	}, rows)
	return p.err
}

func (o *operator) showJob(j *adminapi.Job) error {
	var rows details
	rows.add("job", j.JobID)
	rows.add("kind", string(j.Kind))
	rows.add("queue", j.Queue)
	rows.add("status", string(j.Status))
	rows.add("by", j.By)
	rows.add("created", moments(j.CreatedAt.Time))
	rows.add("started", moments(j.StartedAt.Time))
	rows.add("updated", moments(j.UpdatedAt.Time))
	rows.add("finished", moments(j.FinishedAt.Time))
	filter, err := adminapi.Encode(j.Filter)
	if err != nil {
		return err
	}
	if f := string(filter); f != "{}" {
		rows.add("filter", f)
	}
	if j.Execution != "" {
		rows.add("saga", j.Execution+", "+j.Step)
		rows.add("reason", j.Reason)
	} else {
		rows.addCount("max", j.Max)
	}
	if j.Rate > 0 {
		rows.add("rate", strconv.FormatFloat(j.Rate, 'g', -1, 64)+"/s")
	}
	if c := j.Canary; c != nil {
		rows.add("canary", fmt.Sprintf("%d: %d succeeded, %d failed, %d pending", c.Size, c.Succeeded, c.Failed, c.Pending))
	}
	rows.addCount("planned", j.Planned)
	rows.add("done", counted(j))
	rows.addCount("may arrive twice", j.AtLeastOnce)
	rows.add("note", j.Note)
	p := &printer{w: o.out}
	p.table(0, []column{{}, {}}, rows)
	section := func(title string, columns []column, rows [][]string) {
		if len(rows) > 0 {
			p.printf("%s\n", title)
			p.table(0, columns, indent(rows))
		}
	}
	counts := []column{{right: true}, {}}
	section("reasons", counts, ranked(j.Reasons))
	if j.Outcomes != nil {
		section("the tasks", counts, outcomeRows(j.Outcomes))
	}
	var events [][]string
	for _, e := range j.Events {
		events = append(events, []string{moments(e.At.Time), clean(e.What), clean(e.By)})
	}
	section("events", []column{{}, {}, {}}, events)
	o.showMessages(p, j.Messages)
	if line := o.resumeLine(j); line != "" {
		p.printf("\ngo on with\n  %s\n", line)
	}
	return p.err
}

func (o *operator) showMessages(p *printer, messages []adminapi.JobMessage) {
	if len(messages) == 0 {
		return
	}
	rows := make([][]string, len(messages))
	for i, m := range messages {
		rows[i] = []string{clean(cmp.Or(m.TaskID, m.MessageID)), strconv.Itoa(m.Run), clean(string(m.Outcome)), clean(m.Became), clean(string(m.Reason))}
	}
	p.printf("\n")
	p.table(0, []column{{title: "ID"}, {title: "RUN", right: true}, {title: "OUTCOME"}, {title: "BECAME"}, {title: "REASON"}}, rows)
}

// resumeLine is how to carry out, or go on with, a job that is at rest.
func (o *operator) resumeLine(j *adminapi.Job) string {
	if j.Status == adminapi.JobRunning || j.Status == adminapi.JobStopping || (j.Status != adminapi.JobPlanned && !resumable(j)) {
		return ""
	}
	switch j.Kind {
	case adminapi.KindReplay:
		return o.commandLine("dlq", "replay", "--plan", j.JobID)
	case adminapi.KindRetry:
		return o.commandLine("task", "retry", "--plan", j.JobID)
	default:
		return ""
	}
}

func (o *operator) dlqStopCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "stop JOB",
		Short:             "Stop a running job, which can go on later",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: o.action(0, o.withAdmin(func(ctx context.Context, args []string) error {
			out, raw, err := change(ctx, o, adminapi.DLQStop, adminapi.JobRequest{JobID: args[0]})
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			p := &printer{w: o.out}
			p.printf("%s. See how far it came with\n  %s\n", clean(string(out.Status)), o.commandLine("dlq", "jobs", args[0]))
			return p.err
		})),
	}
}

func (o *operator) dlqRestoreCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:               "restore JOB",
		Short:             "Put back what a purge took",
		Long:              "Put the messages that a purge moved to quarantine back into the dead-letter queue.\nPossible until they expire; see `spillway dlq jobs` for the purge's id.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = o.action(0, o.withAdmin(func(ctx context.Context, args []string) error {
		again := o.commandLine("dlq", "restore", args[0])
		planned := 0
		if !yes {
			j, raw, err := o.purged(ctx, args[0])
			if err != nil {
				return o.answer(raw, err)
			}
			planned = j.Quarantined
			question := fmt.Sprintf("Put %s back into the dead-letter queue of %s?", quantity(j.Quarantined, "message"), clean(j.Queue))
			if err := o.confirm(ctx, question, again+" --yes"); err != nil {
				return err
			}
		}
		run := &jobRun{
			op: o, what: "restoring", start: jobCallOf(o, adminapi.DLQRestore, adminapi.JobRequest{JobID: args[0]}),
			resume: again, planned: planned,
			isOurs: func(j *adminapi.Job) bool { return j.Kind == adminapi.KindRestore && j.Restores == args[0] },
		}
		return run.finish(ctx, false)
	}))
	return cmd
}

// purged looks at a purge.
func (o *operator) purged(ctx context.Context, id string) (*adminapi.Job, json.RawMessage, error) {
	j, raw, err := o.findJob(ctx, id, 0)
	switch {
	case err != nil:
		return nil, raw, err
	case j.Kind != adminapi.KindPurge:
		return nil, nil, &exitError{exitUsage, fmt.Sprintf("%s is a %s, and only a purge can be restored", id, clean(string(j.Kind)))}
	default:
		return j, raw, nil
	}
}
