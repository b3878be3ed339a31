package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"
)

// app is the command line with everything that it takes from its surroundings,
// so that tests can give it others.
type app struct {
	in      io.Reader
	out     io.Writer
	errw    io.Writer
	getenv  func(string) string
	screen  func(io.Writer) (width int, ok bool) // of a terminal
	program string                               // how to call this program, for hints

	loadAWS  func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error)
	stacks   func(aws.Config) stackAPI
	identity func(aws.Config) identityAPI
	api      http.RoundTripper // to the stack's API; nil is the client's own
	listen   listenFunc
	pace     demoPace

	flags   globalFlags
	target  target // what connect found, for explaining errors
	started bool   // the command line was right and its command is running
}

// globalFlags are those of every command.
type globalFlags struct {
	stack   string
	apiURL  string
	region  string
	profile string
	output  choice
	timeout time.Duration
}

func newApp() *app {
	return &app{
		in: os.Stdin, out: os.Stdout, errw: os.Stderr,
		getenv:   os.Getenv,
		screen:   screenOf,
		program:  programName(os.Args[0]),
		loadAWS:  config.LoadDefaultConfig,
		stacks:   func(cfg aws.Config) stackAPI { return cloudformation.NewFromConfig(cfg) },
		identity: func(cfg aws.Config) identityAPI { return sts.NewFromConfig(cfg) },
		listen:   listenHTTP,
		pace:     defaultPace,
	}
}

// programName returns what a person has to type to run this program again.
func programName(arg0 string) string {
	if strings.Contains(arg0, "go-build") {
		return "go run ./cmd/spillway"
	}
	if !strings.ContainsRune(arg0, filepath.Separator) {
		return filepath.Base(arg0)
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, arg0); err == nil && filepath.IsAbs(arg0) && filepath.IsLocal(rel) {
			return "." + string(filepath.Separator) + rel
		}
	}
	return arg0
}

// run executes args and returns the exit code. Errors are told on errw.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root() //nolint:contextcheck // commands take theirs from ExecuteContext
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	tell := func(msg string) { _, _ = fmt.Fprintln(a.errw, "spillway: "+msg) }
	if ctx.Err() != nil {
		tell("interrupted")
		return exitInterrupted
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		if e.msg != "" {
			tell(e.msg)
		}
		return e.code
	}
	if _, usage := errors.AsType[*usageError](err); usage || !a.started {
		tell(fmt.Sprintf("%v\nRun `%s --help` for what can be given.", err, a.program+strings.TrimPrefix(cmd.CommandPath(), root.Name())))
		return exitUsage
	}
	tell(a.explain(err))
	return exitFailed
}

// action makes fn a command's body: it runs within --timeout, or within
// fallback when that was not given. Zero means without a limit.
func (a *app) action(fallback time.Duration, fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if a.flags.timeout < 0 {
			return usagef("--timeout must not be negative")
		}
		if !cmd.Flags().Changed("timeout") {
			a.flags.timeout = fallback
		}
		a.started = true
		ctx := cmd.Context()
		if a.flags.timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, a.flags.timeout)
			defer cancel()
		}
		return fn(ctx, args)
	}
}

// json reports whether output is for scripts.
func (a *app) json() bool { return a.flags.output.value == outputJSON }
