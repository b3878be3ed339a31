// Command spillway is the operator's command line of a Spillway stack: it
// submits tasks, shows, waits for and cancels them, brings back dead letters and
// failed tasks, runs a demonstration load and checks the setup. It finds the
// stack through CloudFormation, and uses the public API and the admin function.
//
// Exit codes: 0 done; 1 failed, refused or stopped; 2 used wrongly; 3 a task
// that was waited for, or replayed, ended other than succeeded; 130 interrupted.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(newApp().run(ctx, os.Args[1:]))
}
