package job_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

// invitation is the request of a toy kind of work: it writes to guests.
type invitation struct {
	Guests []string `json:"guests"`
	By     string   `json:"by"`
}

// guest is an entry of the ledger.
type guest struct {
	Name    string      `json:"name"`
	Outcome job.Outcome `json:"outcome,omitempty"`
	Reason  string      `json:"reason,omitempty"`
}

func (g guest) Key() string { return g.Name }

func (g guest) Result() job.Result { return job.Result{Outcome: g.Outcome, Reason: g.Reason} }

type (
	engine = job.Engine[invitation, *job.Progress, guest]
	run    = job.Run[invitation, *job.Progress, guest]
)

func newEngine(table job.API, opts job.Options) *engine {
	return job.New[invitation, *job.Progress, guest](table, "control", job.Spec[invitation, *job.Progress]{
		New:  func() *job.Progress { return &job.Progress{} },
		Lock: func(invitation) string { return "guests" }, // one job at a time
	}, opts)
}

// writer is the work of one run.
type writer struct {
	names []string // still to come
	write func(ctx context.Context, names []string) ([]guest, error)
}

// Next returns the guests two by two.
func (w *writer) Next(context.Context) (names []string, end bool, err error) {
	n := min(2, len(w.names))
	names, w.names = w.names[:n], w.names[n:]
	return names, len(w.names) == 0, nil
}

func (w *writer) Wants(string) bool { return true }

func (w *writer) Intent(name string) guest { return guest{Name: name} }

func (w *writer) Do(ctx context.Context, names []string) ([]guest, error) {
	return w.write(ctx, names)
}

func (w *writer) Leave(context.Context, []string, []string) error { return nil }

// drive runs a job until it is done or the process dies.
func drive(ctx context.Context, x *run, write func(context.Context, []string) ([]guest, error)) (*job.Job[invitation, *job.Progress], error) {
	return x.Drive(ctx, func(ctx context.Context) (bool, error) {
		w := &writer{names: x.Job.Request.Guests, write: write}
		return job.Sweep(ctx, x, w, job.Bounds{Limit: 1000, Concurrency: 1, Step: 2})
	})
}

// A process is killed in its second step, after it has written to the guests
// and before the ledger says so. The next process goes on with that step.
func Example() {
	ctx := context.Background()
	table := archivetest.NewTable()
	opts := job.Options{Lease: time.Millisecond, Logger: slog.New(slog.DiscardHandler)}

	write := func(_ context.Context, names []string) ([]guest, error) {
		fmt.Println("write to", names)
		entries := make([]guest, len(names))
		for i, name := range names {
			entries[i] = guest{Name: name, Outcome: job.Replayed}
		}
		return entries, nil
	}

	first := newEngine(table, opts)
	request := invitation{Guests: []string{"ada", "bob", "cyd", "dan", "eve"}, By: "grace"}
	j, err := first.Create(ctx, id.New(), request, &job.Progress{}, job.Event{What: "begun", By: request.By})
	if err != nil {
		fmt.Println(err)
		return
	}
	x, err := first.Begin(ctx, j, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	killed := errors.New("killed")
	_, err = drive(ctx, x, func(ctx context.Context, names []string) ([]guest, error) {
		if names[0] == "cyd" { // nothing that the process does from here on has an effect
			table.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: killed} })
		}
		return write(ctx, names)
	})
	fmt.Println(errors.Is(err, killed))

	table.Inject(nil)
	second := newEngine(table, opts)
	if j, err = second.Find(ctx, j.ID); err != nil {
		fmt.Println(err)
		return
	}
	for x, err = second.Begin(ctx, j, true); errors.Is(err, job.ErrBusy); { // until the lease has lapsed
		x, err = second.Begin(ctx, j, true)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	if j, err = drive(ctx, x, write); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(j.Status, j.State.Counts.Replayed, "of", j.State.Counts.Matched)
	// Output:
	// write to [ada bob]
	// write to [cyd dan]
	// true
	// write to [cyd dan]
	// write to [eve]
	// done 5 of 5
}
