package localaws

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Process is a process in which an instance runs a function.
type Process struct {
	PID      int
	Function string // name of the function

	startTime string
}

// Processes returns the function processes of an instance at this moment, which are those in its process group that
// were told the name of a function.
func (i *Instance) Processes() ([]Process, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil || processGroup(pid) != i.PID {
			continue
		}
		p := Process{PID: pid, startTime: startTime(pid)}
		environ, err := os.ReadFile(filepath.Join(folder, "environ"))
		if err != nil {
			continue // it has ended meanwhile
		}
		for entry := range bytes.SplitSeq(environ, []byte{0}) {
			if name, ok := bytes.CutPrefix(entry, []byte("AWS_LAMBDA_FUNCTION_NAME=")); ok {
				p.Function = string(name)
			}
		}
		if p.Function != "" && p.startTime != "" {
			all = append(all, p)
		}
	}
	return all, nil
}

// Running says whether the process still runs.
func (p Process) Running() bool { return p.startTime != "" && startTime(p.PID) == p.startTime }

// Kill ends the process by SIGKILL: it learns nothing of it and can tidy nothing up. It never touches a process that
// merely has the same pid.
func (p Process) Kill() error {
	process, err := os.FindProcess(p.PID)
	if err != nil {
		return fmt.Errorf("find process %d: %w", p.PID, err)
	}
	defer process.Release() //nolint:errcheck // nothing depends on it
	if !p.Running() {
		return fmt.Errorf("kill process %d: %w", p.PID, os.ErrProcessDone)
	}
	if err := process.Kill(); err != nil {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	return nil
}

// Resident returns how many bytes of memory the process has at this moment.
func (p Process) Resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID))
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", p.PID, err)
	}
	fields := bytes.Fields(text) // total, resident, …, in pages
	if len(fields) < 2 || !p.Running() {
		return 0, fmt.Errorf("memory of process %d: %w", p.PID, os.ErrProcessDone)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("memory of process %d", p.PID), err)
	}
	return pages * int64(os.Getpagesize()), nil
}
