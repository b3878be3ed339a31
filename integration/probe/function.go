package probe

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spillway-go/spillway/internal/functionzip"
)

//go:embed function/main.go
var functionSource []byte

// buildFunction makes the zip of the function that features are tried with.
func buildFunction(ctx context.Context, architecture string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "spillway-probe-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left is in a folder for temporary files
	if err := os.WriteFile(filepath.Join(dir, "main.go"), functionSource, 0o600); err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "main.go") //nolint:gosec // a file in a folder that was just made
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture, "GOFLAGS=", "GOWORK=off")
	if output, err := cmd.CombinedOutput(); errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("building the function that features are tried with takes Go: install it from https://go.dev/dl/")
	} else if err != nil {
		return nil, fmt.Errorf("build the function that features are tried with: %w\n%s", err, output)
	}
	code, err := os.ReadFile(binary) //nolint:gosec // which was just built
	if err != nil {
		return nil, err
	}
	return functionzip.Of(code)
}

// functionCode is the zip of the function, which is built once.
func (p *Prober) functionCode(ctx context.Context) ([]byte, error) {
	p.code.Lock()
	defer p.code.Unlock()
	var err error
	if p.code.zip == nil {
		p.code.zip, err = buildFunction(ctx, p.opts.Architecture)
	}
	return p.code.zip, err
}

// functionSpec is how a function differs from one with ten seconds and no rights
// but to log.
type functionSpec struct {
	suffix  string
	timeout int      // in seconds
	allow   []string // actions
}

const functions = "/2015-03-31/functions/"

// function makes a Lambda function and returns its ARN.
func (b *bench) function(ctx context.Context, spec functionSpec) (arn string, err error) {
	code, err := b.functionCode(ctx)
	if err != nil {
		return "", err
	}
	allow := append([]string{"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}, spec.allow...)
	role, err := b.role(ctx, spec.suffix, object{"Service": "lambda.amazonaws.com"}, object{"Effect": "Allow", "Action": allow, "Resource": "*"})
	if err != nil {
		return "", err
	}
	architecture := "x86_64"
	if b.opts.Architecture == "arm64" {
		architecture = "arm64"
	}
	name := b.name + spec.suffix
	in := object{
		"FunctionName": name, "Role": role, "Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": cmp.Or(spec.timeout, 10), "MemorySize": 128,
		"Architectures": []string{architecture}, "Code": object{"ZipFile": base64.StdEncoding.EncodeToString(code)},
	}
	var out object
	// A role that was just made may not be known everywhere yet.
	_, err = until(ctx, 30*time.Second, func() (bool, error) {
		out, err = b.api.rest(ctx, "lambda", http.MethodPost, strings.TrimSuffix(functions, "/"), in)
		if refusal(err) == "InvalidParameterValueException" && strings.Contains(err.Error(), "assume") {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return "", err
	}
	b.laterJSON("logs", "DeleteLogGroup", object{"logGroupName": "/aws/lambda/" + name})
	b.laterDelete("lambda", functions+name) // first, for it may still log
	return text(out, "FunctionArn"), b.settled(ctx, name)
}

// settled waits until a function can be invoked and is not being changed.
func (b *bench) settled(ctx context.Context, name string) error {
	done, err := until(ctx, 30*time.Second, func() (bool, error) {
		c, err := b.api.rest(ctx, "lambda", http.MethodGet, functions+name+"/configuration", nil)
		state, update := text(c, "State"), text(c, "LastUpdateStatus")
		return (state == "Active" || state == "") && update != "InProgress", err
	})
	if err == nil && !done {
		err = errors.New("the function does not become active")
	}
	return err
}

// invocation is what came of one.
type invocation struct {
	failed  bool // the function did
	version string
	payload string
}

// invoke calls a function, by ARN or name, of which a qualifier may be a part, and waits for its answer unless
// asynchronous.
func (b *bench) invoke(ctx context.Context, function string, asynchronous bool, event object) (invocation, error) {
	header := http.Header{"Content-Type": {"application/json"}, "X-Amz-Invocation-Type": {"RequestResponse"}}
	if asynchronous {
		header.Set("X-Amz-Invocation-Type", "Event")
	}
	// The name, not the ARN: the signature covers the path, whose colons some encode.
	name, qualifier := nameOf(function)
	path := functions + name + "/invocations"
	if qualifier != "" {
		path += "?Qualifier=" + qualifier
	}
	answer, err := b.api.exchange(ctx, "lambda", http.MethodPost, path, header, []byte(compact(event)))
	if err != nil {
		return invocation{}, fmt.Errorf("invoke %s: %w", name, err)
	}
	return invocation{
		failed: answer.header.Get("X-Amz-Function-Error") != "", version: answer.header.Get("X-Amz-Executed-Version"), payload: string(answer.body),
	}, nil
}

// nameOf takes the name and the qualifier out of a function's ARN.
func nameOf(function string) (name, qualifier string) {
	if _, after, ok := strings.Cut(function, ":function:"); ok {
		function = after
	}
	name, qualifier, _ = strings.Cut(function, ":")
	return name, qualifier
}

// mapping has a function consume a source, until Close.
func (b *bench) mapping(ctx context.Context, function, source string, more object) error {
	in := object{"FunctionName": function, "EventSourceArn": source, "BatchSize": 10}
	for k, v := range more {
		in[k] = v
	}
	out, err := b.api.rest(ctx, "lambda", http.MethodPost, "/2015-03-31/event-source-mappings", in)
	if err != nil {
		return err
	}
	b.laterDelete("lambda", "/2015-03-31/event-source-mappings/"+url.PathEscape(text(out, "UUID")))
	return nil
}

// seen is what a function has logged of the records that it was given, in order:
// "seen report 1f3…", "batch 3".
func (b *bench) seen(ctx context.Context, function string) ([]string, error) {
	name, _ := nameOf(function)
	in := object{"logGroupName": "/aws/lambda/" + name}
	var lines []string
	for range 20 { // pages
		out, err := b.api.json(ctx, "logs", "FilterLogEvents", in)
		if isGone(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, e := range list(out, "events") {
			for line := range strings.Lines(text(e, "message")) {
				if _, said, ok := strings.Cut(line, "probe "); ok {
					lines = append(lines, strings.TrimSpace(said))
				}
			}
		}
		if text(out, "nextToken") == "" || text(out, "nextToken") == in["nextToken"] {
			break
		}
		in["nextToken"] = text(out, "nextToken")
	}
	return lines, nil
}

// count is how many lines begin with a text.
func count(lines []string, prefix string) (n int) {
	for _, l := range lines {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

// logged waits until what a function has logged is enough, for so long at most.
func (b *bench) logged(ctx context.Context, function string, patience time.Duration, enough func(lines []string) bool) (lines []string, err error) {
	_, err = until(ctx, patience, func() (bool, error) {
		lines, err = b.seen(ctx, function)
		return enough(lines), err
	})
	return lines, err
}
