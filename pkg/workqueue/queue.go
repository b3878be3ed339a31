package workqueue

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

// Options tunes a [Queue]. The zero value is ready to use.
type Options struct {
	// MaxBytes is the largest message, and the largest sum of one batch. Lower
	// it for a queue with a lower MaximumMessageSize. Defaults to [MaxBytes].
	MaxBytes int
	// Attempts is how often one entry of a batch is tried when SQS refuses it
	// without the sender's fault (a throttled entry inside a 200, which the SDK
	// does not retry). Defaults to 4.
	Attempts int
	// Backoff is the pause between these attempts. Defaults to full jitter up
	// to 100 ms, doubling up to 2 s.
	Backoff Backoff
	// Rand draws the jitter; the Queue serialises its use. Defaults to the
	// global generator.
	Rand rand.Source
	// Logger receives what a caller is not told. Defaults to [slog.Default].
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.MaxBytes <= 0 || d.MaxBytes > MaxBytes {
		d.MaxBytes = MaxBytes
	}
	if d.Attempts <= 0 {
		d.Attempts = 4
	}
	if d.Backoff == (Backoff{}) {
		d.Backoff = Backoff{Base: 100 * time.Millisecond, Max: 2 * time.Second}
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}

// Queue sends to one SQS queue, standard or FIFO, and changes its messages' visibility.
// It is safe for concurrent use.
type Queue struct {
	api  API
	url  string
	opts Options

	mu  sync.Mutex
	rnd *rand.Rand // nil means the global generator; mu must be held
}

// New returns the [Queue] at url. Nil opts mean the defaults.
func New(client API, url string, opts *Options) *Queue {
	q := &Queue{api: client, url: url, opts: opts.withDefaults()}
	if q.opts.Rand != nil {
		q.rnd = rand.New(q.opts.Rand)
	}
	return q
}

// URL returns the queue's URL.
func (q *Queue) URL() string { return q.url }

// Name returns the queue's name, the last part of its URL.
func (q *Queue) Name() string { return q.url[strings.LastIndexByte(q.url, '/')+1:] }

// pause waits before the attempt after attempt. It returns ctx's error if ctx
// ends first.
func (q *Queue) pause(ctx context.Context, attempt int) error {
	q.mu.Lock()
	d := q.opts.Backoff.Delay(attempt, q.rnd)
	q.mu.Unlock()
	return sleep.For(ctx, d)
}
