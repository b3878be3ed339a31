package localaws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// supported says whether the local AWS can run on this system.
func supported() error { return nil }

// startTied starts cmd so that it is killed when this process ends, however it ends, and returns a channel that is
// closed when cmd has ended. It is in a process group of its own, so that Ctrl-C reaches it through this process only
// and its children can be killed with it.
func startTied(cmd *exec.Cmd) (<-chan struct{}, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The kernel sends the death signal when the *thread* that started the child ends, so keep it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // an end is expected; what it means is the caller's to say
			close(ended)
		}
	}()
	return ended, <-started
}

// startDetached starts cmd so that it outlives this process and its terminal.
func startDetached(cmd *exec.Cmd) (<-chan struct{}, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return ended, nil
}

// runToEnd runs cmd, with its children, until it ends, its context does or this process does.
func runToEnd(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}

// endGroup asks the process group that pid leads to end, and makes it end when it has not after grace.
func endGroup(pid int, alive func() bool, grace time.Duration) error {
	if err := syscall.Kill(-pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	for deadline := time.Now().Add(grace); alive() && time.Now().Before(deadline); {
		wait(20 * time.Millisecond)
	}
	// Also when the leader has ended: its function processes may not have.
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

// startTime identifies a process beyond its pid, which the system gives out again: the time it started, in clock
// ticks since boot. It is "" when there is no such process, or only its unburied rest.
func startTime(pid int) string {
	// The fields are numbered in proc_pid_stat(5); the state is the third, the start time the 22nd.
	fields := statFields(pid)
	if len(fields) < 20 || fields[0][0] == 'Z' {
		return ""
	}
	return string(fields[19])
}

// processGroup returns the pid of the leader of pid's process group, or 0 when there is no such process.
func processGroup(pid int) int {
	fields := statFields(pid)
	if len(fields) < 3 {
		return 0
	}
	group, _ := strconv.Atoi(string(fields[2]))
	return group
}

// statFields returns the fields of /proc/PID/stat from the third on, or none when there is no such process. The second
// is the program's name in parentheses and may contain anything.
func statFields(pid int) [][]byte {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
}

// lock takes an exclusive lock on file, which is made if need be, waiting for it until ctx ends, and returns what gives
// it back. A process that ends gives back what it holds.
func lock(ctx context.Context, file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing unlocks
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
