package workqueuetest

import (
	"container/heap"
	"slices"
	"time"
)

// receiving is one receive, by a caller or a mapping.
type receiving struct {
	limit int
	hide  time.Duration
	short bool                // a short poll, which may miss messages
	fits  func(*message) bool // false ends the receive; nil takes all
	dead  func(*message)      // takes what the redrive policy moves
	now   time.Time
}

// full reports whether the queue has as many messages in flight as it may
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html).
func (q *queue) full() bool { return q.inFlight >= q.opts.InFlight }

// receive takes messages and hides them. Of a FIFO queue it takes none of a
// group of which others have one in flight.
func (q *queue) receive(r receiving) (taken []*message) {
	q.advance(r.now)
	var passed []*message
	own := map[string]bool{} // groups of what was taken
	for len(taken) < r.limit && !q.full() && q.ready.Len() > 0 {
		m := q.ready.items[0]
		if q.groups[m.Group] > 0 && q.fifo() && !own[m.Group] || r.short && q.misses() {
			q.take(m)
			passed = append(passed, m)
			continue
		}
		if q.opts.MaxReceives > 0 && m.Receives >= q.opts.MaxReceives {
			q.take(m)
			delete(q.receipts, m.receipt)
			r.dead(m)
			continue
		}
		if r.fits != nil && !r.fits(m) {
			break
		}
		q.take(m)
		own[m.Group] = true
		q.handOut(m, r)
		taken = append(taken, m)
	}
	for _, m := range passed {
		m.visible = true
		heap.Push(&q.ready, m)
	}
	q.count(r.now)
	return taken
}

// handOut gives a message its receipt and hides it.
func (q *queue) handOut(m *message, r receiving) {
	delete(q.receipts, m.receipt)
	m.Receives++
	m.receivedAt = r.now
	if m.firstReceived.IsZero() {
		m.firstReceived = r.now
	}
	m.receipt = handle{queue: q.name, id: m.ID, receive: m.Receives, at: r.now}.String()
	q.receipts[m.receipt] = m
	hide := r.hide
	if q.repeats() {
		hide = q.early(hide)
	}
	q.hide(m, r.now.Add(hide))
}

// remove deletes a message by its receipt handle. A handle that is not the
// newest, and a message that is gone, are no error
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html).
// A handle expires 12 hours after its receive
// (https://github.com/boto/boto3/issues/2898); in a FIFO queue as soon as the
// message is visible again (https://github.com/aws/aws-sdk-js/issues/1279).
func (q *queue) remove(receipt string) error {
	h, ok := parseHandle(receipt)
	if !ok || h.queue != q.name {
		return badHandle(receipt)
	}
	now := time.Now()
	q.advance(now)
	m := q.receipts[receipt]
	expired := now.Sub(h.at) > maxVisibility
	if q.fifo() {
		expired = expired || m != nil && m.visible || m == nil && q.holds(h.id)
	}
	switch {
	case expired:
		return invalidValue(receipt, "ReceiptHandle", "The receipt handle has expired.")
	case m == nil:
		return nil
	}
	q.take(m)
	delete(q.receipts, receipt)
	if q.repeats() {
		q.survivor(m, now)
	}
	q.count(now)
	q.wake() // its group may go on
	return nil
}

// change sets when a message in flight becomes visible again. Its 12 hours
// count from the receive
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html,
// https://github.com/aws/aws-sdk-net/issues/794). For a handle that is not the
// newest, or whose message is gone, SQS has words but no code of its own
// (https://github.com/aws/aws-sdk-net/issues/1927).
func (q *queue) change(receipt string, seconds int32) error {
	if h, ok := parseHandle(receipt); !ok || h.queue != q.name {
		return badHandle(receipt)
	}
	now := time.Now()
	q.advance(now)
	m := q.receipts[receipt]
	until := now.Add(time.Duration(seconds) * time.Second)
	switch {
	case seconds < 0 || seconds > int32(maxVisibility/time.Second):
		return invalidValue(seconds, "VisibilityTimeout", "Must be between 0 and 43200.")
	case m == nil:
		return invalidValue(receipt, "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.")
	case !m.inFlight:
		return prefixed("MessageNotInflight", "The specified message isn't in flight.")
	case until.Sub(m.receivedAt) > maxVisibility:
		return invalidValue(seconds, "VisibilityTimeout", "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
	}
	q.take(m)
	q.hide(m, until)
	q.count(now)
	q.wake()
	return nil
}

func badHandle(receipt string) error {
	return refuse("ReceiptHandleIsInvalid", "The input receipt handle %q is not a valid receipt handle.", receipt)
}

func (q *queue) holds(id string) bool {
	is := func(m *message) bool { return m.ID == id }
	return slices.ContainsFunc(q.ready.items, is) || slices.ContainsFunc(q.hidden.items, is)
}
