package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/pkg/client"
)

// maxInputBytes bounds what is read as input. It is far above what the API
// takes, whose refusal says the limit that is in force.
const maxInputBytes = 8 << 20

// submitFlags are those that describe one task.
type submitFlags struct {
	taskType string
	input    string
	priority choice
	deadline moment
	ttl      time.Duration
	delay    time.Duration
	callback string
	key      string

	file        string
	concurrency int
	wait        bool
}

func (a *app) submitCommand() *cobra.Command {
	s := submitFlags{priority: newChoice("", string(client.Normal), string(client.Bulk))}
	cmd := &cobra.Command{
		Use:   "submit [TYPE] | -f tasks.ndjson",
		Short: "Submit a task, or a file of tasks",
		Long: `Submit a task, or a file of tasks.

With -f every line is a JSON object: {"type","input"} and optionally "priority",
"deadline" or "ttl", "delay", "callback_url", "idempotency_key". Lines are
submitted as they are read, several at a time; every line has one outcome, which
carries the line's number. A line that fails does not keep others from being
submitted.`,
		Example: `  spillway submit webhook.deliver --input '{"url":"https://example.com/hook","event":"ping","payload":{}}' --wait
  spillway submit webhook.deliver --input @delivery.json --priority bulk --ttl 2h
  generate-tasks | spillway submit -f - -o json > outcomes.ndjson`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return shippedTypes, cobra.ShellCompDirectiveNoFileComp
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.taskType, "type", "", "the task's type, instead of the argument")
	f.StringVarP(&s.input, "input", "i", "{}", "the task's input: JSON, @file, or - for standard input")
	f.Var(&s.priority, "priority", "bulk tasks wait in a queue of their own")
	f.Var(&s.deadline, "deadline", "give the task up at this time (RFC 3339), at most 7 days ahead")
	f.DurationVar(&s.ttl, "ttl", 0, "give the task up after this time")
	f.DurationVar(&s.delay, "delay", 0, "do not start the task before this time has passed, at most 15m")
	f.StringVar(&s.callback, "callback-url", "", "tell this URL of the task's end, by a signed webhook")
	f.StringVar(&s.key, "idempotency-key", "", "makes the same submit twice one task (default: a random key)")
	f.StringVarP(&s.file, "file", "f", "", "submit the tasks in this file, one JSON object a line; - for standard input")
	f.IntVar(&s.concurrency, "concurrency", 16, "with -f: how many tasks are submitted at a time")
	f.BoolVar(&s.wait, "wait", false, "wait until the task has finished; exits 3 if it did not succeed")
	cmd.MarkFlagsMutuallyExclusive("deadline", "ttl")
	for _, one := range []string{"type", "input", "priority", "deadline", "ttl", "delay", "callback-url", "idempotency-key"} {
		cmd.MarkFlagsMutuallyExclusive("file", one)
	}
	complete(cmd, "type", shippedTypes...)
	complete(cmd, "priority", string(client.Normal), string(client.Bulk))

	cmd.RunE = a.action(0, func(ctx context.Context, args []string) error {
		if s.file != "" {
			if len(args) > 0 {
				return usagef("a type is not taken beside -f: each line names its own")
			}
			if s.concurrency < 1 || s.concurrency > 256 {
				return usagef("--concurrency must be 1 to 256")
			}
			return a.submitFile(ctx, s)
		}
		req, err := a.submitRequest(ctx, s, args)
		if err != nil {
			return err
		}
		return a.withClient(func(c *call, _ []string) error {
			t, err := c.client.Submit(c.ctx, req)
			if err != nil {
				return err
			}
			if s.wait {
				return a.wait(c, t.ID, t)
			}
			return a.showTask(t)
		})(ctx, args)
	})
	return cmd
}

func (a *app) submitRequest(ctx context.Context, s submitFlags, args []string) (client.SubmitRequest, error) {
	var none client.SubmitRequest
	taskType := s.taskType
	switch {
	case len(args) == 1 && taskType != "":
		return none, usagef("the type is given twice, as %q and as --type %q", args[0], taskType)
	case len(args) == 1:
		taskType = args[0]
	case taskType == "":
		return none, usagef("which type of task? For example `spillway submit webhook.deliver --input @input.json`")
	}
	input, err := a.readInput(ctx, s.input)
	if err != nil {
		return none, err
	}
	return client.SubmitRequest{
		Type: taskType, Input: input, Priority: client.Priority(s.priority.value), Deadline: s.deadline.Time,
		TTL: s.ttl, Delay: s.delay, CallbackURL: s.callback, IdempotencyKey: s.key,
	}, nil
}

// readInput reads --input in any of its three forms.
func (a *app) readInput(ctx context.Context, arg string) (json.RawMessage, error) {
	text := []byte(arg)
	var err error
	switch {
	case arg == "-":
		text, err = readBounded(ctx, a.in)
	case strings.HasPrefix(arg, "@"):
		var f *os.File
		if f, err = os.Open(arg[1:]); err == nil {
			text, err = readBounded(ctx, f)
			_ = f.Close()
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, usagef("--input: %v", err)
	}
	var v json.RawMessage
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, usagef("--input is not JSON: %v", err)
	}
	return v, nil
}

// readBounded reads all of r, or until ctx ends: a read of a terminal or a pipe
// cannot be interrupted, so it is left behind.
func readBounded(ctx context.Context, r io.Reader) ([]byte, error) {
	type read struct {
		text []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		b, err := io.ReadAll(io.LimitReader(r, maxInputBytes+1))
		if err == nil && len(b) > maxInputBytes {
			err = fmt.Errorf("more than %d bytes", maxInputBytes)
		}
		done <- read{b, err}
	}()
	select {
	case got := <-done:
		return got.text, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
