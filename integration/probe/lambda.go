package probe

import (
	"archive/zip"
	"bytes"
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
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed function/main.go
var functionSource []byte

const lambdaGuide = "https://docs.aws.amazon.com/lambda/latest/dg/"

var lambdaFeatures = []Feature{
	{
		QueuePartialResponse, "Lambda", "partial responses for a queue", "only the messages that were reported as failed come again",
		lambdaGuide + "services-sqs-errorhandling.html", tryQueuePartialResponse,
	},
	{
		MappingConcurrency, "Lambda", "concurrency of a queue's mapping", "no more batches at once than MaximumConcurrency",
		lambdaGuide + "services-sqs-scaling.html", tryMappingConcurrency,
	},
	{
		QueueFilter, "Lambda", "filter of a queue's mapping", "messages that do not match are deleted and not delivered",
		lambdaGuide + "with-sqs-filtering.html", tryQueueFilter,
	},
	{
		BatchingWindow, "Lambda", "batching window", "waits for more messages before it delivers a batch that is not full",
		lambdaGuide + "invocation-eventsourcemapping.html", tryBatchingWindow,
	},
	{
		ReservedConcurrency, "Lambda", "reserved concurrency", "refuses an invocation with 429 when there is none left",
		lambdaGuide + "configuration-concurrency.html", tryReservedConcurrency,
	},
	{
		FunctionTimeout, "Lambda", "time-out of a function", "ends an invocation that takes longer",
		lambdaGuide + "configuration-timeout.html", tryFunctionTimeout,
	},
	{
		AsyncOnFailure, "Lambda", "on-failure destination", "an asynchronous invocation that failed is sent there",
		lambdaGuide + "invocation-async-retain-records.html", tryAsyncOnFailure,
	},
	{
		AsyncOnFailureAlias, "Lambda", "on-failure destination of an alias", "is that alias's own",
		lambdaGuide + "invocation-async-configuring.html", tryAsyncOnFailureAlias,
	},
	{
		UpdateKeepsInvocations, "Lambda", "updates of a running function", "let invocations end that have begun",
		lambdaGuide + "functions-states.html", tryUpdateKeepsInvocations,
	},
	{
		AliasWeights, "Lambda", "weights of an alias", "shift a part of the invocations to another version",
		lambdaGuide + "configuring-alias-routing.html", tryAliasWeights,
	},
	{
		PayloadLimit, "Lambda", "size of events", "more than 6 MB is refused",
		lambdaGuide + "gettingstarted-limits.html", tryPayloadLimit,
	},
}

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
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	f, err := w.CreateHeader(header)
	if err == nil {
		_, err = f.Write(code)
	}
	if err = cmp.Or(err, w.Close()); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
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

// fed has a function consume a queue, and returns both. A message comes again
// after so many seconds, which the function has.
func (b *bench) fed(ctx context.Context, seconds int, mapping object) (function, queue string, err error) {
	queue, arn, err := b.queue(ctx, "", map[string]string{"VisibilityTimeout": strconv.Itoa(seconds)})
	if err != nil {
		return "", "", err
	}
	function, err = b.function(ctx, functionSpec{timeout: seconds, allow: []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}})
	if err != nil {
		return "", "", err
	}
	return function, queue, b.mapping(ctx, function, arn, mapping)
}

// logged waits until what a function has logged is enough, for so long at most.
func (b *bench) logged(ctx context.Context, function string, patience time.Duration, enough func(lines []string) bool) (lines []string, err error) {
	_, err = until(ctx, patience, func() (bool, error) {
		lines, err = b.seen(ctx, function)
		return enough(lines), err
	})
	return lines, err
}

// tryQueuePartialResponse: a message that is reported comes again, and the
// others do not.
func tryQueuePartialResponse(ctx context.Context, b *bench) (Result, error) {
	function, queue, err := b.fed(ctx, 4, object{"FunctionResponseTypes": []string{"ReportBatchItemFailures"}})
	if err != nil {
		return Result{}, err
	}
	entries := []object{}
	for i, body := range []string{"ok", "report", "ok"} {
		entries = append(entries, object{"Id": strconv.Itoa(i), "MessageBody": body})
	}
	if _, err := b.api.json(ctx, "sqs", "SendMessageBatch", object{"QueueUrl": queue, "Entries": entries}); err != nil {
		return Result{}, err
	}
	lines, err := b.logged(ctx, function, 75*time.Second, func(lines []string) bool {
		return count(lines, "seen report") > 1 && count(lines, "seen ok") > 1
	})
	if err != nil {
		return Result{}, err
	}
	if count(lines, "seen ok") < 2 {
		return unknown("nothing was delivered")
	}
	if count(lines, "seen ok") > 2 {
		return missing("the whole batch comes again")
	}
	if count(lines, "seen report") > 1 {
		return asOnAWS()
	}
	gone, err := b.empty(ctx, queue)
	if err != nil {
		return Result{}, err
	}
	if !gone {
		return unknown("a message that was reported as failed does not come again, and is still there")
	}
	return missing("a message that was reported as failed counts as done")
}

// empty reports whether nothing is in a queue, hidden or not.
func (b *bench) empty(ctx context.Context, queue string) (bool, error) {
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"} {
		if n, err := b.attribute(ctx, queue, name); err != nil || n != "0" {
			return false, err
		}
	}
	return true, nil
}

// tryMappingConcurrency sends five messages that take a second each to a mapping
// that may run two at once.
func tryMappingConcurrency(ctx context.Context, b *bench) (Result, error) {
	function, queue, err := b.fed(ctx, 20, object{"BatchSize": 1, "ScalingConfig": object{"MaximumConcurrency": 2}})
	if err != nil {
		return Result{}, err
	}
	entries := []object{}
	for i := range 5 {
		entries = append(entries, object{"Id": strconv.Itoa(i), "MessageBody": "sleep 1000"})
	}
	if _, err := b.api.json(ctx, "sqs", "SendMessageBatch", object{"QueueUrl": queue, "Entries": entries}); err != nil {
		return Result{}, err
	}
	lines, err := b.logged(ctx, function, 75*time.Second, func(lines []string) bool { return count(lines, "span") >= len(entries) })
	if err != nil {
		return Result{}, err
	}
	most := overlap(lines)
	if count(lines, "span") < len(entries) {
		return unknown(fmt.Sprintf("%d of %d were delivered", count(lines, "span"), len(entries)))
	}
	return where(most <= 2, Missing, fmt.Sprintf("%d at once, two allowed", most))
}

// overlap is how many batches ran at once at most, by their "span FROM TO".
func overlap(lines []string) (most int) {
	type edge struct {
		at int64
		by int
	}
	var edges []edge
	for _, l := range lines {
		var from, to int64
		if _, err := fmt.Sscanf(l, "span %d %d", &from, &to); err == nil {
			edges = append(edges, edge{at: from, by: 1}, edge{at: to, by: -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	now := 0
	for _, e := range edges {
		now += e.by
		most = max(most, now)
	}
	return most
}

// tryQueueFilter sends a message that matches and one that does not.
func tryQueueFilter(ctx context.Context, b *bench) (Result, error) {
	function, queue, err := b.fed(ctx, 4, object{"FilterCriteria": object{"Filters": []object{{"Pattern": `{"body":["ok"]}`}}}})
	if err != nil {
		return Result{}, err
	}
	for _, body := range []string{"no", "ok"} {
		if err := b.sendTo(ctx, queue, body); err != nil {
			return Result{}, err
		}
	}
	lines, err := b.logged(ctx, function, 75*time.Second, func(lines []string) bool { return count(lines, "seen ok") > 0 })
	if err != nil {
		return Result{}, err
	}
	if count(lines, "seen ok") == 0 {
		return unknown("nothing was delivered")
	}
	// The other one may be delivered yet; or it is gone.
	gone, err := until(ctx, 30*time.Second, func() (bool, error) { return b.empty(ctx, queue) })
	if err != nil {
		return Result{}, err
	}
	if lines, err = b.seen(ctx, function); err != nil {
		return Result{}, err
	}
	if count(lines, "seen no") > 0 {
		return missing("what does not match is delivered")
	}
	return where(gone, Differs, "what does not match stays in the queue")
}

// tryBatchingWindow measures how long a message waits for company.
func tryBatchingWindow(ctx context.Context, b *bench) (Result, error) {
	function, queue, err := b.fed(ctx, 4, object{"MaximumBatchingWindowInSeconds": 5})
	if err != nil {
		return Result{}, err
	}
	// The first delivery shows that the mapping works; that may take a minute.
	if err := b.sendTo(ctx, queue, "first"); err != nil {
		return Result{}, err
	}
	lines, err := b.logged(ctx, function, time.Minute, func(lines []string) bool { return count(lines, "span") > 0 })
	if err != nil || count(lines, "span") == 0 {
		return Result{Verdict: Unknown, Detail: "nothing was delivered"}, err
	}
	sent := time.Now()
	if err := b.sendTo(ctx, queue, "second"); err != nil {
		return Result{}, err
	}
	lines, err = b.logged(ctx, function, 20*time.Second, func(lines []string) bool { return count(lines, "seen second") > 0 && count(lines, "span") > 1 })
	if err != nil || count(lines, "span") < 2 {
		return Result{Verdict: Unknown, Detail: "the second message was not delivered"}, err
	}
	last := int64(0)
	for _, l := range lines {
		var from, to int64
		if _, err := fmt.Sscanf(l, "span %d %d", &from, &to); err == nil {
			last = max(last, from)
		}
	}
	waited := time.UnixMilli(last).Sub(sent)
	return where(waited > 3*time.Second, Missing, "delivers at once")
}

// tryReservedConcurrency invokes a function that may not run at all.
func tryReservedConcurrency(ctx context.Context, b *bench) (Result, error) {
	function, err := b.function(ctx, functionSpec{})
	if err != nil {
		return Result{}, err
	}
	if err := b.reserveNothing(ctx, function); err != nil {
		return Result{}, err
	}
	throttled, err := until(ctx, b.within(20*time.Second, 2*time.Second), func() (bool, error) {
		_, err := b.invoke(ctx, function, false, object{"do": "ok"})
		if refusal(err) == "TooManyRequestsException" {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return Result{}, err
	}
	return where(throttled, Missing, "a function with a reserved concurrency of 0 runs")
}

// reserveNothing lets a function never run.
func (b *bench) reserveNothing(ctx context.Context, function string) error {
	name, _ := nameOf(function)
	_, err := b.api.rest(ctx, "lambda", http.MethodPut, "/2017-10-31/functions/"+name+"/concurrency", object{"ReservedConcurrentExecutions": 0})
	return err
}

// tryFunctionTimeout: a function with a second takes five.
func tryFunctionTimeout(ctx context.Context, b *bench) (Result, error) {
	function, err := b.function(ctx, functionSpec{timeout: 1})
	if err != nil {
		return Result{}, err
	}
	began := time.Now()
	out, err := b.invoke(ctx, function, false, object{"do": "sleep", "ms": 6000})
	if err != nil {
		return Result{}, err
	}
	took := time.Since(began)
	if !out.failed {
		return missing("a function with one second ends well after six")
	}
	return where(took < 5*time.Second && strings.Contains(out.payload, "timed out"), Differs, fmt.Sprintf("after %s: %s", took.Round(time.Second), out.payload))
}

// tryAsyncOnFailure has an asynchronous invocation fail.
func tryAsyncOnFailure(ctx context.Context, b *bench) (Result, error) {
	function, err := b.function(ctx, functionSpec{allow: []string{"sqs:SendMessage"}})
	if err != nil {
		return Result{}, err
	}
	return b.failsAsynchronously(ctx, function)
}

// tryAsyncOnFailureAlias does the same with an alias.
func tryAsyncOnFailureAlias(ctx context.Context, b *bench) (Result, error) {
	function, err := b.function(ctx, functionSpec{allow: []string{"sqs:SendMessage"}})
	if err != nil {
		return Result{}, err
	}
	name, _ := nameOf(function)
	version, err := b.api.rest(ctx, "lambda", http.MethodPost, functions+name+"/versions", object{})
	if err != nil {
		return Result{}, err
	}
	_, err = b.api.rest(ctx, "lambda", http.MethodPost, functions+name+"/aliases", object{"Name": "live", "FunctionVersion": text(version, "Version")})
	if err != nil {
		return Result{}, err
	}
	return b.failsAsynchronously(ctx, name+":live")
}

func (b *bench) failsAsynchronously(ctx context.Context, function string) (Result, error) {
	queue, arn, err := b.queue(ctx, "-failed", nil)
	if err != nil {
		return Result{}, err
	}
	name, qualifier := nameOf(function)
	path := "/2019-09-25/functions/" + name + "/event-invoke-config"
	if qualifier != "" {
		path += "?Qualifier=" + qualifier
	}
	_, err = b.api.rest(ctx, "lambda", http.MethodPut, path, object{
		"MaximumRetryAttempts": 0, "DestinationConfig": object{"OnFailure": object{"Destination": arn}},
	})
	if err != nil {
		return Result{}, err
	}
	if _, err := b.invoke(ctx, function, true, object{"do": "fail"}); err != nil {
		return Result{}, err
	}
	began := func(lines []string) bool { return count(lines, "event fail") > 0 }
	lines, err := b.logged(ctx, function, 45*time.Second, began)
	if err != nil || !began(lines) {
		return Result{Verdict: Unknown, Detail: "nothing is invoked"}, err
	}
	arrived, err := b.arrives(ctx, queue, b.within(30*time.Second, 15*time.Second), func(body string) bool { return strings.Contains(body, "requestPayload") })
	if err != nil {
		return Result{}, err
	}
	if !arrived {
		return missing("nothing is sent there")
	}
	if lines, err = b.seen(ctx, function); err != nil {
		return Result{}, err
	}
	return where(count(lines, "event fail") == 1, Differs, "invoked again although no retry is allowed")
}

// tryUpdateKeepsInvocations changes a function while it runs.
func tryUpdateKeepsInvocations(ctx context.Context, b *bench) (Result, error) {
	function, err := b.function(ctx, functionSpec{})
	if err != nil {
		return Result{}, err
	}
	if _, err := b.invoke(ctx, function, false, object{"do": "ok"}); err != nil { // the next one begins at once
		return Result{}, err
	}
	type outcome struct {
		invocation
		err error
	}
	ended := make(chan outcome, 1)
	go func() {
		out, err := b.invoke(ctx, function, false, object{"do": "sleep", "ms": 4000})
		ended <- outcome{out, err}
	}()
	// Its log may be written only when it has ended, so a second has to do.
	select {
	case early := <-ended:
		return Result{}, cmp.Or(early.err, errors.New("the invocation ended at once"))
	case <-time.After(1500 * time.Millisecond):
	}
	name, _ := nameOf(function)
	_, err = b.api.rest(ctx, "lambda", http.MethodPut, functions+name+"/configuration", object{"Environment": object{"Variables": object{"UPDATED": "yes"}}})
	if err != nil {
		return Result{}, err
	}
	out := <-ended
	if out.err != nil {
		return Result{}, out.err
	}
	return where(!out.failed, Differs, "the invocation is killed")
}

// tryAliasWeights gives half of an alias's invocations to another version.
func tryAliasWeights(ctx context.Context, b *bench) (Result, error) {
	function, err := b.function(ctx, functionSpec{})
	if err != nil {
		return Result{}, err
	}
	name, _ := nameOf(function)
	var versions [2]string
	for i := range versions {
		if i > 0 { // without a change there would be no second version
			_, err := b.api.rest(ctx, "lambda", http.MethodPut, functions+name+"/configuration", object{"Description": "changed"})
			if err != nil {
				return Result{}, err
			}
			if err := b.settled(ctx, name); err != nil {
				return Result{}, err
			}
		}
		out, err := b.api.rest(ctx, "lambda", http.MethodPost, functions+name+"/versions", object{})
		if err != nil {
			return Result{}, err
		}
		versions[i] = text(out, "Version")
	}
	_, err = b.api.rest(ctx, "lambda", http.MethodPost, functions+name+"/aliases", object{
		"Name": "live", "FunctionVersion": versions[0], "RoutingConfig": object{"AdditionalVersionWeights": object{versions[1]: 0.5}},
	})
	if err != nil {
		return Result{}, err
	}
	ran := map[string]int{}
	for range 30 {
		out, err := b.invoke(ctx, name+":live", false, object{"do": "ok"})
		if err != nil {
			return Result{}, err
		}
		ran[out.version]++
		if len(ran) > 1 {
			return asOnAWS()
		}
	}
	return missing("of thirty invocations none runs the other version")
}

// tryPayloadLimit invokes a function with more than there may be.
func tryPayloadLimit(ctx context.Context, b *bench) (Result, error) {
	function, err := b.function(ctx, functionSpec{})
	if err != nil {
		return Result{}, err
	}
	_, err = b.invoke(ctx, function, false, object{"do": "ok", "padding": strings.Repeat("x", 6_400_000)})
	return refused(err, "6.4 MB are accepted")
}
