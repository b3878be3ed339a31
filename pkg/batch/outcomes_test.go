package batch_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

// Every combination of what handlers can do, for every source, against the
// rules of the source as Lambda's documentation has them. What is checked is
// only what can be seen from outside: the response, and when which handler or
// hook ran.

// outcome is what a handler does with a record.
type outcome byte

const (
	succeeds outcome = iota
	fails
	permanent
	retryAfter
	panics
	slow // until its context ends
	deaf // for longer than the function may run
	outcomes
)

func (o outcome) String() string {
	return [...]string{"succeeds", "fails", "permanent", "retryAfter", "panics", "slow", "deaf"}[o]
}

// The time that things take.
const (
	aMoment  = 10 * time.Millisecond // every quick handler
	later    = 300 * time.Millisecond
	backoff  = 7 * time.Second
	allTime  = 20 * time.Second // of the function
	freeTime = allTime / 10     // the default margin
	tries    = 3
)

// source is a kind of event source under test.
type source struct {
	name    string
	stream  bool
	grouped bool // records of one key follow one another
	payload func(keys []string) []byte
	handler func(act func(ctx context.Context, i int) error, opts *batch.Options) batch.Handler
}

// index reads which record of the batch something belongs to.
func index(s string) int {
	i, err := strconv.Atoi(strings.TrimLeft(s, "mr-"))
	if err != nil {
		panic(err)
	}
	return i
}

func payloadOf(record func(i int, key string) string) func(keys []string) []byte {
	return func(keys []string) []byte {
		var all []string
		for i, key := range keys {
			all = append(all, record(i, key))
		}
		return []byte(`{"Records":[` + strings.Join(all, ",") + `]}`)
	}
}

func queue(name string) source {
	return source{
		name: name, grouped: strings.HasSuffix(name, ".fifo"),
		payload: payloadOf(func(i int, key string) string {
			return fmt.Sprintf(`{"messageId":"m-%d","receiptHandle":"r-%[1]d","body":"%[1]d","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:%s",
				"attributes":{"ApproximateReceiveCount":"2","MessageGroupId":%q}}`, i, name, key)
		}),
		handler: func(act func(context.Context, int) error, opts *batch.Options) batch.Handler {
			return batch.SQS(func(ctx context.Context, m *event.SQSMessage) error { return act(ctx, index(m.Body)) }, opts)
		},
	}
}

var (
	standard = queue("orders")
	fifo     = queue("orders.fifo")
	kinesis  = source{
		name: "kinesis", stream: true, grouped: true,
		payload: payloadOf(func(i int, key string) string {
			return fmt.Sprintf(`{"eventID":"shardId-7:m-%d","eventSource":"aws:kinesis","eventSourceARN":"arn:aws:kinesis:us-east-1:1:stream/orders",
				"kinesis":{"sequenceNumber":"m-%[1]d","partitionKey":%q,"data":%q}}`, i, key, base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(i))))
		}),
		handler: func(act func(context.Context, int) error, opts *batch.Options) batch.Handler {
			return batch.Kinesis(func(ctx context.Context, r *event.KinesisRecord) error { return act(ctx, index(string(r.Data))) }, opts)
		},
	}
	dynamodb = source{
		name: "dynamodb", stream: true, grouped: true,
		payload: payloadOf(func(i int, key string) string {
			keys := []string{fmt.Sprintf(`"pk":{"S":%q}`, key), `"sk":{"N":"1"}`}
			if i%2 == 1 { // the order of the two means nothing
				slices.Reverse(keys)
			}
			return fmt.Sprintf(`{"eventID":"e%d","eventName":"MODIFY","eventSource":"aws:dynamodb","eventSourceARN":"arn:aws:dynamodb:us-east-1:1:table/orders/stream/x",
				"dynamodb":{"SequenceNumber":"m-%[1]d","Keys":{%s},"NewImage":{"i":{"N":"%[1]d"}}}}`, i, strings.Join(keys, ","))
		}),
		handler: func(act func(context.Context, int) error, opts *batch.Options) batch.Handler {
			return batch.DynamoDB(func(ctx context.Context, c *event.Change) error {
				var item struct{ I int }
				if err := c.New.Unmarshal(&item); err != nil {
					return err
				}
				return act(ctx, item.I)
			}, opts)
		},
	}
	sources = []source{standard, fifo, kinesis, dynamodb}
)

// play is one batch and what happens in it.
type play struct {
	source      source
	plan        []outcome
	keys        []string
	concurrency int
	hooks       bool
	opts        batch.Options // further ones

	start time.Time

	mu     sync.Mutex
	closed bool // the function has answered; what happens now does not count
	trace  []step
	hidden map[int][]time.Duration
	kept   map[int]string // rejected or isolated: the code of the cause
	tried  map[int]int    // as an isolated record says
}

// step is the beginning or the end of a call.
type step struct {
	record int
	ends   bool
	err    error
	at     time.Duration
}

func (p *play) note(s step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.at = time.Since(p.start); !p.closed {
		p.trace = append(p.trace, s)
	}
}

// act is the handler.
func (p *play) act(ctx context.Context, i int) (err error) {
	p.note(step{record: i})
	defer func() {
		v := recover()
		if v != nil {
			err = errors.New("panic")
		}
		p.note(step{record: i, ends: true, err: err})
		if v != nil {
			panic(v)
		}
	}()
	switch p.plan[i] {
	case slow:
		<-ctx.Done()
		return fmt.Errorf("call: %w", ctx.Err())
	case deaf:
		<-time.After(2 * allTime)
		return nil
	default:
		<-time.After(aMoment)
	}
	switch p.plan[i] {
	case fails:
		return task.Code("unlucky", errors.New("no luck"))
	case permanent:
		return task.Permanent(errors.New("never"))
	case retryAfter:
		return task.RetryAfter(later, errors.New("busy"))
	case panics:
		panic("boom")
	default:
		return nil
	}
}

func (p *play) ChangeVisibility(_ context.Context, changes []batch.Visibility) []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range changes {
		p.hidden[index(c.Receipt)] = append(p.hidden[index(c.Receipt)], c.After)
	}
	return make([]error, len(changes))
}

func (p *play) Reject(_ context.Context, m *event.SQSMessage, cause error) error {
	p.keep(index(m.MessageID), 0, cause)
	return nil
}

func (p *play) Isolate(_ context.Context, r *event.StreamRecord, cause error) error {
	if r.JSON == "" || r.Stream() != "orders" || r.Key == "" {
		return fmt.Errorf("what is %+v?", r)
	}
	p.keep(index(r.SequenceNumber), r.Attempts, cause)
	return nil
}

func (p *play) keep(i, attempts int, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, twice := p.kept[i]; twice {
		cause = errors.New("kept twice")
	}
	p.kept[i], p.tried[i] = task.FailureOf(cause).Code, attempts
}

// run plays it, in a bubble, and returns what is wrong.
func (p *play) run(ctx context.Context) (problems []string) {
	p.hidden, p.kept, p.tried = map[int][]time.Duration{}, map[int]string{}, map[int]int{}
	o := p.opts
	o.Logger, o.Concurrency, o.Backoff = quiet, p.concurrency, func(int) time.Duration { return backoff }
	if p.hooks {
		o.Visibility, o.Reject, o.Isolate = p, p, p
	}
	ctx, cancel := context.WithTimeout(ctx, allTime)
	defer cancel()
	p.start = time.Now()
	answer, err := p.source.handler(p.act, &o).Invoke(ctx, p.source.payload(p.keys))
	took := time.Since(p.start)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if err != nil {
		return []string{err.Error()}
	}
	if took > allTime-freeTime/2 {
		problems = append(problems, fmt.Sprintf("answered after %s", took))
	}
	named, err := namedIn(answer, len(p.plan))
	if err != nil {
		return append(problems, err.Error())
	}
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	p.checkTrace(say)
	p.checkKept(say)
	if p.source.stream {
		p.checkCheckpoint(named, say)
	} else {
		p.checkNamed(named, say)
		p.checkHidden(named, say)
	}
	return problems
}

// namedIn reads a partial batch response as strictly as Lambda might, and
// returns which records it names.
func namedIn(answer []byte, n int) ([]int, error) {
	var res struct {
		Failures *[]map[string]*string `json:"batchItemFailures"`
	}
	dec := json.NewDecoder(bytes.NewReader(answer))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&res); err != nil || dec.More() {
		return nil, fmt.Errorf("answered %s: %w", answer, err)
	}
	if res.Failures == nil {
		return nil, fmt.Errorf("answered %s, a null list", answer)
	}
	var named []int
	for _, f := range *res.Failures {
		id, ok := f["itemIdentifier"]
		if !ok || len(f) != 1 || id == nil || *id == "" {
			return nil, fmt.Errorf("answered %s: an empty or wrong entry", answer)
		}
		i, err := strconv.Atoi(strings.TrimPrefix(*id, "m-"))
		if err != nil || i < 0 || i >= n {
			return nil, fmt.Errorf("answered %s: %s is not in the batch", answer, *id)
		}
		if slices.Contains(named, i) {
			return nil, fmt.Errorf("answered %s: %s twice", answer, *id)
		}
		named = append(named, i)
	}
	return named, nil
}

// calls returns when calls of record i began and ended.
func (p *play) calls(i int) (begins, ends []int) {
	for k, s := range p.trace {
		switch {
		case s.record != i:
		case s.ends:
			ends = append(ends, k)
		default:
			begins = append(begins, k)
		}
	}
	return begins, ends
}

// done reports whether record i needs no further delivery.
func (p *play) done(i int) bool {
	if _, kept := p.kept[i]; kept {
		return true
	}
	_, ends := p.calls(i)
	return len(ends) > 0 && p.trace[ends[len(ends)-1]].err == nil
}

// clears reports whether a record with this outcome can be done.
func (p *play) clears(o outcome) bool {
	switch o {
	case succeeds:
		return true
	case permanent:
		return p.hooks
	case fails, retryAfter, panics:
		return p.hooks && p.source.stream
	default:
		return false
	}
}

// checkTrace: order, concurrency, the number of tries, and the clock.
func (p *play) checkTrace(say func(string, ...any)) {
	running := 0
	for _, s := range p.trace {
		if running++; s.ends {
			running -= 2
		}
		if running > p.concurrency {
			say("%d handlers at once", running)
		}
		if !s.ends && s.at > allTime-freeTime {
			say("%d begun after %s", s.record, s.at)
		}
	}
	for i := range p.plan {
		begins, ends := p.calls(i)
		most := 1
		if o := p.plan[i]; p.hooks && p.source.stream && (o == fails || o == retryAfter || o == panics) {
			most = tries
		}
		if len(begins) > most {
			say("%d called %d times", i, len(begins))
		}
		for k := 1; k < len(begins) && k-1 < len(ends); k++ {
			pause := p.trace[begins[k]].at - p.trace[ends[k-1]].at
			if asked := p.plan[i] == retryAfter; asked && pause != later || !asked && pause > 100*time.Millisecond<<(k-1) {
				say("%d tried again after %s", i, pause)
			}
		}
		for j := range i {
			p.checkOrder(j, i, begins, say)
		}
	}
}

// checkOrder: record i comes after j in the batch.
func (p *play) checkOrder(j, i int, begins []int, say func(string, ...any)) {
	if len(begins) == 0 {
		return
	}
	_, ends := p.calls(j)
	last := len(p.trace)
	if len(ends) > 0 {
		last = ends[len(ends)-1]
	}
	switch {
	case p.source.grouped && p.keys[i] == p.keys[j]:
		if !p.done(j) {
			say("%d begun, but not done with %d of its key", i, j)
		} else if begins[0] < last {
			say("%d begun before the end of %d of its key", i, j)
		}
	case p.source.stream && !p.done(j) && last < begins[0] && p.trace[last].at < p.trace[begins[0]].at:
		say("%d begun after the failure of %d", i, j)
	case p.concurrency == 1 && begins[0] < last && len(ends) > 0:
		say("%d begun before the end of %d, one by one", i, j)
	}
}

// checkKept: what was rejected or isolated, and why.
func (p *play) checkKept(say func(string, ...any)) {
	codes := map[outcome]string{permanent: "handler_error", fails: "unlucky", retryAfter: "handler_error", panics: "panic"}
	for i, code := range p.kept {
		begins, _ := p.calls(i)
		o := p.plan[i]
		if !p.clears(o) || code != codes[o] {
			say("%d kept with %s", i, code)
		}
		want := tries
		if o == permanent {
			want = 1
		}
		if p.source.stream && (p.tried[i] != want || len(begins) != want) {
			say("%d kept after %d tries, told as %d", i, len(begins), p.tried[i])
		}
	}
}

// checkCheckpoint: of a stream the first record that is not done is named, and
// that is the first that cannot be.
func (p *play) checkCheckpoint(named []int, say func(string, ...any)) {
	first := slices.IndexFunc(p.plan, func(o outcome) bool { return !p.clears(o) })
	for i := range p.plan {
		if first < 0 || i < first {
			if !p.done(i) {
				say("%d is not done although nothing kept it from it", i)
			}
		}
	}
	if first >= 0 && p.done(first) {
		say("%d counts as done", first)
	}
	switch {
	case first < 0 && len(named) != 0:
		say("named %v, all can be done", named)
	case first >= 0 && !slices.Equal(named, []int{first}):
		say("named %v, want %d", named, first)
	}
}

// checkNamed: of a queue all are named that are not done, and no others; and
// what nothing held up was begun.
func (p *play) checkNamed(named []int, say func(string, ...any)) {
	stuck := 0
	blocked := map[string]bool{}
	for i, o := range p.plan {
		if slices.Contains(named, i) == p.done(i) {
			say("%d named %v, done %v", i, slices.Contains(named, i), p.done(i))
		}
		begins, _ := p.calls(i)
		held := p.source.grouped && blocked[p.keys[i]]
		if !held && stuck < p.concurrency && len(begins) == 0 {
			say("%d not begun", i)
		}
		if !held && (o == slow || o == deaf) {
			stuck++
		}
		if !p.clears(o) {
			blocked[p.keys[i]] = true
		}
	}
}

// checkHidden: what comes back comes back when it should.
func (p *play) checkHidden(named []int, say func(string, ...any)) {
	if !p.hooks {
		return
	}
	group := map[string]time.Duration{}
	for i, o := range p.plan {
		if !slices.Contains(named, i) {
			if len(p.hidden[i]) > 0 {
				say("%d hidden, although done", i)
			}
			continue
		}
		var want time.Duration
		if begins, _ := p.calls(i); len(begins) > 0 {
			if want = backoff; o == retryAfter {
				want = later
			}
		}
		if p.source.grouped {
			want = max(want, group[p.keys[i]])
			group[p.keys[i]] = want
		}
		if !slices.Equal(p.hidden[i], []time.Duration{want}) {
			say("%d hidden for %v, want %s", i, p.hidden[i], want)
		}
	}
}

// plans calls f with every combination of n outcomes.
func plans(n int, f func([]outcome)) {
	plan := make([]outcome, n)
	for {
		f(slices.Clone(plan)) // a handler that was given up may still look at it
		k := 0
		for ; k < n; k++ {
			if plan[k]++; plan[k] < outcomes {
				break
			}
			plan[k] = 0
		}
		if k == n {
			return
		}
	}
}

// keyings are how records may belong together.
var keyings = map[string][]string{
	"one key":      {"a", "a", "a", "a"},
	"two keys":     {"a", "b", "a", "b"},
	"key apart":    {"a", "b", "b", "a"},
	"keys of each": {"a", "b", "c", "d"},
}

func TestEveryCombinationOfOutcomes(t *testing.T) {
	t.Parallel()
	for _, s := range sources {
		for concurrency := 1; concurrency <= 2; concurrency++ {
			for _, hooks := range []bool{false, true} {
				for keying, keys := range keyings {
					if concurrency == 1 && keying != "two keys" || !s.grouped && keying != "keys of each" && concurrency > 1 {
						continue // the keys make no difference
					}
					t.Run(fmt.Sprintf("%s/concurrency %d/hooks %v/%s", s.name, concurrency, hooks, keying), func(t *testing.T) {
						t.Parallel()
						n := 3
						if keying == "two keys" && !testing.Short() {
							n = 4
						}
						synctest.Test(t, func(t *testing.T) {
							defer time.Sleep(3 * allTime) // until the last deaf handler has returned
							for n := range n + 1 {
								plans(n, func(plan []outcome) {
									p := &play{source: s, plan: plan, keys: keys[:n], concurrency: concurrency, hooks: hooks}
									for _, problem := range p.run(t.Context()) {
										t.Errorf("%v: %s", plan, problem)
									}
									if t.Failed() {
										t.FailNow()
									}
								})
							}
						})
					})
				}
			}
		}
	}
}
