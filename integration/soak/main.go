package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// settings of a run.
type settings struct {
	tasks     int
	over      time.Duration
	httpEvery int
	kills     int
	seed      uint64
}

func main() {
	set, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil {
		os.Exit(2) // flag said why
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, set, os.Stdout)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "soak: interrupted")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func parse(args []string) (settings, error) {
	var set settings
	fs := flag.NewFlagSet("soak", flag.ContinueOnError)
	fs.IntVar(&set.tasks, "tasks", 20_000, "how many tasks to hand in, at least 100")
	fs.DurationVar(&set.over, "time", 2*time.Minute, "how long it should take: tasks are handed in over five sixths of it, and what is still out after a kill comes back after that, so a short run takes longer")
	fs.IntVar(&set.httpEvery, "http", 4, "hand in every `n`th task by HTTP, 1 for all, 0 for the first only; the others go through pkg/intake in this process")
	fs.IntVar(&set.kills, "kills", 2, "how often worker processes are killed in the middle of work")
	fs.Uint64Var(&set.seed, "seed", 0, "repeat the plan of another run (default: by the clock)")
	fs.Usage = func() {
		say(fs.Output(), "usage: soak [flags]\n\nLoads a local AWS of its own, kills workers, and accounts for every task.\n")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return settings{}, err
	}
	if set.tasks < 100 || set.over < time.Second || set.httpEvery < 0 || set.kills < 0 || fs.NArg() > 0 {
		say(fs.Output(), "-tasks is at least 100, -time at least 1s, -http and -kills at least 0, and there are no arguments")
		return settings{}, errors.New("bad arguments")
	}
	if set.seed == 0 {
		set.seed = uint64(time.Now().UnixNano())
	}
	return set, nil
}

// run is the whole soak; an error means that the run itself or a check failed.
func run(ctx context.Context, set settings, out io.Writer) (err error) {
	s, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	l := newLedger(plan(set.tasks, set.seed))
	r, err := listen(ctx, l)
	if err != nil {
		return err
	}
	defer r.close()

	say(out, "%d tasks in %s, 5 %% failing, 1 %% poison, workers killed %d times, seed %d", set.tasks, set.over, set.kills, set.seed)
	before := s.proxy.Snapshot()
	w := &watch{stack: s, ledger: l, began: time.Now()}
	if err := w.follow(ctx, r, set, out); err != nil {
		return err
	}
	used := s.proxy.Snapshot().Sub(before)
	e, err := w.gather(ctx, r)
	if err != nil {
		return err
	}
	say(out, "")
	e.summarize(w.began, used, set.seed).print(out)
	violations := e.audit()
	if len(e.kills) < set.kills {
		violations = append(violations, fmt.Sprintf("workers were killed %d times, want %d", len(e.kills), set.kills))
	}
	for i, v := range violations {
		if i == 50 {
			say(out, "  … and %d more", len(violations)-i)
			break
		}
		say(out, "  VIOLATION %s", v)
	}
	if len(violations) > 0 {
		return fmt.Errorf("%d violations", len(violations))
	}
	say(out, "\neverything is accounted for")
	return nil
}

// follow plays the load and returns when every accepted task has ended, or
// when that has taken three times as long as planned and two minutes.
func (w *watch) follow(ctx context.Context, r *receiver, set settings, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	submitted := make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		defer close(submitted)
		return w.stack.load(ctx, w.ledger, r.base, set.over*5/6, set.httpEvery)
	})
	g.Go(func() error { return w.strikes(ctx, r, set, submitted, out) })

	limit := time.After(3*set.over + 2*time.Minute)
	tick, report := time.NewTicker(time.Second), time.NewTicker(5*time.Second)
	defer tick.Stop()
	defer report.Stop()
	var failed error
	for failed == nil {
		select {
		case <-ctx.Done():
			failed = context.Cause(ctx)
		case <-limit:
			say(out, "time is up")
			cancel()
			_ = g.Wait()
			return nil
		case <-report.C:
			var line string
			if line, failed = w.line(ctx); failed == nil {
				say(out, "%s", line)
			}
		case <-tick.C:
			failed = errors.Join(w.weigh(), w.look(ctx))
			select {
			case <-submitted:
				if accepted, ended := w.ledger.counts(); failed == nil && ended == accepted {
					failed = g.Wait()
					return failed
				}
			default:
			}
		}
	}
	cancel()
	_ = g.Wait()
	return failed
}

// strikes kills workers, spread over the time in which tasks are handed in.
func (w *watch) strikes(ctx context.Context, r *receiver, set settings, submitted <-chan struct{}, out io.Writer) error {
	for i := range set.kills {
		due := set.tasks * (i + 1) / (set.kills + 1)
		for over := false; ; {
			if accepted, _ := w.ledger.counts(); accepted >= due {
				break
			}
			if over {
				return nil // too few were accepted, which is found out without us
			}
			select {
			case <-submitted:
				over = true
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(50 * time.Millisecond):
			}
		}
		k, err := w.stack.strike(ctx, r, w.oldest())
		if err != nil {
			return fmt.Errorf("kill the workers: %w", err)
		}
		w.struck(k)
		say(out, "%5.0f s  kill: %d workers, deliveries under way: %d; their tasks come back when lease and visibility timeout are over", time.Since(w.began).Seconds(), k.processes, k.lost)
	}
	return nil
}
