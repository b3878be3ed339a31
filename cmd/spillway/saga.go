package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
)

func (o *operator) sagaCommand() *cobra.Command {
	return o.group("saga", "Show sagas, and see to what they could not undo",
		`Show sagas, and see to what they could not undo.

Works through the stack's admin function, which your identity must be allowed to
invoke (lambda:InvokeFunction). A saga is named as its execution: the task's id, a
hyphen and its run. A compensation that failed for good is parked in the saga
failures queue until somebody resumes it, skips it, or says that it is done.

Exit codes: 0 done, 1 failed or refused, 2 used wrongly, or nobody there to say
yes, 130 interrupted.`,
		o.sagaListCommand(), o.sagaShowCommand(),
		o.sagaHandleCommand(adminapi.SagaResume, "resume", "Run a parked compensation again",
			`Run a parked compensation again, and take it off the queue when it succeeds. It
stays where it is when it fails again. Running one that was done changes nothing.`),
		o.sagaHandleCommand(adminapi.SagaSkip, "skip", "Leave what a parked compensation was to undo",
			`Leave what a parked compensation was to undo as it is, and take it off the queue.
The reason goes into the audit trail (spillway dlq jobs).`),
		o.sagaHandleCommand(adminapi.SagaDone, "done", "Record that somebody has undone it",
			`Record that somebody has done by hand what a parked compensation was to do, and
take it off the queue. The reason goes into the audit trail (spillway dlq jobs).`))
}

var errNoExecution = usagef("the execution is empty: `saga ls` shows which there are")

func (o *operator) sagaListCommand() *cobra.Command {
	var (
		limit  int
		cursor string
	)
	statuses := words(adminapi.SagaStatuses)
	status := newChoice("", statuses...)
	cmd := &cobra.Command{
		Use:               "ls",
		Aliases:           []string{"list"},
		Short:             "List executions, and the compensations that are parked",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	fl := cmd.Flags()
	fl.IntVar(&limit, "max", 25, "how many executions to show at most, 1 to 100")
	fl.Var(&status, "status", "only executions in this state")
	fl.StringVar(&cursor, "cursor", "", "go on after this page")
	complete(cmd, "max")
	complete(cmd, "status", statuses...)
	complete(cmd, "cursor")
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		if limit < 1 || limit > 100 {
			return usagef("--max must be 1 to 100")
		}
		return o.withAdmin(func(ctx context.Context, _ []string) error {
			out, raw, err := ask(ctx, o, adminapi.SagaList, adminapi.SagaListRequest{Max: limit, Status: adminapi.SagaStatus(status.value), Cursor: cursor})
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			more := ""
			if out.Cursor != "" {
				words := []string{"saga", "ls", "--max", strconv.Itoa(limit), "--cursor", out.Cursor}
				if status.value != "" {
					words = append(words, "--status", status.value)
				}
				more = o.commandLine(words...)
			}
			return o.showSagas(out.Executions, more, &out.Parked)
		})(ctx, args)
	})
	return cmd
}

// showSagas lists executions; more is the command line for the next page, if
// there is one.
func (o *operator) showSagas(executions []adminapi.SagaExecution, more string, parked *adminapi.Parked) error {
	p, notes := &printer{w: o.out}, &printer{w: o.errw}
	width, _ := o.screen(o.out)
	rows := make([][]string, len(executions))
	for i, e := range executions {
		took := ""
		if !e.StoppedAt.IsZero() {
			took = shortDuration(e.StoppedAt.Sub(e.StartedAt.Time))
		}
		rows[i] = []string{clean(e.Execution), clean(string(e.Status)), since(e.StartedAt.Time), took}
	}
	if len(rows) > 0 {
		p.table(width, []column{{title: "EXECUTION"}, {title: "STATUS"}, {title: "AGE", right: true}, {title: "TOOK", right: true}}, rows)
	} else {
		notes.printf("no executions\n")
	}
	o.showParked(p, width, parked)
	if p.err != nil {
		return p.err
	}
	if more != "" {
		notes.printf("more: %s\n", more)
	}
	if notes.err != nil {
		return notes.err
	}
	return o.showParkedNotes(parked)
}

// showParkedNotes says what a list of what is parked leaves out.
func (o *operator) showParkedNotes(parked *adminapi.Parked) error {
	notes := &printer{w: o.errw}
	if parked.Foreign > 0 {
		notes.printf("messages in the queue that are no parked steps: %d, see %s\n", parked.Foreign, o.commandLine("dlq", "ls", "--queue", "saga"))
	}
	if parked.Note != "" {
		notes.printf("%s\n", clean(parked.Note))
	}
	return notes.err
}

// showParked lists what waits for a person, with how to go on.
func (o *operator) showParked(p *printer, width int, list *adminapi.Parked) {
	if len(list.Parked) == 0 {
		return
	}
	rows := make([][]string, len(list.Parked))
	for i, s := range list.Parked {
		rows[i] = []string{clean(s.Execution), clean(s.Step), since(s.ParkedAt.Time), why(s.Error.Code, s.Error.Message, "")}
	}
	p.printf("\nparked\n")
	p.table(width, []column{{title: "EXECUTION"}, {title: "STEP"}, {title: "AGE", right: true}, {title: "ERROR"}}, rows)
	first := &list.Parked[0]
	p.printf("\nrun it again, leave it, or say that it was done by hand:\n")
	p.printf("  %s\n", o.commandLine("saga", "resume", clean(first.Execution), clean(first.Step)))
	for _, verb := range []string{"skip", "done"} {
		p.printf("  %s\n", o.commandLine("saga", verb, clean(first.Execution), clean(first.Step), "--reason", "WHY"))
	}
}

// sagaHandleCommand is one of those that take a parked compensation off the
// queue.
func (o *operator) sagaHandleCommand(command adminapi.Command[adminapi.SagaStepRequest, adminapi.SagaHandled], verb, short, long string) *cobra.Command {
	var (
		reason string
		yes    bool
	)
	needsReason := verb != "resume"
	cmd := &cobra.Command{
		Use:               verb + " EXECUTION STEP",
		Short:             short,
		Long:              long,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	fl := cmd.Flags()
	fl.StringVar(&reason, "reason", "", "why, for the audit trail")
	fl.BoolVarP(&yes, "yes", "y", false, "do not ask")
	complete(cmd, "reason")
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		reason = strings.TrimSpace(reason)
		switch {
		case args[0] == "":
			return errNoExecution
		case args[1] == "":
			return usagef("the step is empty: `saga ls` shows those that are parked")
		case needsReason && reason == "":
			return usagef("--reason is needed: say why, for whoever reads the audit trail")
		}
		return o.withAdmin(func(ctx context.Context, args []string) error {
			if !yes {
				words := []string{"saga", verb, args[0], args[1], "--yes"}
				if reason != "" {
					words = append(words, "--reason", reason)
				}
				question := map[string]string{
					"resume": "Run " + clean(args[1]) + " of " + clean(args[0]) + " again?",
					"skip":   "Leave what " + clean(args[1]) + " of " + clean(args[0]) + " was to undo?",
					"done":   "Has " + clean(args[1]) + " of " + clean(args[0]) + " been done by hand?",
				}[verb]
				if err := o.confirm(ctx, question, o.commandLine(words...)); err != nil {
					return err
				}
			}
			out, raw, err := change(ctx, o, command, adminapi.SagaStepRequest{Execution: args[0], Step: args[1], Reason: reason})
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			p := &printer{w: o.out}
			p.printf("%s of %s: %s (job %s)\n", clean(out.Step), clean(out.Execution), clean(string(out.Outcome)), clean(out.JobID))
			return p.err
		})(ctx, args)
	})
	return cmd
}
