package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// lineOutcome is what became of one line of tasks. As JSON it is a line itself.
type lineOutcome struct {
	Line  int          `json:"line"`
	OK    bool         `json:"ok"`
	Task  *client.Task `json:"task,omitempty"`
	Error *lineError   `json:"error,omitempty"`
}

type lineError struct {
	Code    string `json:"code"` // the API's, or malformed_line, interrupted, no_answer
	Message string `json:"message"`
	// IdempotencyKey is there when the task may have been accepted all the same:
	// the line with this key can be submitted again.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// tally counts outcomes.
type tally struct{ accepted, failed, notSucceeded int }

// submitFile submits every line of a file, several at a time.
func (a *app) submitFile(ctx context.Context, s submitFlags) error {
	in := a.in
	if s.file != "-" {
		f, err := os.Open(s.file)
		if err != nil {
			return usagef("-f: %v", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}

	lines, outcomes := make(chan inputLine), make(chan lineOutcome)
	// The reader is not waited for: standard input cannot be interrupted while
	// it blocks. It holds nothing and ends with the process.
	go readLines(ctx, in, lines)
	var workers sync.WaitGroup
	for range s.concurrency {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case l, more := <-lines:
					if !more {
						return
					}
					outcomes <- submitLine(ctx, c, l, s.wait)
				}
			}
		})
	}
	go func() {
		workers.Wait()
		close(outcomes)
	}()

	var sum tally
	var writeErr error
	for o := range outcomes {
		sum.add(o, s.wait)
		if writeErr == nil {
			writeErr = a.showOutcome(o)
		}
	}
	return a.endFile(ctx, sum, writeErr)
}

func (t *tally) add(o lineOutcome, wait bool) {
	switch {
	case o.Task == nil:
		t.failed++
	case o.Error != nil: // accepted, but the waiting failed
		t.accepted++
		t.failed++
	default:
		t.accepted++
		if wait && o.Task.Status != client.Succeeded {
			t.notSucceeded++
		}
	}
}

func (a *app) endFile(ctx context.Context, sum tally, writeErr error) error {
	notes := &printer{w: a.errw}
	notes.printf("%d accepted, %d failed", sum.accepted, sum.failed)
	if sum.notSucceeded > 0 {
		notes.printf(", %d did not succeed", sum.notSucceeded)
	}
	notes.printf("\n")
	switch {
	case writeErr != nil:
		return writeErr
	case ctx.Err() != nil:
		return fmt.Errorf("not all lines were submitted: %w", ctx.Err())
	case sum.failed > 0:
		return &exitError{code: exitFailed}
	case sum.notSucceeded > 0:
		return &exitError{code: exitNotSucceed}
	}
	return nil
}

func (a *app) showOutcome(o lineOutcome) error {
	if a.json() {
		b, err := json.Marshal(o)
		if err != nil {
			return err
		}
		_, err = a.out.Write(append(b, '\n'))
		return err
	}
	p := &printer{w: a.out}
	switch {
	case o.Error == nil:
		p.printf("line %-6d  %s  %s\n", o.Line, o.Task.ID, o.Task.Status)
	case o.Task != nil:
		p.printf("line %-6d  %s  %s: %s\n", o.Line, o.Task.ID, o.Error.Code, clean(o.Error.Message))
	default:
		p.printf("line %-6d  %s: %s\n", o.Line, o.Error.Code, clean(o.Error.Message))
		if o.Error.IdempotencyKey != "" {
			p.printf("             it may have been accepted: repeat it with idempotency key %s\n", o.Error.IdempotencyKey)
		}
	}
	return p.err
}

// submitLine submits what a line says and, if asked, waits for the result.
func submitLine(ctx context.Context, c *client.Client, l inputLine, wait bool) lineOutcome {
	o := lineOutcome{Line: l.number}
	req, err := l.request()
	if err != nil {
		o.Error = &lineError{Code: "malformed_line", Message: err.Error()}
		return o
	}
	o.Task, err = c.Submit(ctx, req)
	if err == nil && wait && !o.Task.Status.Finished() {
		var t *client.Task
		if t, err = c.Wait(ctx, o.Task.ID); t != nil {
			o.Task = t
		}
	}
	if err != nil {
		o.Error = outcomeError(ctx, err)
		return o
	}
	o.OK = true
	return o
}

func outcomeError(ctx context.Context, err error) *lineError {
	e := &lineError{Code: "no_answer", Message: err.Error()}
	if api, ok := errors.AsType[*client.APIError](err); ok {
		e.Code, e.Message = api.Code, api.Error()
	} else if errors.Is(err, client.ErrInvalidRequest) {
		e.Code = "malformed_line"
	}
	if ctx.Err() != nil {
		e.Code = "interrupted"
	}
	if s, ok := errors.AsType[*client.SubmitError](err); ok && s.OutcomeUnknown {
		e.IdempotencyKey = s.IdempotencyKey
	}
	return e
}

// lineTask is one line of a file of tasks.
type lineTask struct {
	Type           string          `json:"type"`
	Input          json.RawMessage `json:"input"`
	Priority       client.Priority `json:"priority"`
	Deadline       time.Time       `json:"deadline"`
	TTL            string          `json:"ttl"`
	Delay          string          `json:"delay"`
	CallbackURL    string          `json:"callback_url"`
	IdempotencyKey string          `json:"idempotency_key"`
}

// request decodes the line strictly: a misspelled "deadline" must not become a
// task without one.
func (l inputLine) request() (client.SubmitRequest, error) {
	var none client.SubmitRequest
	if l.err != nil {
		return none, l.err
	}
	var t lineTask
	dec := json.NewDecoder(bytes.NewReader(l.text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&t); err != nil {
		return none, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return none, errors.New("more than one JSON value in the line")
	}
	if t.Type == "" {
		return none, errors.New(`"type" is missing`)
	}
	req := client.SubmitRequest{
		Type: t.Type, Priority: t.Priority, Deadline: t.Deadline,
		CallbackURL: t.CallbackURL, IdempotencyKey: t.IdempotencyKey,
	}
	if t.Input != nil {
		req.Input = t.Input
	}
	var err error
	if req.TTL, err = lineDuration("ttl", t.TTL); err != nil {
		return none, err
	}
	req.Delay, err = lineDuration("delay", t.Delay)
	return req, err
}

func lineDuration(name, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", name, err)
	}
	return d, nil
}
