//go:build !linux

package localaws

import (
	"context"
	"errors"
	"os/exec"
	"time"
)

// supported says whether the local AWS can run on this system.
func supported() error {
	return errors.New("the local AWS runs the functions as Linux processes: use Linux, WSL 2, or a Linux container or machine")
}

func startTied(*exec.Cmd) (<-chan struct{}, error)     { return nil, supported() }
func startDetached(*exec.Cmd) (<-chan struct{}, error) { return nil, supported() }
func runToEnd(cmd *exec.Cmd) error                     { return cmd.Run() }
func endGroup(int, func() bool, time.Duration) error   { return supported() }
func startTime(int) string                             { return "" }

func processGroup(int) int { return 0 }

func lock(context.Context, string) (unlock func(), err error) { return func() {}, nil }
