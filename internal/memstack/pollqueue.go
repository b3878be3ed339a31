package memstack

import (
	"errors"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// A mapping that finds nothing looks again after a while, which grows from one
// of these to the other.
const (
	minIdle = 50 * time.Millisecond
	maxIdle = time.Second
)

// pollQueue invokes the function with batches of the queue's messages, at most
// MaximumConcurrency at a time, until the stack ends
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html).
func (m *mapping) pollQueue(queue string) {
	slots := make(chan struct{}, max(m.ScalingConfig.MaximumConcurrency, 1))
	idle := minIdle
	for m.ready() {
		select {
		case <-m.stack.ctx.Done():
			return
		case slots <- struct{}{}:
		}
		settings := workqueuetest.Mapping{Queue: queue, BatchSize: m.batchSize(), Whole: !m.reports()}
		records := m.take(settings)
		if len(records) == 0 {
			<-slots
			if !m.stack.wait(idle) {
				return
			}
			idle = min(2*idle, maxIdle)
			continue
		}
		idle = minIdle
		m.stack.spawn(func() {
			defer func() { <-slots }()
			m.work(settings, records)
		})
	}
}

// take gathers a batch: what is there, and what comes within the batching
// window.
func (m *mapping) take(settings workqueuetest.Mapping) []events.SQSMessage {
	records := m.stack.SQS.Take(settings)
	if len(records) == 0 || m.MaximumBatchingWindowInSeconds == 0 {
		return records
	}
	until := time.Now().Add(time.Duration(m.MaximumBatchingWindowInSeconds) * time.Second)
	for len(records) < settings.BatchSize && time.Now().Before(until) && m.stack.wait(minIdle) {
		more := settings
		more.BatchSize -= len(records)
		records = append(records, m.stack.SQS.Take(more)...)
	}
	return records
}

// work invokes the function with a batch. A batch that is throttled stays
// hidden as one that failed does: it uses up a receive
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
func (m *mapping) work(settings workqueuetest.Mapping, records []events.SQSMessage) {
	if m.function.enter() {
		return
	}
	out := m.function.invoke(workqueuetest.Event(records))
	var err error
	if out.kind != "" {
		err = errors.New(string(out.payload))
	}
	m.stack.SQS.Settle(settings, records, out.payload, err)
}
