//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	grace     = 30 * time.Second // for an interrupted target to end
	heartbeat = time.Minute      // between lines that say what still runs
)

// runner runs lanes once.
type runner struct {
	command []string // runs the target that is added to it
	environ []string
	logs    string // folder
	out     io.Writer
	keep    *regexp.Regexp
	grace   time.Duration
	every   time.Duration

	began   time.Time
	mu      sync.Mutex // one target writes at a time
	running []string
	failed  []string
}

// run returns the targets that failed.
func (r *runner) run(ctx context.Context, lanes []lane) (failed []string) {
	r.began = time.Now()
	var wg sync.WaitGroup
	for _, l := range lanes {
		targets := make(chan string, len(l.targets))
		for _, target := range l.targets {
			targets <- target
		}
		close(targets)
		for range l.width {
			wg.Go(func() {
				for target := range targets {
					if ctx.Err() == nil {
						r.target(ctx, target)
					}
				}
			})
		}
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return r.failed
		case <-tick.C:
			r.mu.Lock()
			now := strings.Join(r.running, ", ")
			r.mu.Unlock()
			r.say("%7s  still running: %s", r.elapsed(), now)
		}
	}
}

// target runs one and tells how it went.
func (r *runner) target(ctx context.Context, name string) {
	r.mu.Lock()
	r.running = append(r.running, name)
	fmt.Fprintf(r.out, "%7s  %s …\n", r.elapsed(), name)
	r.mu.Unlock()

	began, log := time.Now(), filepath.Join(r.logs, name+".log")
	err := r.execute(ctx, name, log)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = slices.DeleteFunc(r.running, func(other string) bool { return other == name })
	took := time.Since(began).Round(time.Second)
	if err != nil {
		r.failed = append(r.failed, name)
		fmt.Fprintf(r.out, "%7s  %s: failed after %s: %v; its output:\n", r.elapsed(), name, took, err)
		r.copy(log, regexp.MustCompile(""))
		return
	}
	fmt.Fprintf(r.out, "%7s  %s: good, %s\n", r.elapsed(), name, took)
	r.copy(log, r.keep)
}

// execute runs a target in a process group of its own, so that all of it can be interrupted and nothing of it stays.
func (r *runner) execute(ctx context.Context, name, log string) error {
	f, err := os.Create(log)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.Command(r.command[0], append(slices.Clone(r.command[1:]), name)...) //nolint:noctx // is interrupted first
	cmd.Env, cmd.Stdout, cmd.Stderr = r.environ, f, f
	// It is told when this process is killed. The kernel does that at the end of the thread that started it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	signal := func(s syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, s) } // none left is fine
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			signal(syscall.SIGINT)
		}
		select {
		case <-ended:
		case <-time.After(r.grace):
			signal(syscall.SIGKILL)
		}
	}()
	err = cmd.Wait()
	signal(syscall.SIGKILL) // what the target has left behind
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

// copy prints the lines of a log that match; mu must be held.
func (r *runner) copy(log string, pattern *regexp.Regexp) {
	f, err := os.Open(log)
	if err != nil {
		fmt.Fprintln(r.out, err)
		return
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" && pattern.MatchString(line) {
			fmt.Fprintln(r.out, line)
		}
		if err != nil {
			return
		}
	}
}

// say prints one line.
func (r *runner) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format+"\n", args...)
}

// elapsed is how long the run has taken.
func (r *runner) elapsed() string { return time.Since(r.began).Round(time.Second).String() }
