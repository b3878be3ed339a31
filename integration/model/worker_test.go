//go:build integration

package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// workerSettings is the environment variable that turns this program into a
// worker process.
const workerSettings = "SPILLWAY_MODEL_WORKER"

// settings of a worker process.
type settings struct {
	Name     string
	Endpoint string
	Facts    string // file to append facts to
	Stack    stack
}

const (
	maxAttempts = 3
	// timeout of the worker function: a lease ends a second after it.
	timeout = 2 * time.Second
)

// The scripts' words: what a handler does in one attempt.
const (
	succeed    = "succeed"
	large      = "large result"
	fail       = "fail"
	permanent  = "permanent error"
	slow       = "slow"
	checkpoint = "checkpoint"
	crash      = "crash" // takes its worker down
)

// input of every task: what its handler does, attempt by attempt, and from the
// beginning when the script is over.
type input struct {
	Script []string `json:"script"`
}

var errFlaky = task.Code("flaky", errors.New("not this time"))

// workerProcess polls the queues and works on what comes, until it is killed
// or whoever started it is gone.
func workerProcess(text string) (code int) {
	if err := work(text); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	return 0
}

func work(text string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	file, err := os.OpenFile(s.Facts, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	db, queues, err := clients(s.Endpoint)
	if err != nil {
		return err
	}
	p := &poller{settings: s, log: file, client: queues}
	mux := task.NewMux()
	task.Handle(mux, "model", p.handle, task.Concurrency(3))
	quiet := slog.New(slog.DiscardHandler)
	open := func(url string) *workqueue.Queue {
		return workqueue.New(queues, url, &workqueue.Options{Logger: quiet})
	}
	p.worker = worker.New(mux, charging{tasktable.New(db, s.Stack.Table, nil), p},
		worker.Queues{"tasks": open(s.Stack.Tasks), "backlog": open(s.Stack.Backlog)}, open(s.Stack.Dead),
		&worker.Options{
			MaxAttempts: maxAttempts, Backoff: &workqueue.Backoff{Base: 100 * time.Millisecond, Max: time.Second},
			BacklogAfter: 5 * time.Second, BacklogFailures: 2, Logger: quiet,
		})
	for _, url := range []string{s.Stack.Tasks, s.Stack.Backlog} {
		go p.poll(url)
	}
	_, err = io.Copy(io.Discard, os.Stdin) // ends with the parent
	return err
}

// poller is one worker process.
type poller struct {
	settings
	log    *os.File
	client *sqs.Client
	worker *worker.Worker
}

// tell appends a fact to the log, in one write.
func (p *poller) tell(f tasktabletest.Fact) {
	f.At, f.By = time.Now(), p.Name
	line, err := json.Marshal(f)
	if err == nil {
		_, err = p.log.Write(append(line, '\n'))
	}
	if err != nil {
		panic(err) // a history with gaps proves nothing
	}
}

// charging tells of attempts that are counted before they begin.
type charging struct {
	*tasktable.Table
	p *poller
}

func (c charging) Charge(ctx context.Context, r *tasktable.Row) error {
	c.p.tell(tasktabletest.Fact{What: tasktabletest.Charging, ID: r.ID, Run: r.Run, Fence: r.Fence})
	return c.Table.Charge(ctx, r)
}

// handle is every handler.
func (p *poller) handle(ctx context.Context, in input) (any, error) {
	e := task.Current(ctx)
	p.tell(tasktabletest.Fact{What: tasktabletest.Began, ID: e.ID, Run: e.Run, Attempt: e.Attempt})
	result, err := p.do(ctx, in.Script[(e.Attempt-1)%len(in.Script)], e)
	ended := tasktabletest.Fact{What: tasktabletest.Ended, ID: e.ID, Run: e.Run, Attempt: e.Attempt}
	if err != nil {
		ended.Note = err.Error()
	} else {
		ended.Result = json.RawMessage(`"` + result + `"`)
	}
	p.tell(ended)
	return result, err
}

func (p *poller) do(ctx context.Context, word string, e *task.Execution) (string, error) {
	result := fmt.Sprintf("%s of %s, run %d, attempt %d", p.Name, e.ID, e.Run, e.Attempt)
	switch word {
	case fail:
		return "", errFlaky
	case permanent:
		return "", task.Permanent(errFlaky)
	case slow:
		return result, sleep(ctx, 300*time.Millisecond)
	case checkpoint:
		for i := range 2 {
			if err := errors.Join(sleep(ctx, 100*time.Millisecond), task.Checkpoint(ctx, i)); err != nil {
				return "", err
			}
		}
	case crash:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		<-ctx.Done() // it takes a moment
	case large:
		return result + strings.Repeat(" ", 5000), nil
	}
	return result, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// poll does what an event source mapping does: it receives batches, hands them
// to the function and deletes what that does not report as failed.
func (p *poller) poll(url string) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), timeout+10*time.Second)
		if err := p.batch(ctx, url); err != nil {
			_ = sleep(ctx, 100*time.Millisecond) // the messages come back
		}
		cancel()
	}
}

func (p *poller) batch(ctx context.Context, url string) error {
	messages, err := receive(ctx, p.client, url, 0)
	if err != nil || len(messages) == 0 {
		return err
	}
	payload, err := json.Marshal(eventOf(url, messages))
	if err != nil {
		return err
	}
	invocation, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := p.worker.Invoke(invocation, payload)
	if err != nil {
		return err
	}
	var response events.SQSEventResponse
	if err := json.Unmarshal(answer, &response); err != nil {
		return err
	}
	failed := map[string]bool{}
	for _, f := range response.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &url}
	for _, m := range messages {
		if !failed[*m.MessageId] {
			in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
		}
	}
	if len(in.Entries) == 0 {
		return nil
	}
	_, err = p.client.DeleteMessageBatch(ctx, in)
	return err
}

// eventOf is what Lambda makes of received messages.
func eventOf(url string, messages []types.Message) (e events.SQSEvent) {
	for _, m := range messages {
		rec := events.SQSMessage{
			MessageId: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body),
			Attributes: m.Attributes, MessageAttributes: map[string]events.SQSMessageAttribute{},
			EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:" + url[strings.LastIndexByte(url, '/')+1:], AWSRegion: "us-east-1",
		}
		for name, a := range m.MessageAttributes {
			rec.MessageAttributes[name] = events.SQSMessageAttribute{StringValue: a.StringValue, BinaryValue: a.BinaryValue, DataType: aws.ToString(a.DataType)}
		}
		e.Records = append(e.Records, rec)
	}
	return e
}
