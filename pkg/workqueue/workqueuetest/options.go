package workqueuetest

import (
	"regexp"
	"strings"
	"time"
)

// Options say how an [SQS] behaves where AWS promises nothing. What is random
// is drawn from Seed, for each queue by itself, so the same calls in the same
// order have the same outcome. The limits of SQS are no options: they hold in
// any case.
type Options struct {
	// Seed of everything that is random: ids, order, redelivery, sampling.
	// Defaults to 1.
	Seed uint64
	// InOrder lets a standard queue hand its messages out in the order in which
	// they became visible, as a FIFO queue would. SQS makes no such promise;
	// for tests that are about something else. Defaults to false.
	InOrder bool
	// Numbered makes message ids that count the sends, 00000000-0000-4000-8000-
	// and twelve digits, for tests that name messages. Defaults to false: ids
	// are random.
	Numbered bool
	// Disorder is how far messages of a standard queue overtake each other: each
	// takes its place up to so much later than it became visible. Defaults to
	// 1 second.
	Disorder time.Duration
	// Redelivery is how often, between 0 and 1, a standard queue delivers once
	// more than it was asked to: a received message becomes visible before its
	// timeout ends, or a copy of a deleted message comes back. Defaults to 0.
	Redelivery float64
	// CountLag is how old the numbers of messages are that GetQueueAttributes
	// answers for a standard queue. Defaults to 0, which is exact.
	CountLag time.Duration
	// CountJitter is how much older each of these numbers is at most: the three
	// of an answer are of different moments. Defaults to 0.
	CountJitter time.Duration
	// Missed is how often, between 0 and 1, a short poll does not see a message
	// that is there. Defaults to 0.
	Missed float64
}

// AsOnAWS returns the options that leave out nothing that SQS may do: order is
// not kept, one delivery in fifty is repeated, each number is
// up to a minute old, and a short poll misses a third of the messages. A test that passes with them
// relies on nothing but what SQS promises.
func AsOnAWS(seed uint64) Options {
	return Options{Seed: seed, Redelivery: 0.02, CountJitter: time.Minute, Missed: 1.0 / 3}
}

func (o Options) withDefaults() Options {
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Disorder <= 0 {
		o.Disorder = time.Second
	}
	if o.InOrder {
		o.Disorder = 0
	}
	return o
}

// RedrivePermission says which queues may have a queue as their dead-letter
// queue (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html).
type RedrivePermission string

// The redrive permissions.
const (
	AllowAll RedrivePermission = "allowAll"
	DenyAll  RedrivePermission = "denyAll"
	ByQueue  RedrivePermission = "byQueue"
)

// QueueOptions are the attributes of a queue.
type QueueOptions struct {
	// Visibility is the visibility timeout, at most 12 hours. Defaults to
	// 30 seconds.
	Visibility time.Duration
	// Retention is how long after its send a message is kept, between 1 minute
	// and 14 days. Defaults to 4 days.
	Retention time.Duration
	// MaxBytes is the largest message, between 1 KiB and 1 MiB. Defaults to
	// 1 MiB.
	MaxBytes int
	// MaxReceives and DeadLetter are the redrive policy: a message that was
	// received so often (1 to 1,000) moves to the queue of that name instead of
	// being received once more. Defaults to none.
	MaxReceives int
	DeadLetter  string
	// Redrive and Sources are the redrive-allow policy: whose dead-letter queue
	// this may be. Sources are up to ten names of queues, for [ByQueue].
	// Defaults to [AllowAll].
	Redrive RedrivePermission
	Sources []string
	// InFlight is how many messages can be received and neither deleted nor
	// visible again. Lower it to test what happens beyond. Defaults to 120,000,
	// the quota of standard and FIFO queues
	// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html).
	InFlight int
}

func (o QueueOptions) withDefaults() QueueOptions {
	if o.Visibility <= 0 {
		o.Visibility = 30 * time.Second
	}
	if o.Retention == 0 {
		o.Retention = 4 * day
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = maxBytes
	}
	if o.Redrive == "" {
		o.Redrive = AllowAll
	}
	if o.InFlight <= 0 {
		o.InFlight = maxInFlight
	}
	return o
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.fifo)?$`)

// check finds what SQS refuses when a queue is created. Names and ranges are
// on https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html.
func (o QueueOptions) check(name string) *Error {
	switch {
	case len(name) > 80 || !queueName.MatchString(name):
		return invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	case o.Visibility > maxVisibility:
		return refuse("InvalidAttributeValue", "Invalid value for the parameter VisibilityTimeout.")
	case o.Retention < time.Minute || o.Retention > maxRetention:
		return refuse("InvalidAttributeValue", "Invalid value for the parameter MessageRetentionPeriod.")
	case o.MaxBytes < 1024 || o.MaxBytes > maxBytes:
		return refuse("InvalidAttributeValue", "Invalid value for the parameter MaximumMessageSize.")
	case (o.DeadLetter == "") != (o.MaxReceives == 0):
		return invalidValue("", "RedrivePolicy", "Redrive policy does not contain mandatory attributes.")
	case o.DeadLetter != "" && (o.MaxReceives < 1 || o.MaxReceives > 1000):
		return invalidValue(o.MaxReceives, "RedrivePolicy", "Invalid value for maxReceiveCount.")
	case o.DeadLetter != "" && fifo(o.DeadLetter) != fifo(name):
		return invalidValue(o.DeadLetter, "RedrivePolicy", "Dead-letter queue must be same type of queue as the source.")
	case (o.Redrive == ByQueue) != (len(o.Sources) > 0):
		return invalidValue(o.Redrive, "RedriveAllowPolicy", "sourceQueueArns goes with byQueue, and only with it.")
	case len(o.Sources) > maxSources:
		return invalidValue(len(o.Sources), "RedriveAllowPolicy", "Only up to 10 sourceQueueArns are allowed.")
	case o.Redrive != AllowAll && o.Redrive != DenyAll && o.Redrive != ByQueue:
		return invalidValue(o.Redrive, "RedriveAllowPolicy", "Invalid value for redrivePermission.")
	}
	return nil
}

func fifo(name string) bool { return strings.HasSuffix(name, ".fifo") }
