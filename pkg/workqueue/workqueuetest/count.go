package workqueuetest

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// counted is how many messages a queue held from a moment on.
type counted struct {
	at                         time.Time
	visible, inFlight, delayed int
}

func (q *queue) numbers(at time.Time) counted {
	return counted{at: at, visible: q.ready.Len(), inFlight: q.inFlight, delayed: q.hidden.Len() - q.inFlight}
}

// lags reports whether the queue tells old numbers. A FIFO queue's are exact
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-resources-required-process-messages.html).
func (q *queue) lags() bool { return q.as.CountLag+q.as.CountJitter > 0 && !q.fifo() }

// count notes the numbers at a moment, for answers that lag.
func (q *queue) count(at time.Time) {
	if !q.lags() {
		return
	}
	if last := len(q.counts) - 1; last >= 0 && !q.counts[last].at.Before(at) {
		q.counts = q.counts[:last]
	}
	q.counts = append(q.counts, q.numbers(at))
	old := at.Add(-q.as.CountLag - q.as.CountJitter)
	if i := slices.IndexFunc(q.counts, func(c counted) bool { return c.at.After(old) }); i > 1 {
		q.counts = slices.Delete(q.counts, 0, i-1)
	}
}

// approximate returns the numbers as SQS tells them: exact, or each as it was a
// while ago. AWS's may take a minute and more to become consistent
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html).
func (q *queue) approximate(now time.Time) counted {
	if !q.lags() {
		return q.numbers(now)
	}
	return counted{visible: q.old(now).visible, inFlight: q.old(now).inFlight, delayed: q.old(now).delayed}
}

// old returns the numbers as they were at a moment that is drawn anew each time.
func (q *queue) old(now time.Time) (told counted) {
	lag := q.as.CountLag
	if q.as.CountJitter > 0 {
		lag += time.Duration(q.rnd.Int64N(int64(q.as.CountJitter) + 1))
	}
	for _, c := range q.counts {
		if c.at.After(now.Add(-lag)) {
			break
		}
		told = c
	}
	return told
}

// GetQueueAttributes implements [workqueue.InboxAPI]. It answers the attributes
// that were asked for, by name or all of them. A standard queue's numbers of
// messages are old, by [Options.CountLag] and [Options.CountJitter].
func (s *SQS) GetQueueAttributes(ctx context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	fault, q, err := s.enter(ctx, "GetQueueAttributes", in.QueueUrl, nil)
	if err != nil {
		return nil, err
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.move(now)
	q.advance(now)
	all := q.attributes(now)
	out := map[string]string{}
	for _, name := range in.AttributeNames {
		v, has := all[string(name)]
		switch {
		case name == types.QueueAttributeNameAll:
			return &sqs.GetQueueAttributesOutput{Attributes: all}, nil
		case has:
			out[string(name)] = v
		case !slices.Contains(name.Values(), name):
			return nil, refuse("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	return &sqs.GetQueueAttributesOutput{Attributes: out}, nil
}

func (q *queue) attributes(now time.Time) map[string]string {
	n := q.approximate(now)
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	out := map[string]string{
		"QueueArn":                              arnPrefix + q.name,
		"ApproximateNumberOfMessages":           strconv.Itoa(n.visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(n.inFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(n.delayed),
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.created.Unix(), 10),
		"VisibilityTimeout":                     seconds(q.opts.Visibility),
		"MessageRetentionPeriod":                seconds(q.opts.Retention),
		"MaximumMessageSize":                    strconv.Itoa(q.opts.MaxBytes),
		"DelaySeconds":                          "0",
		"ReceiveMessageWaitTimeSeconds":         "0",
	}
	if q.fifo() {
		out["FifoQueue"], out["ContentBasedDeduplication"] = "true", "false"
	}
	if q.opts.DeadLetter != "" {
		out["RedrivePolicy"] = text(map[string]any{"deadLetterTargetArn": arnPrefix + q.opts.DeadLetter, "maxReceiveCount": q.opts.MaxReceives})
	}
	if q.opts.Redrive != AllowAll {
		policy := map[string]any{"redrivePermission": q.opts.Redrive}
		if q.opts.Redrive == ByQueue {
			arns := make([]string, len(q.opts.Sources))
			for i, name := range q.opts.Sources {
				arns[i] = arnPrefix + name
			}
			policy["sourceQueueArns"] = arns
		}
		out["RedriveAllowPolicy"] = text(policy)
	}
	return out
}

func text(v map[string]any) string {
	b, err := json.Marshal(v)
	if err != nil { // strings and numbers can always be written
		panic("workqueuetest: " + err.Error())
	}
	return string(b)
}
