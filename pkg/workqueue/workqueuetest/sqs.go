package workqueuetest

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	urlPrefix = "https://sqs.eu-central-1.amazonaws.com/123456789012/"
	arnPrefix = "arn:aws:sqs:eu-central-1:123456789012:"
)

// SQS is queues in memory: standard ones, and FIFO ones, whose names end in
// .fifo. It is safe for concurrent use.
type SQS struct {
	opts Options

	mu     sync.Mutex
	queues map[string]*queue
	sends  int     // to any queue, ever; numbers ids
	moves  []*move // message move tasks, oldest first
	calls  map[string]int
	inject func(Call) Fault
}

// New returns an SQS without queues. It takes one [Options] or none, which
// means the defaults.
func New(opts ...Options) *SQS {
	s := &SQS{queues: map[string]*queue{}, calls: map[string]int{}}
	for _, o := range opts {
		s.opts = o
	}
	s.opts = s.opts.withDefaults()
	return s
}

// Create makes a queue and returns its URL. It replaces one of that name. The
// dead-letter queue may be created later. It panics if SQS would refuse the
// queue; see [SQS.Open].
func (s *SQS) Create(name string, o QueueOptions) (url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	url, err := s.create(name, o)
	if err != nil {
		panic("workqueuetest: create " + name + ": " + err.Error())
	}
	return url
}

// Open is [SQS.Create] for a queue whose dead-letter queue must exist. It fails
// with an [*Error] if SQS would refuse the queue.
func (s *SQS) Open(name string, o QueueOptions) (url string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.DeadLetter != "" && s.queues[o.DeadLetter] == nil {
		e := noQueue()
		e.Message = "Dead letter target does not exist."
		return "", e
	}
	return s.create(name, o)
}

// create makes a queue. mu must be held.
func (s *SQS) create(name string, o QueueOptions) (string, error) {
	o = o.withDefaults()
	if err := o.check(name); err != nil {
		return "", err
	}
	if dead := s.queues[o.DeadLetter]; dead != nil && !dead.admits(name) {
		return "", invalidValue(arnPrefix+o.DeadLetter, "RedrivePolicy", "The dead-letter queue's RedriveAllowPolicy does not admit this source queue.")
	}
	s.queues[name] = newQueue(name, o, s.opts, &s.sends)
	return urlPrefix + name, nil
}

// admits reports whether the redrive-allow policy lets the queue of that name
// have q as its dead-letter queue.
func (q *queue) admits(source string) bool {
	switch q.opts.Redrive {
	case DenyAll:
		return false
	case ByQueue:
		return slices.Contains(q.opts.Sources, source)
	default:
		return true
	}
}

// Delete removes the message with this receipt handle. As on AWS it is no
// error, and changes nothing, if the message was received again meanwhile.
func (s *SQS) Delete(name, receipt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.queue(name).remove(receipt) // Lambda reports no handle that expired
}

// Messages returns what a queue holds, visible or not, in the order in which
// it became or becomes visible.
func (s *SQS) Messages(name string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.move(time.Now())
	q := s.queue(name)
	q.advance(time.Now())
	held := slices.Concat(q.ready.items, q.hidden.items)
	slices.SortFunc(held, func(a, b *message) int {
		if c := a.VisibleAt.Compare(b.VisibleAt); c != 0 {
			return c
		}
		return int(a.seq - b.seq)
	})
	messages := make([]Message, len(held))
	for i, m := range held {
		messages[i] = m.Message
		messages[i].Attributes = maps.Clone(m.Attributes)
	}
	return messages
}

// queue returns a queue that exists. mu must be held.
func (s *SQS) queue(name string) *queue {
	q := s.queues[name]
	if q == nil {
		panic("workqueuetest: no queue " + strconv.Quote(name))
	}
	return q
}

// byURL returns the queue of a request; nil if there is none.
func (s *SQS) byURL(url *string) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queues[strings.TrimPrefix(aws.ToString(url), urlPrefix)]
}
