package main

import "fmt"

// Exit codes. Scripts rely on them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotSucceed  = 3
	exitInterrupted = 130
)

// exitError ends the program with a code, after a command has said its piece.
type exitError struct {
	code int
	msg  string // empty when the output says it all
}

func (e *exitError) Error() string { return e.msg }

// usageError is a command line that cannot mean anything.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}
