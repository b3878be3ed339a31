//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// newRunner runs targets as functions of a shell script.
func newRunner(t *testing.T, script string) (*runner, *bytes.Buffer) {
	t.Helper()
	out := &bytes.Buffer{}
	return &runner{
		command: []string{"sh", "-c", script + "\n\"$1\"", "sh"}, environ: append(os.Environ(), "HERE="+t.TempDir()), logs: t.TempDir(),
		out: out, keep: regexp.MustCompile("^DONE "), grace: time.Minute, every: time.Minute,
	}, out
}

func TestRun(t *testing.T) {
	t.Parallel()
	r, out := newRunner(t, `
good() { echo noise; echo DONE 3 tests in 1s; }
bad() { echo the reason; exit 3; }
after() { echo DONE 4 tests; }`)
	if got := r.run(t.Context(), []lane{{1, []string{"bad", "after"}}, {1, []string{"good"}}}); !slices.Equal(got, []string{"bad"}) {
		t.Errorf("failed: %v", got)
	}
	for _, want := range []string{"bad: failed after", "exit status 3", "\nthe reason\n", "\nDONE 3 tests in 1s\n", "good: good", "\nDONE 4 tests\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out.String(), "noise") {
		t.Errorf("prints what a good target says:\n%s", out)
	}
	if log, err := os.ReadFile(filepath.Join(r.logs, "good.log")); err != nil || string(log) != "noise\nDONE 3 tests in 1s\n" {
		t.Errorf("log %q (%v)", log, err)
	}
}

// Lanes run side by side, and so do as many targets of a lane as it is wide: each waits for the others here.
func TestWidth(t *testing.T) {
	t.Parallel()
	const meet = `touch $HERE/$1; for other in a b c; do while ! [ -e $HERE/$other ]; do sleep 0.01; done; done`
	r, out := newRunner(t, "a() { "+meet+"; }\nb() { "+meet+"; }\nc() { "+meet+"; }")
	r.command[2] = strings.ReplaceAll(r.command[2], "\n\"$1\"", "\n\"$1\" \"$1\"")
	if got := r.run(t.Context(), []lane{{2, []string{"a", "b"}}, {1, []string{"c"}}}); len(got) > 0 {
		t.Errorf("failed: %v\n%s", got, out)
	}
}

// An interrupt reaches the children of a target, ends those that ignore it, and begins nothing more.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	r, out := newRunner(t, `
polite() { sleep 100 & echo $! >$HERE/polite; wait; }
deaf() { trap '' INT; sleep 100 & echo $! >$HERE/deaf; wait; wait; }
next() { touch $HERE/next; }`)
	r.grace = 50 * time.Millisecond
	here := strings.TrimPrefix(r.environ[len(r.environ)-1], "HERE=")
	ctx, interrupt := context.WithCancel(t.Context())
	pids := make(chan []int, 1)
	go func() {
		defer interrupt()
		var all []int
		for _, name := range []string{"polite", "deaf"} {
			for {
				text, _ := os.ReadFile(filepath.Join(here, name))
				if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
					all = append(all, pid)
					break
				}
				<-time.After(5 * time.Millisecond)
			}
		}
		pids <- all
	}()
	got := r.run(ctx, []lane{{2, []string{"polite", "deaf", "next"}}})
	slices.Sort(got)
	if diff := cmp.Diff([]string{"deaf", "polite"}, got); diff != "" {
		t.Errorf("failed (-want +got):\n%s\n%s", diff, out)
	}
	if _, err := os.Stat(filepath.Join(here, "next")); err == nil {
		t.Error("another target began after the interrupt")
	}
	for _, pid := range <-pids {
		for deadline := time.Now().Add(10 * time.Second); alive(pid); <-time.After(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d still runs", pid)
			}
		}
	}
}

// alive reports whether a process runs; one that waits to be buried does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestParse(t *testing.T) {
	t.Parallel()
	lanes, command, err := parse([]string{"1: unit race", "2:", "--", "make", "TIER=gate"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]lane{{1, []string{"unit", "race"}}, {2, []string{}}}, lanes, cmp.AllowUnexported(lane{})); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(command, []string{"make", "TIER=gate"}) {
		t.Errorf("command %v", command)
	}
	for _, bad := range [][]string{nil, {"1: a"}, {"1: a", "--"}, {"--", "make"}, {"a b", "--", "make"}, {"0: a", "--", "make"}} {
		if _, _, err := parse(bad); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}
