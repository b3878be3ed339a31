package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// canAsk reports whether somebody is there to answer: both the question's and
// the answer's end must be a terminal.
func (a *app) canAsk() bool {
	in, ok := a.in.(io.Writer) // as a terminal's file is
	if !ok {
		return false
	}
	_, reads := a.screen(in)
	_, shows := a.screen(a.errw)
	return reads && shows
}

// confirm returns nil if somebody says yes to question. Where nobody can, the
// error names the command line that needs no answer.
func (a *app) confirm(ctx context.Context, question, instead string) error {
	if !a.canAsk() {
		return &exitError{exitUsage, "nobody is there to say yes, since this is no terminal, and so nothing was changed. To go ahead:\n  " + instead}
	}
	answer, err := a.prompt(ctx, question+" [y/N] ")
	if err != nil {
		return err
	}
	switch strings.ToLower(answer) {
	case "y", "yes":
		return nil
	default:
		return errDeclined
	}
}

var errDeclined = &exitError{exitFailed, "nothing was changed"}

// prompt reads one line. A terminal's read cannot be interrupted, so when ctx
// ends it is left behind.
func (a *app) prompt(ctx context.Context, text string) (string, error) {
	if _, err := fmt.Fprint(a.errw, text); err != nil {
		return "", err
	}
	read := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.in).ReadString('\n') // the end of the input is no answer
		read <- strings.TrimSpace(line)
	}()
	select {
	case line := <-read:
		return line, nil
	case <-ctx.Done():
		_, _ = fmt.Fprintln(a.errw)
		return "", ctx.Err()
	}
}

// commandLine is how to call this program with words, on the same stack.
func (o *operator) commandLine(words ...string) string {
	add := func(name, value string) {
		if value != "" {
			words = append(words, "--"+name, value)
		}
	}
	if o.flags.stack != "spillway" {
		add("stack", o.flags.stack)
	}
	add("region", o.flags.region)
	add("profile", o.flags.profile)
	if o.named {
		add("admin-function", o.function)
	}
	line := o.program
	for _, w := range words {
		line += " " + quote(w)
	}
	return line
}
