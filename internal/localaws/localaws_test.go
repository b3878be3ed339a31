package localaws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// samconfig.toml lets a person deploy to an emulator by hand; that has to be the same stack.
func TestParametersAgreeWithSamconfig(t *testing.T) {
	text, err := os.ReadFile("../../samconfig.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, stage := range []string{"local", "localstack"} {
		_, section, _ := strings.Cut(string(text), "["+stage+".deploy.parameters]")
		_, section, _ = strings.Cut(section, `parameter_overrides = "`)
		section, _, _ = strings.Cut(section, `"`)
		got := map[string]bool{}
		for _, pair := range strings.Fields(section) {
			got[pair] = true
		}
		for name, value := range Parameters("http://127.0.0.1:4566") {
			ofMachine := name == "EndpointUrl" || name == "Architecture"
			if pair := name + "=" + value; got[pair] == ofMachine {
				t.Errorf("%s: %s in samconfig.toml: %t, want %t", stage, pair, got[pair], !ofMachine)
			}
			delete(got, name+"="+value)
		}
		if len(got) > 0 {
			t.Errorf("%s: not in Parameters: %v", stage, got)
		}
	}
}

func TestOpenFindsTheCheckout(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(deep, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(&Options{Dir: deep}); err == nil {
		t.Error("found a checkout where there is none")
	}
	for _, name := range []string{"template.yaml", "go.mod"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	checkout, err := Open(&Options{Dir: deep})
	if err != nil {
		t.Fatal(err)
	}
	if checkout.root != root {
		t.Errorf("got %s, want %s", checkout.root, root)
	}
	if _, err := checkout.Start(t.Context(), Server{}); err == nil || !strings.Contains(err.Error(), "make .venv") {
		t.Errorf("without tools: got %v, want what to do", err)
	}
	if _, err := checkout.Find(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v, want ErrNotRunning", err)
	}
}

// The caller's own AWS settings would send a test's calls to a real account.
func TestEnvironReplacesAWSSettings(t *testing.T) {
	t.Setenv("AWS_PROFILE", "mine")
	t.Setenv("AWS_SESSION_TOKEN", "secret")
	t.Setenv("no_proxy", "example.com")
	environ := Environ("http://127.0.0.1:1")
	text := "\n" + strings.Join(environ, "\n") + "\n"
	for _, want := range []string{"\nAWS_ENDPOINT_URL=http://127.0.0.1:1\n", "\nno_proxy=example.com,127.0.0.1,localhost\n", "\nPATH="} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, stray := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN"} {
		if strings.Contains(text, "\n"+stray+"=") {
			t.Errorf("%s is still there", stray)
		}
	}
}

func TestProgressTellsStepAndTime(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	_ = p.step("building 4 functions", func() error { return nil })
	_ = p.step("deploying", func() error { return errors.New("no") })
	if got, want := out.String(), "building 4 functions … 0.0 s\ndeploying … 0.0 s, failed\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A tool's output is of interest only when it fails, and then its end is.
func TestSAMShowsOutputOnFailureOnly(t *testing.T) {
	checkout := fakeCheckout(t, "#!/bin/sh\nfor i in $(seq 50); do echo line $i; done\nexit $1\n")
	if err := checkout.sam(t.Context(), os.Environ(), "0"); err != nil {
		t.Error(err)
	}
	err := checkout.sam(t.Context(), os.Environ(), "3")
	if err == nil || !strings.Contains(err.Error(), "line 50") || strings.Contains(err.Error(), "line 20\n") {
		t.Errorf("got %v, want the last 30 lines", err)
	}
}

func TestSAMEndsWithItsContext(t *testing.T) {
	checkout := fakeCheckout(t, "#!/bin/sh\nsleep 60 & wait\n")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := checkout.sam(ctx, os.Environ(), "deploy"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("its children kept it for %s", took)
	}
}

// A pid that the system has given to another program must not be killed.
func TestStopLeavesAnotherProcessAlone(t *testing.T) {
	if err := supported(); err != nil {
		t.Skip(err)
	}
	other := exec.CommandContext(t.Context(), "sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()

	stale := &Instance{PID: other.Process.Pid, StartTime: "1"}
	if err := stale.Stop(); err != nil {
		t.Fatal(err)
	}
	if startTime(other.Process.Pid) == "" {
		t.Error("Stop killed a process that it did not start")
	}
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	if err := supported(); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "pid")
	cmd := exec.Command("sh", "-c", fmt.Sprintf("sleep 60 & echo $! > %s; wait", file))
	ended, err := startTied(cmd)
	if err != nil {
		t.Fatal(err)
	}
	var child int
	for child == 0 {
		text, _ := os.ReadFile(file)
		_, _ = fmt.Sscan(string(text), &child)
		wait(5 * time.Millisecond)
	}
	i := &Instance{PID: cmd.Process.Pid, StartTime: startTime(cmd.Process.Pid), ended: ended}
	if !i.running() {
		t.Fatal("not running")
	}
	if err := i.Stop(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); startTime(child) != ""; wait(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("its child still runs")
		}
	}
	if err := i.Stop(); err != nil {
		t.Errorf("stopping again: %v", err)
	}
}

// fakeCheckout is a checkout whose SAM CLI is a script.
func fakeCheckout(t *testing.T, sam string) *Checkout {
	t.Helper()
	root := t.TempDir()
	bin := filepath.Join(root, ".venv", "bin")
	if err := os.MkdirAll(bin, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "sam"), []byte(sam), 0o700); err != nil {
		t.Fatal(err)
	}
	return &Checkout{root: root, progress: newProgress(&bytes.Buffer{})}
}
