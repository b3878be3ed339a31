package job_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const invocation = 20 * time.Second

var errKilled = errors.New("killed")

// rig is a control table and a source of guests in memory.
type rig struct {
	t     *testing.T
	table *archivetest.Table
	opts  job.Options

	mu      sync.Mutex
	source  []string       // guests that have not been forgotten
	written map[string]int // how often to each
	left    int            // calls until the process is killed; below 0 for ever
	after   bool           // the last call takes effect, and its answer is lost
	killed  bool
}

func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(newRig(t)) })
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, table: archivetest.NewTable(), opts: job.Options{Logger: slog.New(slog.DiscardHandler)}, written: map[string]int{}, left: -1}
	r.table.Inject(func(archivetest.Call) archivetest.Fault {
		err, after := r.call()
		return archivetest.Fault{Err: err, AfterEffect: after}
	})
	return r
}

// call counts a call of the process.
func (r *rig) call() (err error, after bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.killed:
		return errKilled, false
	case r.left < 0:
		return nil, false
	case r.left == 0:
		r.killed = true
		return errKilled, r.after
	}
	r.left--
	return nil, false
}

// kill ends the process after so many calls more.
func (r *rig) kill(calls int, after bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left, r.after = calls, after
}

// again lets a new process live. It reports whether the old one was killed.
func (r *rig) again() (killed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	killed, r.left, r.killed = r.killed, -1, false
	return killed
}

// ctx is an invocation's.
func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), invocation)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *rig) engine() *engine { return newEngine(r.table, r.opts) }

// create makes a job about n guests, who are in the source.
func (r *rig) create(n int) *job.Job[invitation, *job.Progress] {
	r.t.Helper()
	for i := range n {
		r.source = append(r.source, fmt.Sprint("guest ", i))
	}
	j, err := r.engine().Create(r.ctx(), id.New(), invitation{Guests: r.source, By: "ada"}, &job.Progress{}, job.Event{What: "begun", By: "ada"})
	if err != nil {
		r.t.Fatal(err)
	}
	return j
}

// begin takes a job in a new process.
func (r *rig) begin(ctx context.Context, jobID string, anew bool) (*run, error) {
	j, err := r.engine().Find(ctx, jobID)
	if err != nil {
		return nil, err
	}
	return r.engine().Begin(ctx, j, anew)
}

// work is one sweep through the source.
type work struct {
	*rig
	x      *run
	bounds job.Bounds
	next   int
	all    []string
	do     func(ctx context.Context, names []string) ([]guest, error) // nil writes to all
	wants  func(name string) bool
}

// drive goes through the source with a run.
func (r *rig) drive(ctx context.Context, x *run, change ...func(w *work)) (*job.Job[invitation, *job.Progress], error) {
	r.t.Helper()
	w := &work{rig: r, x: x, bounds: job.Bounds{Limit: 1000, Concurrency: 3, Step: 4}, do: r.write, wants: func(string) bool { return true }}
	for _, c := range change {
		c(w)
	}
	return x.Drive(ctx, func(ctx context.Context) (bool, error) {
		w.next, w.all = 0, r.guests()
		return job.Sweep(ctx, x, w, w.bounds)
	})
}

func (r *rig) guests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.source...)
}

func (w *work) Next(context.Context) (names []string, end bool, err error) {
	if err, _ := w.call(); err != nil {
		return nil, false, err
	}
	to := min(w.next+3, len(w.all))
	names, w.next = w.all[w.next:to], to
	return names, to == len(w.all), nil
}

func (w *work) Wants(name string) bool { return w.wants(name) }

func (w *work) Intent(name string) guest { return guest{Name: name} }

func (w *work) Do(ctx context.Context, names []string) ([]guest, error) { return w.do(ctx, names) }

// write writes to guests, in one call.
func (r *rig) write(_ context.Context, names []string) ([]guest, error) {
	err, after := r.call()
	if err != nil && !after {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := make([]guest, len(names))
	for i, name := range names {
		r.written[name]++
		entries[i] = guest{Name: name, Outcome: job.Replayed}
	}
	return entries, err
}

// Leave forgets settled guests.
func (w *work) Leave(_ context.Context, settled, _ []string) error {
	if len(settled) == 0 {
		return nil
	}
	if err, after := w.call(); err != nil && !after {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range settled {
		if w.written[name] == 0 {
			w.t.Errorf("%s is forgotten, and nothing was written", name)
		}
		w.source = without(w.source, name)
	}
	return nil
}

func without(names []string, name string) []string {
	var kept []string
	for _, n := range names {
		if n != name {
			kept = append(kept, n)
		}
	}
	return kept
}
