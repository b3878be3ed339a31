//go:build integration

package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

const (
	workers = 4
	// patience bounds the time from the last submission to the end.
	patience = 3 * time.Minute
	// gap is the longest between two kills.
	gap = time.Second
)

// scripts of the tasks, each as often as it stands here.
var scripts = [][]string{
	{succeed},
	{succeed},
	{succeed},
	{succeed},
	{large},
	{slow},
	{slow},
	{checkpoint},
	{fail, succeed},
	{fail, slow},
	{fail, fail, succeed},
	{fail},
	{fail, permanent},
	{permanent},
}

// Tasks are submitted, canceled and replayed while workers are killed, and the
// protocol holds.
func TestModel(t *testing.T) {
	d := newDay(t)
	began := time.Now()
	done := make(chan struct{})
	var killing, others sync.WaitGroup
	stop := sync.OnceFunc(func() {
		close(done)
		killing.Wait()
		others.Wait()
		d.fleet.stop()
	})
	defer stop()
	killing.Go(func() { d.kill(done) })
	others.Go(func() { d.operate(done) })
	others.Go(func() { d.observe(done) })
	d.submitAll()
	killing.Wait()
	d.await()
	stop()
	d.judge()
	t.Logf("%d tasks, %d kills, %d crashes:%s; %d replays, %d cancels, %d dead letters, %s",
		len(d.ids), d.kills, d.fleet.lives-workers-d.kills, d.ends(), len(d.replayed), len(d.canceled), len(d.letters), time.Since(began).Round(time.Second))
}

// day is one run.
type day struct {
	t      *testing.T
	stack  *stack
	fleet  *fleet
	table  *tasktable.Table
	queues intake.Queues
	tasks  *workqueue.Queue
	most   int // tasks
	kills  int // that are to be

	mu       sync.Mutex // guards all below
	rnd      *rand.Rand
	facts    []tasktabletest.Fact
	ids      []string // accepted
	poison   []string // tasks that always crash their worker
	rows     map[string]*tasktable.Row
	canceled map[string]bool
	replayed map[string]bool
	letters  map[string]letter // by message id
}

// letter is a dead letter that was seen in its queue.
type letter struct {
	id   string // of the task
	run  int
	gone bool
}

func newDay(t *testing.T) *day {
	t.Helper()
	d := &day{
		t: t, stack: newStack(t), most: size(t, "SPILLWAY_MODEL_TASKS", 300), kills: size(t, "SPILLWAY_MODEL_KILLS", 12),
		rnd:  rand.New(rand.NewPCG(seed(t), 0)),
		rows: map[string]*tasktable.Row{}, canceled: map[string]bool{}, replayed: map[string]bool{}, letters: map[string]letter{},
	}
	d.table = tasktable.New(d.stack.db, d.stack.Table, nil)
	quiet := &workqueue.Options{Logger: slog.New(slog.DiscardHandler)}
	d.tasks = workqueue.New(d.stack.sqs, d.stack.Tasks, quiet)
	d.queues = intake.Queues{"tasks": d.tasks, "backlog": workqueue.New(d.stack.sqs, d.stack.Backlog, quiet)}
	d.fleet = startFleet(t, d.stack, workers)
	return d
}

// draw returns a number below n.
func (d *day) draw(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rnd.IntN(n)
}

func (d *day) tell(f tasktabletest.Fact) {
	f.At = time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.facts = append(d.facts, f)
}

// telling tells which rows may come to be.
type telling struct {
	*tasktable.Table
	d *day
}

func (t telling) Create(ctx context.Context, draft tasktable.Draft) (*tasktable.Row, error) {
	t.d.tell(tasktabletest.Fact{What: tasktabletest.Submitting, ID: draft.ID})
	return t.Table.Create(ctx, draft)
}

// every is a type that intake accepts.
type every struct{}

func (every) Check(string, json.RawMessage) error { return nil }

// submitAll hands in all tasks, evenly over the time of the kills. One in a
// hundred always crashes its worker; every fifth is submitted twice with one key.
func (d *day) submitAll() {
	in := intake.New(telling{d.table, d}, d.queues, every{}, nil)
	pause := time.Duration(d.kills) * gap / 2 / time.Duration(max(d.most, 1))
	for n := range d.most {
		script := scripts[d.draw(len(scripts))]
		if n%100 == 50 {
			script = []string{crash}
		}
		raw, err := json.Marshal(input{Script: script})
		if err != nil {
			d.t.Fatal(err)
		}
		r := intake.Request{Tenant: "tenant", Type: "model", Input: raw}
		if d.draw(10) == 0 {
			r.Priority = task.Bulk
		}
		times := 1
		if key := fmt.Sprintf("key-%d", n); n%5 == 0 {
			r.IdempotencyKey, times = &key, 2
		}
		for range times {
			row, _, err := in.Submit(d.t.Context(), r)
			if err != nil {
				d.t.Errorf("submit: %v", err)
				return
			}
			accepted := tasktabletest.Fact{What: tasktabletest.Accepted, ID: row.ID}
			if r.IdempotencyKey != nil {
				accepted.Key = *r.IdempotencyKey
			}
			d.tell(accepted)
			d.mu.Lock()
			if !slices.Contains(d.ids, row.ID) {
				d.ids = append(d.ids, row.ID)
				if script[0] == crash {
					d.poison = append(d.poison, row.ID)
				}
			}
			d.mu.Unlock()
		}
		if sleep(d.t.Context(), pause) != nil {
			return
		}
	}
}

// kill kills one worker after another, at random moments.
func (d *day) kill(done <-chan struct{}) {
	for range d.kills {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(d.draw(int(gap)))):
		}
		for i := d.draw(workers); !d.fleet.kill(i) && !closed(done); i = (i + 1) % workers {
			_ = sleep(d.t.Context(), 10*time.Millisecond) // it is being replaced
		}
	}
}

// operate cancels tasks and replays dead letters until everything is done.
func (d *day) operate(done <-chan struct{}) {
	for !closed(done) {
		d.cancelOne()
		messages, err := receive(d.t.Context(), d.stack.sqs, d.stack.Dead, 10*time.Minute)
		if err != nil {
			d.t.Errorf("receive dead letters: %v", err)
			return
		}
		for _, m := range messages {
			d.operateOn(m)
		}
	}
}

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// cancelOne cancels a random task, most often a young one.
func (d *day) cancelOne() {
	d.mu.Lock()
	if len(d.ids) == 0 || len(d.canceled) >= d.most/10 {
		d.mu.Unlock()
		return
	}
	id := d.ids[len(d.ids)-1-d.rnd.IntN(min(len(d.ids), 10))]
	d.mu.Unlock()
	d.tell(tasktabletest.Fact{What: tasktabletest.CancelAsked, ID: id})
	_, err := d.table.Cancel(d.t.Context(), "tenant", id)
	switch {
	case err == nil:
		d.tell(tasktabletest.Fact{What: tasktabletest.CancelTaken, ID: id})
		d.mu.Lock()
		d.canceled[id] = true
		d.mu.Unlock()
	case !errors.Is(err, tasktable.ErrFinished):
		d.t.Errorf("cancel: %v", err)
	}
}

// operateOn replays the task of a dead letter, once for each task, or leaves
// the letter where it is. Every other replay leaves its write to the worker,
// as SQS's own redrive does.
func (d *day) operateOn(m types.Message) {
	msg, err := workqueue.Decode(*m.Body, m.MessageAttributes)
	if err != nil {
		d.t.Errorf("a dead letter is not readable: %v", err)
		return
	}
	d.tell(tasktabletest.Fact{What: tasktabletest.Letter, ID: msg.TaskID, Run: msg.Run})
	d.mu.Lock()
	l := letter{id: msg.TaskID, run: msg.Run}
	replay := !d.replayed[l.id] && !slices.Contains(d.poison, l.id) && d.rnd.IntN(3) > 0
	l.gone = replay
	d.letters[*m.MessageId] = l
	if replay {
		d.replayed[l.id] = true
	}
	d.mu.Unlock()
	if !replay {
		return
	}
	d.tell(tasktabletest.Fact{What: tasktabletest.ReplayAsked, ID: msg.TaskID, Run: msg.Run})
	if d.draw(2) == 0 {
		if _, err := d.table.Replay(d.t.Context(), msg.TaskID, msg.Run); err != nil {
			d.t.Errorf("replay: %v", err)
		}
	}
	msg.ReplayedAt = time.Now()
	out, err := workqueue.Encode(msg)
	if err == nil {
		err = d.tasks.Send(d.t.Context(), out)
	}
	if err == nil {
		_, err = d.stack.sqs.DeleteMessage(d.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &d.stack.Dead, ReceiptHandle: m.ReceiptHandle})
	}
	if err != nil {
		d.t.Errorf("redrive: %v", err)
	}
}

// observe reads every task again and again; those that have ended for good now
// and then, to see that they stay as they are.
func (d *day) observe(done <-chan struct{}) {
	for sweep := 0; !closed(done); sweep++ {
		d.mu.Lock()
		ids := slices.Clone(d.ids)
		d.mu.Unlock()
		for _, id := range ids {
			if r := d.row(id); sweep%10 > 0 && r != nil && r.Status.Final() {
				continue
			}
			if err := d.look(id); err != nil {
				d.t.Errorf("observe: %v", err)
				return
			}
		}
		_ = sleep(d.t.Context(), 50*time.Millisecond)
	}
}

func (d *day) row(id string) *tasktable.Row {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rows[id]
}

// look reads a row and tells of it. Only one caller at a time may do it, so
// that rows are told in the order in which they were read.
func (d *day) look(id string) error {
	r, err := d.table.GetConsistent(d.t.Context(), id)
	if err != nil {
		return err
	}
	d.tell(tasktabletest.Fact{What: tasktabletest.Stored, Row: r})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows[id] = r
	return nil
}

// await returns when all tasks have ended and no message is left, or when it
// has been waiting for too long: the model then says for what.
func (d *day) await() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	for !d.quiet() {
		if sleep(ctx, 200*time.Millisecond) != nil {
			d.t.Errorf("not everything is done after %s", patience)
			return
		}
	}
}

func (d *day) quiet() bool {
	d.mu.Lock()
	open := slices.ContainsFunc(d.ids, func(id string) bool { return d.rows[id] == nil || !d.rows[id].Status.Finished() })
	d.mu.Unlock()
	return !open && d.stack.held(d.t, d.stack.Tasks)+d.stack.held(d.t, d.stack.Backlog) == 0
}

// judge tells the model everything that happened.
func (d *day) judge() {
	d.t.Helper()
	for _, id := range d.ids { // as they are in the end
		if err := d.look(id); err != nil {
			d.t.Errorf("look at the end: %v", err)
		}
	}
	for { // the letters that nobody has looked at
		messages, err := receive(d.t.Context(), d.stack.sqs, d.stack.Dead, 10*time.Minute)
		if err != nil {
			d.t.Fatal(err)
		}
		if len(messages) == 0 {
			break
		}
		for _, m := range messages {
			msg, err := workqueue.Decode(*m.Body, m.MessageAttributes)
			if err != nil {
				d.t.Fatal(err)
			}
			d.tell(tasktabletest.Fact{What: tasktabletest.Letter, ID: msg.TaskID, Run: msg.Run})
			d.letters[*m.MessageId] = letter{id: msg.TaskID, run: msg.Run}
		}
	}
	facts := slices.Concat(d.facts, d.fleet.facts())
	tasktabletest.SortFacts(facts)
	history := tasktabletest.NewHistory(tasktabletest.HistoryOptions{MaxAttempts: maxAttempts})
	for _, f := range facts {
		history.Add(f)
	}
	left := map[string][]int{}
	for _, l := range d.letters {
		if !l.gone {
			left[l.id] = append(left[l.id], l.run)
		}
	}
	history.End(left)
	if err := history.Err(); err != nil {
		d.t.Error(err)
	}
	for _, id := range d.poison {
		// The first crash is not known to be its own, and a kill from outside
		// is taken for one of its own.
		if n := history.Began(id, 1); n > maxAttempts+1 || n == 0 && !d.canceled[id] {
			d.t.Errorf("a task that always crashes its worker began %d times:\n%s", n, history.Of(id))
		}
	}
}

// ends counts the tasks by how they ended.
func (d *day) ends() string {
	counts := map[task.Status]int{}
	for _, r := range d.rows {
		counts[r.Status]++
	}
	text := ""
	for _, s := range slices.Sorted(maps.Keys(counts)) {
		text += fmt.Sprintf(" %d %s", counts[s], s)
	}
	return text
}
