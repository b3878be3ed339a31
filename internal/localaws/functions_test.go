package localaws

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// A server that runs two processes: one was told a function's name.
func TestProcessesOfAnInstance(t *testing.T) {
	if err := supported(); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command("sh", "-c", "AWS_LAMBDA_FUNCTION_NAME=worker sleep 60 & sleep 60 & wait")
	ended, err := startTied(cmd)
	if err != nil {
		t.Fatal(err)
	}
	i := &Instance{PID: cmd.Process.Pid, StartTime: startTime(cmd.Process.Pid), ended: ended}
	t.Cleanup(func() {
		if err := i.Stop(); err != nil {
			t.Error(err)
		}
	})
	var found []Process
	await(t, func() bool {
		var err error
		if found, err = i.Processes(); err != nil {
			t.Fatal(err)
		}
		return len(found) > 0 && programOf(t, found[0]) == "sleep"
	})
	if len(found) != 1 || found[0].Function != "worker" || !found[0].Running() {
		t.Fatalf("found %+v, want one running worker", found)
	}
	worker := found[0]
	if bytes, err := worker.Resident(); err != nil || bytes < 4096 || bytes > 1<<30 {
		t.Errorf("resident memory %d, %v", bytes, err)
	}
	stale := worker
	stale.startTime = "1"
	if err := stale.Kill(); !errors.Is(err, os.ErrProcessDone) || !worker.Running() {
		t.Errorf("killing a process that has its pid by now: %v", err)
	}
	if err := worker.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return !worker.Running() })
	if err := worker.Kill(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("killing it again: %v", err)
	}
	if _, err := worker.Resident(); !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its memory: %v", err)
	}
	if !i.running() {
		t.Error("the instance itself was killed")
	}
}

// programOf names the program that a process runs; a shell's child is a shell
// until it has become what it is for.
func programOf(t *testing.T, p Process) string {
	t.Helper()
	name, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/comm")
	if err != nil {
		return ""
	}
	return string(name[:len(name)-1])
}

func await(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !holds(); wait(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within 5 s")
		}
	}
}

func TestBuildFlagsTakeMoreTags(t *testing.T) {
	if got := buildFlags(nil); got != BuildFlags {
		t.Errorf("without tags: %s", got)
	}
	if got, want := buildFlags([]string{"a", "b"}), BuildFlags+" -tags=lambda.norpc,a,b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
