//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spillway-go/spillway/internal/localaws"
)

// lane is a list of targets, so many of which run at a time.
type lane struct {
	width   int
	targets []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "interrupted")
		os.Exit(130)
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("lanes", flag.ContinueOnError)
	note := flags.String("note", "", "`text` to end with, such as what is left out")
	keep := flags.String("keep", "^DONE ", "`pattern` of the lines to print of a target that succeeded")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp // flag said why
	}
	pattern, err := regexp.Compile(*keep)
	if err != nil {
		return err
	}
	lanes, command, err := parse(flags.Args())
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "spillway-tests-")
	if err != nil {
		return err
	}
	build := filepath.Join(dir, "build")
	defer func() {
		leave := build
		if err == nil {
			leave = dir // every log is printed as far as it matters
		}
		err = errors.Join(err, os.RemoveAll(leave))
	}()
	r := &runner{
		command: command, environ: append(os.Environ(), localaws.BuildVariable+"="+build),
		logs: dir, out: os.Stdout, keep: pattern, grace: grace, every: heartbeat,
	}
	failed := r.run(ctx, lanes)
	if *note != "" {
		r.say("%s", *note)
	}
	if len(failed) > 0 {
		r.say("logs: %s", dir)
		return fmt.Errorf("failed after %s: %s", r.elapsed(), strings.Join(failed, ", "))
	}
	r.say("all good, %s", r.elapsed())
	return nil
}

// parse splits the arguments at "--" into lanes and the command that runs a target.
func parse(args []string) (lanes []lane, command []string, err error) {
	end := slices.Index(args, "--")
	if end <= 0 || end == len(args)-1 {
		return nil, nil, errors.New("usage: lanes 'WIDTH: TARGET…' … -- COMMAND…")
	}
	for _, arg := range args[:end] {
		width, targets, _ := strings.Cut(arg, ":")
		n, err := strconv.Atoi(width)
		if err != nil || n < 1 {
			return nil, nil, fmt.Errorf("%q is no lane: want WIDTH: TARGET…, such as 2: unit race", arg)
		}
		lanes = append(lanes, lane{n, strings.Fields(targets)})
	}
	if !slices.ContainsFunc(lanes, func(l lane) bool { return len(l.targets) > 0 }) {
		return nil, nil, errors.New("the lanes have no targets")
	}
	return lanes, args[end+1:], nil
}
