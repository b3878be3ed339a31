package main

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// demoPace holds the demonstration's times, which tests shorten.
type demoPace struct {
	poll   time.Duration // between two looks at the list
	line   time.Duration // between two lines where there is no screen
	slow   time.Duration // how long the slow receiver takes
	ttl    time.Duration // of tasks that shall expire …
	delay  time.Duration // … while they wait as long as this
	parked time.Duration // delay of the task that is canceled
	settle time.Duration // how long to look for tasks that the list lacks
}

var defaultPace = demoPace{
	poll: time.Second, line: 2 * time.Second, slow: time.Second,
	ttl: 2 * time.Second, delay: 4 * time.Second, parked: 30 * time.Second, settle: 20 * time.Second,
}

// demoFlags are the demonstration's own.
type demoFlags struct {
	tasks        int
	concurrency  int
	receiverAddr string
	receiverURL  string
}

func (a *app) demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Submit a mixed load and watch it",
		Long: `Submit a mixed load and watch it until all tasks have finished.

Starts a small webhook receiver and submits webhook.deliver tasks to it: most are
taken at once; some are taken slowly, refused twice and then taken, refused for
good, or broken at every attempt; some pass their deadline while they wait, and
one is canceled. The result comes from the public API and is compared with what
the receiver saw; exits 1 if they differ.

The stack must reach the receiver. One that runs elsewhere needs --receiver-url: a
public address that a tunnel or proxy forwards to --receiver-addr.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	fl := cmd.Flags()
	fl.IntVar(&f.tasks, "tasks", 240, "how many tasks to submit, 10 to 10000")
	fl.IntVar(&f.concurrency, "concurrency", 16, "how many tasks are submitted at a time, 1 to 256")
	fl.StringVar(&f.receiverAddr, "receiver-addr", "127.0.0.1:0", "address on which the receiver listens")
	fl.StringVar(&f.receiverURL, "receiver-url", "", "URL under which the stack reaches the receiver (default: its address)")
	complete(cmd, "receiver-addr")
	complete(cmd, "receiver-url")

	cmd.AddCommand(a.demoTripsCommand())
	cmd.RunE = a.action(5*time.Minute, func(ctx context.Context, _ []string) error {
		switch {
		case f.tasks < 10 || f.tasks > 10_000:
			return usagef("--tasks must be 10 to 10000")
		case f.concurrency < 1 || f.concurrency > 256:
			return usagef("--concurrency must be 1 to 256")
		}
		if u, err := url.Parse(f.receiverURL); f.receiverURL != "" && (err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http")) {
			return usagef("--receiver-url must be an http or https URL")
		}
		return a.demo(ctx, f)
	})
	return cmd
}

func (a *app) demo(ctx context.Context, f demoFlags) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	if f.receiverURL == "" && !isLoopback(a.target.apiURL) {
		return usagef("the stack at %s cannot reach a receiver on this machine by itself: forward a public address to --receiver-addr, and name it with --receiver-url", a.target.apiURL)
	}
	recv, err := startReceiver(ctx, a.listen, f.receiverAddr, f.receiverURL, a.pace.slow)
	if err != nil {
		return err
	}
	defer recv.stop()

	run := newDemoRun(c, planLoad(f.tasks, recv, a.pace), a.pace)
	v := a.newView(run, recv)
	v.begin()
	err = run.play(ctx, f.concurrency, v.update)
	v.end()

	s := summarize(run, recv, err == nil)
	if errors.Is(err, context.DeadlineExceeded) {
		s.overtime(a.flags.timeout)
		err = nil
	}
	if werr := a.showSummary(s); werr != nil {
		return werr
	}
	if err != nil {
		return err
	}
	if len(s.Problems) > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}
