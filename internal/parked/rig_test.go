package parked_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/spillway-go/spillway/internal/parked"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	queue      = "saga"
	invocation = 20 * time.Second
)

// rig is a queue of parked messages and a control table in memory.
type rig struct {
	t       *testing.T
	sqs     *workqueuetest.SQS
	url     string
	control *archivetest.Table
	life    life
}

func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(newRig(t)) })
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, sqs: workqueuetest.New(), control: archivetest.NewTable()}
	r.url = r.sqs.Create(queue, workqueuetest.QueueOptions{Visibility: 30 * time.Second})
	r.control.Inject(func(archivetest.Call) archivetest.Fault {
		err, after := r.life.call()
		return archivetest.Fault{Err: err, AfterEffect: after}
	})
	r.sqs.Inject(func(workqueuetest.Call) workqueuetest.Fault {
		err, after := r.life.call()
		return workqueuetest.Fault{Err: err, AfterEffect: after}
	})
	return r
}

func (r *rig) redrive() *redrive.Redrive {
	return redrive.New(r.control, "control", map[string]redrive.Source{queue: {Letters: workqueue.NewInbox(r.sqs, r.url, nil)}},
		&redrive.Options{Logger: slog.New(slog.DiscardHandler)})
}

func (r *rig) resolver() *parked.Resolver {
	return parked.New(r.control, "control", r.redrive(), slog.New(slog.DiscardHandler))
}

func (r *rig) send(body string) {
	r.t.Helper()
	if err := workqueue.New(r.sqs, r.url, nil).Send(r.t.Context(), workqueue.Outgoing{Body: body}); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(time.Millisecond)
}

// ctx is an invocation's.
func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), invocation)
	r.t.Cleanup(cancel)
	return ctx
}

// visible checks that every message can be received.
func (r *rig) visible() {
	r.t.Helper()
	for _, m := range r.sqs.Messages(queue) {
		if m.VisibleAt.After(time.Now()) {
			r.t.Errorf("the message %s is hidden for %s more", m.ID, time.Until(m.VisibleAt))
		}
	}
}

// life is a process that may be killed: once it has made so many calls, nothing
// that it does has an effect.
type life struct {
	mu    sync.Mutex
	armed bool
	left  int
	after bool // the last call takes effect, and its answer is lost
	over  bool
}

var errKilled = errors.New("killed")

func (l *life) call() (err error, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.armed:
		return nil, false
	case l.over:
		return errKilled, false
	}
	if l.left--; l.left < 0 {
		l.over = true
		return errKilled, l.after
	}
	return nil, false
}

// kill ends the process after so many calls more.
func (l *life) kill(calls int, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed, l.left, l.after, l.over = true, calls, after, false
}

// again lets a new process live. It reports whether the old one was killed.
func (l *life) again() (killed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	killed = l.over
	l.armed, l.over = false, false
	return killed
}
