package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// gather collects the evidence when the load is over: what is known of
// each task, the dead letters, and what is left on the queues.
func (w *watch) gather(ctx context.Context, r *receiver) (*evidence, error) {
	s := w.stack
	e := &evidence{left: map[string]int{}}
	// A task ends before the event source has acknowledged its message; a
	// duplicate of a killed worker's message comes back later still.
	queues := map[string]string{"tasks": "TasksQueueUrl", "backlog": "BacklogQueueUrl"}
	for deadline := time.Now().Add(2 * visibility); ; {
		sum := 0
		for name, output := range queues {
			n, err := s.size(ctx, output)
			if err != nil {
				return nil, err
			}
			e.left[name] = n
			sum += n
		}
		if sum == 0 || time.Now().After(deadline) {
			break
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
	var err error
	if e.tasks, err = s.tasks(ctx); err != nil {
		return nil, err
	}
	if e.differ, err = s.compare(ctx, e.tasks); err != nil {
		return nil, err
	}
	if e.letters, err = s.letters(ctx); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	e.entries, e.lives, e.kills, e.alien = w.ledger.entries, w.lives, w.kills, r.alien
	return e, nil
}

// letters takes everything off the dead-letter queue.
func (s *stack) letters(ctx context.Context) ([]letter, error) {
	url := aws.String(s.out["DeadLetterQueueUrl"])
	left, err := s.size(ctx, "DeadLetterQueueUrl")
	if err != nil {
		return nil, err
	}
	var all []letter
	for empty := 0; len(all) < left && empty < 3; {
		out, err := s.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: 600,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			return nil, fmt.Errorf("receive the dead letters: %w", err)
		}
		if len(out.Messages) == 0 {
			empty++
		}
		for _, m := range out.Messages {
			all = append(all, readLetter(m))
		}
	}
	if len(all) != left {
		return nil, fmt.Errorf("received %d of %d dead letters", len(all), left)
	}
	return all, nil
}

func readLetter(m types.Message) letter {
	attribute := func(name string) string { return aws.ToString(m.MessageAttributes[name].StringValue) }
	l := letter{taskID: attribute("task_id"), code: attribute("error_code")}
	if ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64); err == nil {
		l.sent = time.UnixMilli(ms)
	}
	var record struct{ Code string }
	if err := json.Unmarshal([]byte(attribute("failure")), &record); err != nil || record.Code != l.code {
		l.code = fmt.Sprintf("%s, with the failure record %.100q", l.code, attribute("failure"))
	}
	return l
}
