package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
)

func (o *operator) dlqPurgeCommand() *cobra.Command {
	var (
		filter  filterFlags
		confirm string
		limit   int
		dryRun  bool
		yes     bool
	)
	cmd := &cobra.Command{
		Use:   "purge --confirm QUEUE",
		Short: "Take dead letters away, into quarantine",
		Long: `Take dead letters away, into quarantine, from where ` + "`spillway dlq restore`" + ` puts
them back until they expire. --confirm must repeat the queue's name; at a
terminal it is asked for.`,
		Example:           "  spillway dlq purge --older-than 240h --dry-run\n  spillway dlq purge --type webhook.deliver --error-contains \"410\" --confirm tasks",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	queue := addQueue(cmd)
	filter.addTo(cmd, "messages")
	fl := cmd.Flags()
	fl.StringVar(&confirm, "confirm", "", "the queue's name once more")
	fl.IntVar(&limit, "max", 0, "how many at most (default: all)")
	fl.BoolVar(&dryRun, "dry-run", false, "only say how many there are")
	fl.BoolVarP(&yes, "yes", "y", false, "do not ask")
	complete(cmd, "confirm", adminapi.Queues...)
	complete(cmd, "max")
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		f, err := filter.filter()
		switch {
		case err != nil:
			return err
		case fl.Changed("max") && limit < 1:
			return usagef("--max must be at least 1")
		case fl.Changed("confirm") && confirm != queue.value:
			return usagef("--confirm says %q, and --queue %q: they must be the same", confirm, queue.value)
		case yes && confirm == "" && !dryRun:
			return usagef("--yes needs --confirm %s, so that no script empties the wrong queue", queue.value)
		}
		req := adminapi.DLQPurgeRequest{Queue: queue.value, Filter: f, Max: limit}
		again := append(append([]string{"dlq", "purge"}, givenWords(fl, append(filterNames, "queue", "max")...)...), "--confirm", queue.value)
		return o.withAdmin(func(ctx context.Context, _ []string) error {
			planned := 0
			req.Confirm = queue.value // changes nothing in a dry run, and else follows the question
			if !yes || dryRun {
				dry := req
				dry.DryRun = true
				out, raw, err := change(ctx, o, adminapi.DLQPurge, dry)
				if err != nil || (dryRun && o.json()) {
					return o.answer(raw, err)
				}
				p := o.notes()
				p.printf("%s matched\n", quantity(out.Matched, "message"))
				o.showGroups(p, out.Groups)
				if out.Note != "" {
					p.printf("\n%s\n", clean(out.Note))
				}
				planned = out.Matched
				if dryRun || out.Matched == 0 {
					return o.answer(raw, p.err)
				}
				question := fmt.Sprintf("Take %s out of the dead-letter queue of %s?", quantity(out.Matched, "message"), queue.value)
				if err := o.confirmPurge(ctx, question, confirm, queue.value, o.commandLine(append(again, "--yes")...)); err != nil {
					return err
				}
				if out.JobID == "" { // then the request would mean the whole queue
					return &callError{msg: "dlq.purge answered no job: the stack is older than this program, bring it up with `make deploy`"}
				}
				// What was shown, and nothing that came meanwhile.
				req = adminapi.DLQPurgeRequest{Queue: req.Queue, Confirm: req.Confirm, JobID: out.JobID}
			}
			var until time.Time
			run := &jobRun{
				op: o, what: "purging", resume: o.commandLine(again...), planned: planned, id: req.JobID,
				isOurs: func(j *adminapi.Job) bool { return j.Kind == adminapi.KindPurge && j.Queue == queue.value },
				start: func(ctx context.Context) (*adminapi.Job, json.RawMessage, error) {
					out, raw, err := change(ctx, o, adminapi.DLQPurge, req)
					if err != nil {
						return nil, raw, err
					}
					until = out.RestorableUntil.Time
					j := out.Job()
					return &j, raw, nil
				},
			}
			if err := run.finish(ctx, false); err != nil || o.json() {
				return err
			}
			return o.tellRestore(run, until)
		})(ctx, args)
	})
	return cmd
}

// confirmPurge asks for yes, or for the queue's name where --confirm is missing.
func (o *operator) confirmPurge(ctx context.Context, question, confirmed, queue, instead string) error {
	if confirmed != "" || !o.canAsk() {
		return o.confirm(ctx, question, instead)
	}
	answer, err := o.prompt(ctx, question+" Type "+queue+" to go ahead: ")
	if err != nil {
		return err
	}
	if answer != queue {
		return errDeclined
	}
	return nil
}

// tellRestore ends with the way back, which is open until then if that is known.
func (o *operator) tellRestore(run *jobRun, until time.Time) error {
	if run.job.Quarantined == 0 || run.id == "" {
		return nil
	}
	p := &printer{w: o.out}
	p.printf("\n")
	if !until.IsZero() {
		p.printf("kept until %s; ", moments(until))
	}
	p.printf("put them back with\n  %s\n", o.commandLine("dlq", "restore", run.id))
	return p.err
}
