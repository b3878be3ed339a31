package tasktabletest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Event is a kind of [Fact].
type Event string

// What can happen to a task.
const (
	// Submitting: a row for the task may be written from now on.
	Submitting Event = "submitting"
	// Accepted: the submitter was told that the task will be worked on.
	Accepted Event = "accepted"
	// Charging: a worker is about to count an attempt that has not begun,
	// under the claim with this Fence. A history of every write does without.
	Charging Event = "charging"
	// Began: a handler was called, for this Run and Attempt.
	Began Event = "began"
	// Ended: the handler returned; with a Result if it succeeded.
	Ended Event = "ended"
	// Yielded: the handler is about to return [task.ErrYield], and its latest
	// checkpoint is another one than it began with.
	Yielded Event = "yielded"
	// Stored: this Row is in the table.
	Stored Event = "stored"
	// Letter: a dead letter that carries this Run is in the dead-letter queue.
	Letter Event = "letter"
	// CancelAsked and CancelTaken: before and after a cancel that was no error.
	CancelAsked Event = "cancel asked"
	CancelTaken Event = "cancel taken"
	// ReplayAsked: an operator replays the task as this Run, for this Plan if
	// it is one's.
	ReplayAsked Event = "replay asked"
	// WorkerLost: the process By was killed. It breaks no promise; it is for
	// whoever reads the history.
	WorkerLost Event = "worker lost"
)

// Fact is something that happened, as one observer saw it. Encoded as JSON it
// is a line of a log, so that several processes can tell one [History].
type Fact struct {
	At      time.Time       `json:"at"`
	What    Event           `json:"what"`
	ID      string          `json:"id,omitempty"` // of the task; WorkerLost has none
	By      string          `json:"by,omitempty"` // the worker; with every write, a name for each of its invocations
	Run     int             `json:"run,omitempty"`
	Attempt int             `json:"attempt,omitempty"`
	Fence   int64           `json:"fence,omitempty"`
	Key     string          `json:"key,omitempty"`  // idempotency key of an Accepted
	Plan    string          `json:"plan,omitempty"` // that a ReplayAsked belongs to
	Result  json.RawMessage `json:"result,omitempty"`
	Row     *tasktable.Row  `json:"row,omitempty"`
	Note    string          `json:"note,omitempty"`
}

// Promise is one sentence of the task protocol.
type Promise string

// The promises that a [History] checks.
const (
	FinalStays       Promise = "succeeded, canceled and expired never change"
	LegalTransition  Promise = "a state changes only as its diagram allows"
	NothingFalls     Promise = "fence, settled, run and replays never fall, and settled never passes fence"
	FencedWrite      Promise = "only the holder of the fence changes a row, once"
	LeaseHolds       Promise = "nobody takes a task while somebody else's lease on it holds"
	BeginsLeased     Promise = "a handler begins only under a lease in force, before the deadline, once for each claim"
	BeginsInItsRun   Promise = "no handler of a run begins after the run has ended"
	MaximumHolds     Promise = "attempts never exceed the maximum"
	BegunIsCharged   Promise = "an attempt is counted if and only if its handler began and did not yield with a newer checkpoint, or was about to begin when its worker vanished"
	VanishedIsMarked Promise = "a task whose worker vanished stays marked, and begins only once its attempt is counted"
	OneResult        Promise = "a run has one result, and a handler of that run returned it"
	LetterFirst      Promise = "a dead-lettered task has a dead letter with a newer run"
	CancelHolds      Promise = "a task becomes canceled only when asked, and once asked neither fails nor is dead-lettered"
	ExpiryIsDue      Promise = "a task expires only after its deadline"
	RunIsAsked       Promise = "a run is raised only by a replay or a dead letter"
	OncePerPlan      Promise = "a plan replays a task at most once in each run"
	PlanNamed        Promise = "a row names the plan that asked for its run, for as long as the run lasts"
	AttemptsTold     Promise = "a row tells the failed attempts of its run, each once and the latest ten"
	FailuresListed   Promise = "only what has failed is listed as a failure"
	KnownTask        Promise = "every row was submitted, and every key stands for one task"
	NothingLost      Promise = "an accepted task has ended, or a message stands for it"
)

// BrokenError is a promise that was not kept.
type BrokenError struct {
	Promise Promise
	TaskID  string
	Detail  string
	Facts   []Fact // everything known about the task until then
}

func (e *BrokenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "broken: %s\ntask %s: %s\n", e.Promise, e.TaskID, e.Detail)
	b.WriteString(lines(e.Facts))
	return b.String()
}

// lines are facts, one a line.
func lines(facts []Fact) string {
	var b strings.Builder
	for i := range facts {
		b.WriteString("  " + facts[i].since(facts[0].At) + "\n")
	}
	return b.String()
}

// since is the fact as one line, with the time passed since start.
func (f *Fact) since(start time.Time) string {
	parts := []string{fmt.Sprintf("%+10.3fs %-12s", f.At.Sub(start).Seconds(), f.What)}
	add := func(name string, value any) { parts = append(parts, fmt.Sprintf("%s=%v", name, value)) }
	if f.By != "" {
		add("by", f.By)
	}
	if f.Run > 0 {
		add("run", f.Run)
	}
	if f.Attempt > 0 {
		add("attempt", f.Attempt)
	}
	if f.Fence > 0 {
		add("fence", f.Fence)
	}
	if f.Plan != "" {
		add("plan", f.Plan)
	}
	if f.Result != nil {
		add("result", string(f.Result[:min(len(f.Result), 40)]))
	}
	if f.Row != nil {
		parts = append(parts, describe(f.Row, start))
	}
	if f.Note != "" {
		parts = append(parts, f.Note)
	}
	return strings.Join(parts, " ")
}

func describe(r *tasktable.Row, start time.Time) string {
	claimable := "never"
	if r.ClaimableAt != tasktable.Never {
		claimable = fmt.Sprintf("%+.3fs", time.UnixMilli(r.ClaimableAt).Sub(start).Seconds())
	}
	if r.ClaimableAt == 0 {
		claimable = "now"
	}
	s := fmt.Sprintf("%s run=%d fence=%d settled=%d attempts=%d claimable=%s", r.Status, r.Run, r.Fence, r.Settled, r.Attempts, claimable)
	if r.CancelRequested {
		s += " cancel_requested"
	}
	if r.Error != nil {
		s += " error=" + r.Error.Code
	}
	if r.PlanID != "" {
		s += " plan=" + r.PlanID
	}
	if r.Fingerprint != "" {
		s += " listed=" + r.Fingerprint
	}
	return s
}

// HistoryOptions says what a [History] can rely on.
type HistoryOptions struct {
	// MaxAttempts is that of the workers.
	MaxAttempts int

	// EveryWrite says that each single write of a row is told, in order, as
	// [DynamoDB.Watch] does. Each is then checked against the one before, and
	// attempts are accounted for exactly. Without it rows are samples: they
	// come in order, but there may have been others in between.
	EveryWrite bool
}

// History is the task protocol (docs/protocol.md) as a judge. It is told what
// happened, in order, and knows which promises that breaks. It does not know
// how workers work, so it serves tests in memory, of processes that are
// killed, and of a deployed stack alike. It is safe for concurrent use.
type History struct {
	opts HistoryOptions

	mu    sync.Mutex // guards all below
	tasks map[string]*biography
	keys  map[string]string // the task of each idempotency key
	errs  []*BrokenError
}

// NewHistory returns a history in which nothing has happened.
func NewHistory(opts HistoryOptions) *History {
	return &History{opts: opts, tasks: map[string]*biography{}, keys: map[string]string{}}
}

// biography is what is known about one task.
type biography struct {
	id        string
	facts     []Fact
	submitted bool
	accepted  bool
	row       *tasktable.Row // the latest
	runs      map[int]*run
	claim     claim
	letter    int // highest run of a dead letter
	replay    int // highest run that a replay was asked for
	planned   map[planned]bool
	replayed  map[planned]bool // runs that were begun by their plan

	cancelAsked, cancelTaken bool
}

// run is what is known about one run of a task.
type run struct {
	begun   int
	charges []charge // told as Charging
	results []string
}

// charge is an attempt that was counted before it began, as far as is known.
type charge struct {
	by    string
	fence int64
	void  bool // it began, or was taken back
}

// claim is the current one; with every write only.
type claim struct {
	base    int    // attempts before it
	state   string // checkpoint before it
	charged bool
	begun   bool
	yielded bool   // says its handler
	by      string // the worker under which it began
	result  string // that this worker's handler returned
}

func (b *biography) run(n int) *run {
	r := b.runs[n]
	if r == nil {
		r = &run{}
		b.runs[n] = r
	}
	return r
}

// Add tells a fact. One without a time happens now. Facts have to be told in
// their order; [SortFacts] brings those of several logs into one.
func (h *History) Add(f Fact) {
	if f.At.IsZero() {
		f.At = time.Now()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.Row != nil {
		f.ID = f.Row.ID
	}
	if f.What == WorkerLost { // whichever tasks it had
		for _, b := range h.tasks {
			if !b.over() {
				b.facts = append(b.facts, f)
			}
		}
		return
	}
	b := h.task(f.ID)
	b.facts = append(b.facts, f)
	switch f.What {
	case Submitting:
		b.submitted = true
	case Accepted:
		b.submitted, b.accepted = true, true
		h.accept(b, f)
	case Charging:
		r := b.run(f.Run)
		r.charges = append(r.charges, charge{by: f.By, fence: f.Fence})
	case Began:
		h.began(b, f)
	case Ended:
		if f.Result != nil {
			r := b.run(f.Run)
			r.results = append(r.results, string(f.Result))
			if f.By == b.claim.by {
				b.claim.result = string(f.Result)
			}
		}
	case Yielded:
		b.claim.yielded = b.claim.yielded || f.By == b.claim.by
	case Stored:
		h.stored(b, f)
	case Letter:
		b.letter = max(b.letter, f.Run)
	case CancelAsked:
		b.cancelAsked = true
	case CancelTaken:
		b.cancelTaken = true
	case ReplayAsked:
		b.replay = max(b.replay, f.Run)
		if f.Plan != "" {
			b.planned[planned{f.Plan, f.Run}] = true
		}
	default:
		panic("tasktabletest: no such event: " + string(f.What))
	}
}

// SortFacts brings facts from several observers into the order in which they
// happened, as far as one clock tells.
func SortFacts(facts []Fact) {
	slices.SortStableFunc(facts, func(a, b Fact) int { return a.At.Compare(b.At) })
}

// Messages tells how many messages there are for each task at this moment, in
// any queue and visible or not. A task that was accepted and has not ended has
// at least one at every moment.
func (h *History) Messages(counts map[string]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.tasks {
		if b.accepted && !b.over() && counts[b.id] == 0 {
			h.broken(b, NothingLost, "no message is left for it")
		}
	}
}

// over reports whether no worker is needed any more. A task past its deadline
// is not: it reads as expired, and whoever looks first writes that.
func (b *biography) over() bool {
	return b.row != nil && (b.row.Status.Finished() || deferred(b.row) || b.row.Deadline <= time.Now().UnixMilli())
}

// End tells that nothing will happen any more, and the runs of the dead
// letters that are left for each task.
func (h *History) End(letters map[string][]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.tasks {
		h.end(b, letters[b.id])
	}
}

// Err returns everything that was broken so far, each with the history of its
// task; nil if nothing was. Errors in it are [*BrokenError].
func (h *History) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	errs := make([]error, len(h.errs))
	for i, v := range h.errs {
		errs[i] = v
	}
	return errors.Join(errs...)
}

// Began returns how many handlers began for a run of a task.
func (h *History) Began(id string, run int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.task(id).run(run).begun
}

// Of returns everything that is known about a task, for a person to read.
func (h *History) Of(id string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return lines(h.task(id).facts)
}

// Tasks returns the ids of the tasks that were accepted, sorted.
func (h *History) Tasks() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var ids []string
	for id, b := range h.tasks {
		if b.accepted {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// goesOn reports whether a row that ends the claim counts no attempt because
// the handler yielded with a newer checkpoint. One that was given up before it
// yielded is counted.
func (c *claim) goesOn(row *tasktable.Row) bool {
	ended := row.Status == task.Queued || row.Status == task.Canceled
	return c.yielded && ended && string(row.State) != c.state && row.Attempts == c.base
}

// task returns what is known about a task. mu must be held.
func (h *History) task(id string) *biography {
	b := h.tasks[id]
	if b == nil {
		b = &biography{id: id, runs: map[int]*run{}, planned: map[planned]bool{}, replayed: map[planned]bool{}}
		h.tasks[id] = b
	}
	return b
}

// broken notes a violation; once for each promise and task, since what follows
// from it would only repeat it. mu must be held.
func (h *History) broken(b *biography, p Promise, format string, args ...any) {
	for _, v := range h.errs {
		if v.TaskID == b.id && v.Promise == p {
			return
		}
	}
	h.errs = append(h.errs, &BrokenError{
		Promise: p, TaskID: b.id, Detail: fmt.Sprintf(format, args...), Facts: slices.Clone(b.facts),
	})
}

func (h *History) accept(b *biography, f Fact) {
	if f.Key == "" {
		return
	}
	if first := cmp.Or(h.keys[f.Key], b.id); first != b.id {
		h.broken(b, KnownTask, "its key %q was answered with task %s before", f.Key, first)
	}
	h.keys[f.Key] = b.id
}
