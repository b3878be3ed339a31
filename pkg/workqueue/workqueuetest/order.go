package workqueuetest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// random returns the generator of one queue, so that what happens in another
// does not change its draws.
func random(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// newID draws a message id: a random UUID, from which nothing follows about
// the order of sends
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html).
func (q *queue) newID() string {
	*q.sends++
	if q.as.Numbered {
		return fmt.Sprintf("00000000-0000-4000-8000-%012d", *q.sends)
	}
	a, b := q.rnd.Uint64(), q.rnd.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xFFFF, a&0xFFF, 0x8000|b>>48&0x3FFF, b&0xFFFFFFFFFFFF)
}

// placeOf is where a message that has become visible takes its place. A FIFO
// queue keeps the order of sends. A standard queue keeps it more or less, and
// never lets a message starve
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html).
func (q *queue) placeOf(m *message) int64 {
	switch {
	case q.fifo():
		return m.seq
	case q.as.Disorder == 0:
		return m.VisibleAt.UnixNano()
	default:
		return m.VisibleAt.UnixNano() + q.rnd.Int64N(int64(q.as.Disorder)+1)
	}
}

// repeats draws whether a standard queue delivers a message once more than it
// was asked to, which it may do at any time
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues-at-least-once-delivery.html).
func (q *queue) repeats() bool {
	return !q.fifo() && q.as.Redelivery > 0 && q.rnd.Float64() < q.as.Redelivery
}

// early draws when a message hidden for d is received again nevertheless.
func (q *queue) early(d time.Duration) time.Duration {
	return time.Duration(q.rnd.Int64N(int64(d) + 1))
}

// misses draws whether a short poll asks only servers that do not have the
// message
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html).
func (q *queue) misses() bool {
	return !q.fifo() && q.as.Missed > 0 && q.rnd.Float64() < q.as.Missed
}

// survivor is the copy of a deleted message on the server that did not hear of
// the delete. It comes back within a minute.
func (q *queue) survivor(m *message, now time.Time) {
	copied := &message{Message: m.Message, firstReceived: m.firstReceived, receivedAt: m.receivedAt}
	copied.VisibleAt = now.Add(q.early(time.Minute))
	q.arrive(copied)
}
