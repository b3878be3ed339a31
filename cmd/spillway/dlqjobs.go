package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
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
				list, raw, err := ask[jobList](ctx, o, adminRequest{Command: "dlq.jobs"})
				if err != nil || o.json() {
					return o.answer(raw, err)
				}
				return o.showJobs(list.Jobs)
			}
			found, raw, err := ask[jobAnswer](ctx, o, adminRequest{Command: "dlq.jobs", JobID: args[0], Max: limit})
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			if found.Job == nil {
				return &callError{msg: "dlq.jobs answered no job"}
			}
			return o.showJob(found.Job)
		})(ctx, args)
	})
	return cmd
}

func (o *operator) showJobs(jobs []job) error {
	if len(jobs) == 0 {
		p := &printer{w: o.errw}
		p.printf("no jobs\n")
		return p.err
	}
	rows := make([][]string, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		rows[i] = []string{
			clean(j.JobID), clean(j.Kind), clean(j.Queue), clean(j.Status), since(j.CreatedAt),
			j.tally(), clean(j.By),
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

func (o *operator) showJob(j *job) error {
	var rows details
	rows.add("job", j.JobID)
	rows.add("kind", j.Kind)
	rows.add("queue", j.Queue)
	rows.add("status", j.Status)
	rows.add("by", j.By)
	rows.add("created", moments(j.CreatedAt))
	rows.add("started", moments(j.StartedAt))
	rows.add("updated", moments(j.UpdatedAt))
	rows.add("finished", moments(j.FinishedAt))
	if f := string(j.Filter); f != "null" && f != "{}" {
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
	if c := j.Canary; c != nil && c.Size > 0 {
		rows.add("canary", fmt.Sprintf("%d: %d succeeded, %d failed, %d pending", c.Size, c.Succeeded, c.Failed, c.Pending))
	}
	rows.addCount("planned", j.Planned)
	rows.add("done", j.tally())
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
		section("the tasks", counts, j.Outcomes.rows())
	}
	var events [][]string
	for _, e := range j.Events {
		events = append(events, []string{moments(e.At), clean(e.What), clean(e.By)})
	}
	section("events", []column{{}, {}, {}}, events)
	o.showMessages(p, j.Messages)
	if line := o.resumeLine(j); line != "" {
		p.printf("\ngo on with\n  %s\n", line)
	}
	return p.err
}

func (o *operator) showMessages(p *printer, messages []jobMessage) {
	if len(messages) == 0 {
		return
	}
	rows := make([][]string, len(messages))
	for i, m := range messages {
		id := m.TaskID
		if id == "" {
			id = m.MessageID
		}
		rows[i] = []string{clean(id), strconv.Itoa(m.Run), clean(m.Outcome), clean(m.Became), clean(m.Reason)}
	}
	p.printf("\n")
	p.table(0, []column{{title: "ID"}, {title: "RUN", right: true}, {title: "OUTCOME"}, {title: "BECAME"}, {title: "REASON"}}, rows)
}

// resumeLine is how to carry out, or go on with, a job that is at rest.
func (o *operator) resumeLine(j *job) string {
	if j.Status == jobRunning || j.Status == jobStopping || (j.Status != jobPlanned && !j.resumable()) {
		return ""
	}
	switch j.Kind {
	case "replay":
		return o.commandLine("dlq", "replay", "--plan", j.JobID)
	case "retry":
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
			out, raw, err := change[outcome](ctx, o, adminRequest{Command: "dlq.stop", JobID: args[0]})
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			p := &printer{w: o.out}
			p.printf("%s. See how far it came with\n  %s\n", clean(out.Status), o.commandLine("dlq", "jobs", args[0]))
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
			op: o, what: "restoring", start: adminRequest{Command: "dlq.restore", JobID: args[0]},
			resume: again, planned: planned,
			isOurs: func(j *job) bool { return j.Kind == "restore" && j.Restores == args[0] },
		}
		return run.finish(ctx, false)
	}))
	return cmd
}

// purged looks at a purge.
func (o *operator) purged(ctx context.Context, id string) (*job, json.RawMessage, error) {
	found, raw, err := ask[jobAnswer](ctx, o, adminRequest{Command: "dlq.jobs", JobID: id})
	switch {
	case err != nil:
		return nil, raw, err
	case found.Job == nil:
		return nil, nil, &callError{msg: "dlq.jobs answered no job"}
	case found.Job.Kind != "purge":
		return nil, nil, &exitError{exitUsage, fmt.Sprintf("%s is a %s, and only a purge can be restored", id, clean(found.Job.Kind))}
	default:
		return found.Job, raw, nil
	}
}
