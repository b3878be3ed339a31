package workqueuetest

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// queue holds its messages in two heaps: the hidden ones, by when they become
// visible, and the ready ones, by their place. SQS.mu must be held.
type queue struct {
	name    string
	opts    QueueOptions
	as      Options
	rnd     *rand.Rand
	sends   *int // to any queue, ever
	created time.Time

	hidden, ready pile
	arrived       int64               // messages, ever
	receipts      map[string]*message // by the handle of the newest receive
	inFlight      int                 // hidden because they were received
	groups        map[string]int      // of them, of a FIFO queue, by group
	expiry        time.Time           // no message expires before
	sent          map[string]sending  // by deduplication id
	counts        []counted           // over time, oldest first
	changed       chan struct{}       // closed when a message arrives or its visibility changes
}

func newQueue(name string, o QueueOptions, as Options, sends *int) *queue {
	q := &queue{
		name: name, opts: o, as: as, rnd: random(as.Seed, name), sends: sends, created: time.Now(),
		receipts: map[string]*message{}, groups: map[string]int{}, sent: map[string]sending{},
	}
	q.hidden.less = func(a, b *message) bool { return a.VisibleAt.Before(b.VisibleAt) }
	q.ready.less = func(a, b *message) bool { return a.place < b.place || a.place == b.place && a.seq < b.seq }
	return q
}

func (q *queue) fifo() bool { return fifo(q.name) }

// arrive adds a message that can be received from m.VisibleAt on.
func (q *queue) arrive(m *message) {
	now := time.Now()
	q.advance(now)
	q.arrived++
	m.seq, m.receipt, m.visible, m.inFlight = q.arrived, "", false, false
	if end := m.SentAt.Add(q.opts.Retention); q.expiry.IsZero() || end.Before(q.expiry) {
		q.expiry = end
	}
	heap.Push(&q.hidden, m)
	q.count(now)
	q.wake()
}

// advance brings the queue to the present: what expired is gone, and what was
// hidden long enough is ready.
func (q *queue) advance(now time.Time) {
	for len(q.hidden.items) > 0 && !q.hidden.items[0].VisibleAt.After(now) {
		m := q.hidden.items[0]
		q.take(m)
		m.visible, m.place = true, q.placeOf(m)
		heap.Push(&q.ready, m)
		q.count(m.VisibleAt)
	}
	if !q.expiry.IsZero() && !q.expiry.After(now) {
		q.expire(now)
	}
}

// expire removes the messages whose retention is over
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
func (q *queue) expire(now time.Time) {
	q.expiry = time.Time{}
	for _, held := range []*pile{&q.ready, &q.hidden} {
		for _, m := range append([]*message(nil), held.items...) {
			end := m.SentAt.Add(q.opts.Retention)
			switch {
			case !end.After(now):
				q.take(m)
				delete(q.receipts, m.receipt)
			case q.expiry.IsZero() || end.Before(q.expiry):
				q.expiry = end
			}
		}
	}
	q.count(now)
}

// take takes a message out of its heap; it is not in flight any more.
func (q *queue) take(m *message) {
	if m.visible {
		heap.Remove(&q.ready, m.index)
	} else {
		heap.Remove(&q.hidden, m.index)
	}
	if m.inFlight {
		q.inFlight--
		if q.groups[m.Group]--; q.groups[m.Group] == 0 {
			delete(q.groups, m.Group)
		}
	}
	m.visible, m.inFlight = false, false
}

// hide puts a message that take took among the hidden ones, as one in flight.
func (q *queue) hide(m *message, until time.Time) {
	m.VisibleAt, m.inFlight = until, true
	q.inFlight++
	q.groups[m.Group]++
	heap.Push(&q.hidden, m)
}

// wake ends the waits of long polls.
func (q *queue) wake() {
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}

// pile is a heap of messages.
type pile struct {
	items []*message
	less  func(a, b *message) bool
}

func (p *pile) Len() int           { return len(p.items) }
func (p *pile) Less(i, j int) bool { return p.less(p.items[i], p.items[j]) }

func (p *pile) Swap(i, j int) {
	p.items[i], p.items[j] = p.items[j], p.items[i]
	p.items[i].index, p.items[j].index = i, j
}

func (p *pile) Push(x any) {
	m := x.(*message) //nolint:errcheck,forcetypeassert // nothing else is pushed
	m.index = len(p.items)
	p.items = append(p.items, m)
}

func (p *pile) Pop() any {
	last := len(p.items) - 1
	m := p.items[last]
	p.items[last] = nil
	p.items = p.items[:last]
	return m
}
