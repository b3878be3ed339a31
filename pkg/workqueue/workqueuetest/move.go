package workqueuetest

import (
	"cmp"
	"context"
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// The states of a message move task
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasksResultEntry.html).
const (
	running   = "RUNNING"
	completed = "COMPLETED"
	cancelled = "CANCELLED"
	failed    = "FAILED"
)

// maxMoveRate is also how fast a task moves that has no rate of its own.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
const maxMoveRate = 500

// move is a message move task. SQS.mu must be held.
type move struct {
	id, handle     string
	source         *queue
	to             *queue // nil: each message's own source queue
	rate           *int32
	started        time.Time
	pending, moved int64
	status, reason string
}

// StartMessageMoveTask moves the messages of a dead-letter queue, as time
// passes
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html).
// The codes of its refusals are those recorded on AWS
// (https://github.com/localstack/localstack/blob/11c332ee0569471d7054e29687ee851a5d96ca91/tests/aws/services/sqs/test_sqs_move_task.snapshot.json).
func (s *SQS) StartMessageMoveTask(ctx context.Context, in *sqs.StartMessageMoveTaskInput, _ ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error) {
	source, fault, err := s.enterMove(ctx, "StartMessageMoveTask", in.SourceArn)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.move(now)
	to := s.byARN(in.DestinationArn)
	switch {
	case in.DestinationArn != nil && to == nil:
		return nil, noResource("DestinationArn")
	case !s.isDeadLetterQueue(source.name):
		return nil, invalid("Source queue must be configured as a Dead Letter Queue.")
	case to == source:
		return nil, invalid("Source queue arn and destination queue arn cannot be the same.")
	case to != nil && to.fifo() != source.fifo():
		return nil, invalid("Source queue and destination queue must be of the same type.")
	case in.MaxNumberOfMessagesPerSecond != nil && (*in.MaxNumberOfMessagesPerSecond < 1 || *in.MaxNumberOfMessagesPerSecond > maxMoveRate):
		return nil, invalidValue(*in.MaxNumberOfMessagesPerSecond, "MaxNumberOfMessagesPerSecond", "Must be between 1 and 500.")
	case slices.ContainsFunc(s.moves, func(m *move) bool { return m.source == source && m.status == running }):
		return nil, invalid("There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
	}
	source.advance(now)
	id := source.newID()
	m := &move{
		id: id, handle: base64.StdEncoding.EncodeToString([]byte(`{"taskId":"` + id + `","sourceArn":"` + *in.SourceArn + `"}`)),
		source: source, to: to, rate: in.MaxNumberOfMessagesPerSecond, started: now, status: running,
		pending: int64(source.ready.Len()),
	}
	s.moves = append(s.moves, m)
	if fault.Err != nil {
		return nil, fault.Err
	}
	return &sqs.StartMessageMoveTaskOutput{TaskHandle: &m.handle}, nil
}

// ListMessageMoveTasks tells of the newest tasks of a queue, one unless more
// are asked for
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasks.html).
func (s *SQS) ListMessageMoveTasks(ctx context.Context, in *sqs.ListMessageMoveTasksInput, _ ...func(*sqs.Options)) (*sqs.ListMessageMoveTasksOutput, error) {
	source, fault, err := s.enterMove(ctx, "ListMessageMoveTasks", in.SourceArn)
	if err != nil {
		return nil, err
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	limit := int(cmp.Or(aws.ToInt32(in.MaxResults), 1))
	if limit < 1 || limit > maxEntries {
		return nil, invalidValue(limit, "MaxResults", "Must be between 1 and 10, if provided.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.move(time.Now())
	out := &sqs.ListMessageMoveTasksOutput{}
	for _, m := range slices.Backward(s.moves) {
		if m.source == source && len(out.Results) < limit {
			out.Results = append(out.Results, m.entry())
		}
	}
	return out, nil
}

// CancelMessageMoveTask ends a running task; what it moved stays moved
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CancelMessageMoveTask.html).
func (s *SQS) CancelMessageMoveTask(ctx context.Context, in *sqs.CancelMessageMoveTaskInput, _ ...func(*sqs.Options)) (*sqs.CancelMessageMoveTaskOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fault := s.begin(Call{Operation: "CancelMessageMoveTask"})
	if fault.Err != nil && !fault.AfterEffect {
		return nil, fault.Err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.move(time.Now())
	handle := aws.ToString(in.TaskHandle)
	i := slices.IndexFunc(s.moves, func(m *move) bool { return m.handle == handle })
	text, err := base64.StdEncoding.DecodeString(handle)
	switch {
	case err != nil || !strings.Contains(string(text), `"taskId"`):
		return nil, invalid("Value for parameter TaskHandle is invalid.")
	case i < 0:
		return nil, refuse("ResourceNotFoundException", "Task does not exist.")
	case s.moves[i].status != running:
		return nil, prefixed("UnsupportedOperation", "The task is not running any more.")
	}
	s.moves[i].status = cancelled
	return &sqs.CancelMessageMoveTaskOutput{ApproximateNumberOfMessagesMoved: s.moves[i].moved}, fault.Err
}

func (m *move) entry() types.ListMessageMoveTasksResultEntry {
	e := types.ListMessageMoveTasksResultEntry{
		ApproximateNumberOfMessagesMoved: m.moved, ApproximateNumberOfMessagesToMove: &m.pending,
		MaxNumberOfMessagesPerSecond: m.rate, SourceArn: aws.String(arnPrefix + m.source.name),
		StartedTimestamp: m.started.UnixMilli(), Status: aws.String(m.status),
	}
	if m.to != nil {
		e.DestinationArn = aws.String(arnPrefix + m.to.name)
	}
	if m.status == running {
		e.TaskHandle = &m.handle
	}
	if m.reason != "" {
		e.FailureReason = &m.reason
	}
	return e
}

// move lets the running tasks move what is due. mu must be held.
func (s *SQS) move(now time.Time) {
	for _, m := range s.moves {
		if m.status == running {
			s.step(m, now)
		}
	}
}

// moving reports whether a task runs. mu must be held.
func (s *SQS) moving() bool {
	return slices.ContainsFunc(s.moves, func(m *move) bool { return m.status == running })
}

// step moves as many messages as the rate allows since the start, oldest
// first. A moved message is a new one: with an id, a time of sending and
// receives of its own
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html).
func (s *SQS) step(t *move, now time.Time) {
	rate := cmp.Or(aws.ToInt32(t.rate), maxMoveRate)
	due := int64(math.Floor(float64(rate) * now.Sub(t.started).Seconds()))
	t.source.advance(now)
	for t.moved < due && t.source.ready.Len() > 0 {
		m := t.source.ready.items[0]
		to := t.to
		if to == nil {
			to = s.byARN(&m.MovedFrom)
		}
		if to == nil { // it was sent here: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/troubleshooting-dlq-redrive.html
			t.status, t.reason = failed, "CouldNotDetermineMessageSource"
			return
		}
		t.source.take(m)
		delete(t.source.receipts, m.receipt)
		moved := &message{Message: m.Message}
		moved.ID, moved.MovedFrom, moved.Receives, moved.SentAt, moved.VisibleAt = to.newID(), "", 0, now, now
		to.arrive(moved)
		t.moved++
	}
	t.source.count(now)
	if now.After(t.started) && t.source.ready.Len() == 0 {
		t.status = completed
	}
}

// enterMove is the beginning of a call about the move tasks of a queue.
func (s *SQS) enterMove(ctx context.Context, operation string, arn *string) (*queue, Fault, error) {
	if err := ctx.Err(); err != nil {
		return nil, Fault{}, err
	}
	s.mu.Lock()
	source := s.byARN(arn)
	s.mu.Unlock()
	if source == nil {
		return nil, Fault{}, noResource("SourceArn")
	}
	fault := s.begin(Call{Operation: operation, Queue: source.name})
	if fault.Err != nil && !fault.AfterEffect {
		return nil, fault, fault.Err
	}
	return source, fault, nil
}

// byARN returns a queue; nil if there is none. mu must be held.
func (s *SQS) byARN(arn *string) *queue {
	name, ok := strings.CutPrefix(aws.ToString(arn), arnPrefix)
	if !ok {
		return nil
	}
	return s.queues[name]
}

// isDeadLetterQueue reports whether a queue names it in its redrive policy.
// mu must be held.
func (s *SQS) isDeadLetterQueue(name string) bool {
	for _, q := range s.queues {
		if q.opts.DeadLetter == name {
			return true
		}
	}
	return false
}

func noResource(parameter string) error {
	return refuse("ResourceNotFoundException", "The resource that you specified for the %s parameter doesn't exist.", parameter)
}
