package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/task"
)

func (o *operator) dlqCommand() *cobra.Command {
	return o.group("dlq", "Show, replay and clear the dead-letter queues",
		`Show, replay and clear the dead-letter queues.

Works through the stack's admin function, which your identity must be allowed to
invoke (lambda:InvokeFunction), and sees the tasks of all tenants. Looking
consumes nothing. What changes something asks before; --yes answers for scripts.

Exit codes: 0 done, 1 failed, refused, stopped, or messages could not be sent,
2 used wrongly, or nobody there to say yes, 3 the canary or tasks that were
replayed did not succeed, 130 interrupted: the job was stopped and can go on.`,
		o.dlqListCommand(), o.dlqShowCommand(), o.dlqGroupsCommand(), o.dlqReplayCommand(), o.dlqPurgeCommand(),
		o.dlqRestoreCommand(), o.dlqJobsCommand(), o.dlqStopCommand())
}

// addQueue gives cmd the flag that names a queue.
func addQueue(cmd *cobra.Command) *choice {
	queue := newChoice(adminapi.QueueTasks, adminapi.Queues...)
	cmd.Flags().Var(&queue, "queue", "whose dead letters")
	complete(cmd, "queue", adminapi.Queues...)
	return &queue
}

func (o *operator) dlqGroupsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "groups",
		Short:             "Show how many dead letters there are, by reason",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	queue := addQueue(cmd)
	cmd.RunE = o.action(0, o.withAdmin(func(ctx context.Context, _ []string) error {
		s, raw, err := ask(ctx, o, adminapi.DLQStatus, adminapi.DLQStatusRequest{Queue: queue.value})
		if err != nil || o.json() {
			return o.answer(raw, err)
		}
		return o.showStatus(s)
	}))
	return cmd
}

// answer ends a command by an answer that is only passed on.
func (o *operator) answer(raw json.RawMessage, err error) error {
	if o.json() {
		if werr := o.writeRaw(raw); werr != nil {
			return werr
		}
	}
	return err
}

func (o *operator) showStatus(s *adminapi.DLQStatusAnswer) error {
	p := &printer{w: o.out}
	p.printf("%s: %s", s.Queue, quantity(s.Depth, "message"))
	if s.InFlight > 0 {
		p.printf(", %d in flight", s.InFlight)
	}
	if s.Delayed > 0 {
		p.printf(", %d delayed", s.Delayed)
	}
	if age := ageText(s.OldestAge); age != "" {
		p.printf(", the oldest %s old", age)
	}
	p.printf("\n")
	width, _ := o.screen(o.out)
	for _, g := range s.Groups {
		sample := cmp.Or(g.Sample.TaskID, g.Sample.MessageID)
		about := fmt.Sprintf("first %s ago, last %s ago, for example %s", since(g.FirstSeen.Time), since(g.LastSeen.Time), sample)
		p.printf("\n%6d × %s\n", g.Count, cut(strings.TrimSpace(clean(g.Type)+"  "+why(g.Code, g.Message, g.MovedBy)), max(width-9, 0)))
		p.printf("         %s\n", clean(about))
	}
	if p.err != nil {
		return p.err
	}
	return o.incomplete(s.Complete, s.Note)
}

// incomplete says that an answer does not cover everything.
func (o *operator) incomplete(complete bool, note string) error {
	p := &printer{w: o.errw}
	if !complete {
		p.printf("there may be more than could be looked at\n")
	}
	if note != "" {
		p.printf("%s\n", clean(note))
	}
	return p.err
}

// why is an error in one line. Where no worker gave one, who moved the message
// is all that is known.
func why(code, message string, movedBy adminapi.MovedBy) string {
	text := strings.Trim(code+": "+message, ": ")
	if text == "" && movedBy != "" {
		text = "moved by " + string(movedBy)
	}
	return clean(text)
}

// ageText makes a Go duration short; what is none stays as it is.
func ageText(age string) string {
	if d, err := time.ParseDuration(age); err == nil {
		return shortDuration(d)
	}
	return clean(age)
}

func (o *operator) dlqListCommand() *cobra.Command {
	var (
		filter filterFlags
		limit  int
	)
	cmd := &cobra.Command{
		Use:               "ls",
		Aliases:           []string{"list"},
		Short:             "List dead letters, without consuming any",
		Example:           "  spillway dlq ls --type webhook.deliver --error-contains \"503\" --older-than 1h\n  spillway dlq ls --max 1000 -o json | jq -r '.messages[].task_id'",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	queue := addQueue(cmd)
	filter.addTo(cmd, "messages")
	cmd.Flags().IntVar(&limit, "max", 100, "how many messages to show at most, 1 to 1000")
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		if limit < 1 || limit > 1000 {
			return usagef("--max must be 1 to 1000")
		}
		f, err := filter.filter()
		if err != nil {
			return err
		}
		return o.withAdmin(func(ctx context.Context, _ []string) error {
			page, raw, err := ask(ctx, o, adminapi.DLQList, adminapi.DLQListRequest{Queue: queue.value, Filter: f, Max: limit})
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			return o.showLetters(page)
		})(ctx, args)
	})
	return cmd
}

func (o *operator) showLetters(page *adminapi.DLQListAnswer) error {
	if len(page.Messages) == 0 {
		p := &printer{w: o.errw}
		p.printf("no messages\n")
		if p.err != nil {
			return p.err
		}
		return o.incomplete(page.Complete, page.Note)
	}
	rows := make([][]string, len(page.Messages))
	for i, m := range page.Messages {
		attempts := "-"
		if m.Error.Attempts > 0 {
			attempts = strconv.Itoa(m.Error.Attempts)
		}
		rows[i] = []string{
			clean(cmp.Or(m.TaskID, m.MessageID)), clean(m.Type), ageText(m.Age), attempts, strconv.Itoa(m.Replays), why(m.Error.Code, m.Error.Message, m.MovedBy),
		}
	}
	width, _ := o.screen(o.out)
	p := &printer{w: o.out}
	p.table(width, []column{
		{title: "ID"}, {title: "TYPE"}, {title: "AGE", right: true}, {title: "ATTEMPTS", right: true}, {title: "REPLAYS", right: true}, {title: "ERROR"},
	}, rows)
	if p.err != nil {
		return p.err
	}
	return o.incomplete(page.Complete, page.Note)
}

func (o *operator) dlqShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show MESSAGE_ID|TASK_ID",
		Short:             "Show one dead letter with all that is known of its failure",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	queue := addQueue(cmd)
	cmd.RunE = o.action(0, o.withAdmin(func(ctx context.Context, args []string) error {
		page, raw, err := ask(ctx, o, adminapi.DLQList, adminapi.DLQListRequest{Queue: queue.value, Filter: &adminapi.Filter{IDs: args}, Max: 10})
		if err != nil || o.json() {
			if err = o.answer(raw, err); err != nil {
				return err
			}
		} else if err := o.showEach(page.Messages); err != nil {
			return err
		}
		if len(page.Messages) == 0 {
			text := fmt.Sprintf("there is no dead letter of %s with this id", queue.value)
			if !page.Complete {
				text = fmt.Sprintf("no dead letter of %s with this id was found, though not all could be looked at: try again", queue.value)
			}
			return &exitError{exitFailed, text + "; `" + o.commandLine("task", "get", args[0]) + "` shows a task"}
		}
		return o.incomplete(true, page.Note)
	}))
	return cmd
}

// showEach shows the letters of one task: mostly one, more after duplicates.
func (o *operator) showEach(letters []adminapi.Letter) error {
	for i := range letters {
		if err := o.showLetter(&letters[i]); err != nil {
			return err
		}
	}
	return nil
}

// details are rows of a name and a value; what has no value is left out.
type details [][]string

func (d *details) add(name, value string) {
	if value != "" {
		*d = append(*d, []string{name, clean(value)})
	}
}

// addCount leaves out zero.
func (d *details) addCount(name string, n int) {
	if n != 0 {
		d.add(name, strconv.Itoa(n))
	}
}

// addFailure is what a failure record holds.
func (d *details) addFailure(f *adminapi.Failure) {
	if f == nil {
		return
	}
	d.add("error", strings.Trim(f.Code+": "+f.Message, ": "))
	d.addCount("attempts", f.Attempts)
	d.addHistory(f.History)
	d.add("failed", moments(f.FailedAt.Time))
	d.add("function", strings.TrimSpace(f.Function+" "+f.Version))
	d.add("request", f.RequestID)
	d.add("trace", f.TraceID)
	d.add("fingerprint", f.Fingerprint)
}

func (d *details) addHistory(attempts []task.Attempt) {
	for _, h := range attempts {
		d.add("", fmt.Sprintf("%d  %s  %s", h.Attempt, moments(h.At.Time), h.Code))
	}
}

func (o *operator) showLetter(m *adminapi.Letter) error {
	var rows details
	rows.add("message", m.MessageID)
	rows.add("task", m.TaskID)
	rows.add("type", m.Type)
	rows.add("tenant", m.Tenant)
	rows.addCount("run", m.Run)
	rows.addCount("replays", m.Replays)
	rows.add("sent", moments(m.SentAt.Time))
	rows.add("origin", m.Origin)
	switch m.MovedBy {
	case adminapi.MovedBySQS:
		rows.add("moved by", "SQS itself, after a crash, a time-out or too many receives")
	case adminapi.MovedBySender:
		rows.add("moved by", "its sender, who put it straight here")
	default:
		rows.add("moved by", string(m.MovedBy))
	}
	rows.addFailure(&m.Error)
	p := &printer{w: o.out}
	p.table(0, []column{{}, {}}, rows)
	if m.Body != "" {
		p.document("body", []byte(m.Body))
	}
	return p.err
}

// document writes text under a title, indented if it is JSON.
func (p *printer) document(title string, text []byte) {
	var buf bytes.Buffer
	if json.Indent(&buf, text, "", "  ") != nil {
		buf.Reset()
		buf.Write(text)
	}
	p.printf("%s\n", title)
	for line := range strings.Lines(buf.String()) {
		p.printf("  %s\n", clean(strings.TrimRight(line, "\n")))
	}
}
