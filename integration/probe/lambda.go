package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
