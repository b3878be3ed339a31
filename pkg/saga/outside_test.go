package saga_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/saga"
)

// limit is how long an invocation may take.
const limit = 10 * time.Second

// parcels is a service outside of DynamoDB: it takes a parcel, once for each
// idempotency key, and gives it back.
type parcels struct {
	*shop
	mu            sync.Mutex
	there         map[string]bool
	takes         time.Duration // until it has taken one
	undoes        time.Duration // until it has given one back
	err           error
	unsure        atomic.Int32 // compensations that did not know whether it was done
	send, recall  saga.Handler
	whileRecalled func()
}

func newParcels() *parcels {
	p := &parcels{shop: newShop(), there: map[string]bool{}}
	p.send = saga.Action(p.ledger, func(ctx context.Context, c saga.Call[tea]) (saga.Effect[receipt], error) {
		if err := pass(ctx, p.takes); err != nil {
			return saga.Effect[receipt]{}, err // Lambda has ended the invocation
		}
		if p.err != nil {
			return saga.Effect[receipt]{}, p.err
		}
		p.change(c.Key+c.Step, true)
		return saga.Effect[receipt]{Result: receipt{"R-" + c.Key}}, nil
	}, saga.Outside())
	p.recall = saga.Compensation(p.ledger, func(ctx context.Context, u saga.Undo[tea, receipt]) ([]saga.Write, error) {
		if u.Result == nil {
			p.unsure.Add(1)
		}
		if err := pass(ctx, p.undoes); err != nil {
			return nil, err
		}
		p.change(u.Key+u.Action, false)
		if p.whileRecalled != nil {
			p.whileRecalled()
		}
		return nil, nil
	})
	return p
}

func (p *parcels) change(key string, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.there[key] = there
}

// sent says whether the parcel is there.
func (p *parcels) sent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.there["t-1"+sell]
}

func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return ctx.Err()
	}
}

// call makes an invocation, which ends at its limit.
func call(ctx context.Context, h saga.Handler, payload json.RawMessage) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := h(ctx, payload)
	return string(out), err
}

func (p *parcels) outcome(t *testing.T, there bool, record string) {
	t.Helper()
	if got := p.book("t-1").record; got != record || p.sent() != there {
		t.Errorf("sent %t, recorded as %q, want %t and %q", p.sent(), got, there, record)
	}
}

func TestOutside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParcels()
		for range 2 {
			if out, err := call(t.Context(), p.send, selling("mint")); out != answerOfSale || err != nil {
				t.Errorf("answer %s, %v", out, err)
			}
		}
		p.costs(t, 0, 3) // the beginning and the end, and then only a look
		p.outcome(t, true, "done")
		if out, err := call(t.Context(), p.recall, takingBack); out != `{}` || err != nil {
			t.Errorf("answer %s, %v", out, err)
		}
		p.outcome(t, false, "undone")
		if p.unsure.Load() > 0 {
			t.Error("a compensation does not know what was done")
		}
		_, err := call(t.Context(), p.send, selling("mint"))
		failure(t, err, saga.CodeCompensated)
		p.outcome(t, false, "undone")
	})
}

// A compensation waits until the action cannot be at it any more.
func TestOutsideMayBeAtIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParcels()
		p.takes = time.Hour // it hangs
		began := time.Now()
		if _, err := call(t.Context(), p.send, selling("mint")); err == nil {
			t.Fatal("what hangs is no error")
		}
		p.outcome(t, false, "started")
		// Another attempt has a time of its own.
		time.Sleep(5 * time.Second)
		go func() { _, _ = call(context.Background(), p.send, selling("mint")) }() // ends with its time
		synctest.Wait()
		until := began.Add(limit + 5*time.Second + limit)
		for range 3 {
			_, err := call(t.Context(), p.recall, takingBack)
			if m := failure(t, err, "step_failed"); m != "Sell may still be at it, until "+until.UTC().Format(time.RFC3339) {
				t.Error(m)
			}
			p.outcome(t, false, "started")
			time.Sleep(3 * time.Second)
		}
		time.Sleep(time.Until(until))
		if _, err := call(t.Context(), p.recall, takingBack); err != nil || p.unsure.Load() != 1 {
			t.Errorf("error %v, %d compensations that do not know", err, p.unsure.Load())
		}
		p.outcome(t, false, "undone")
	})
}

// Without a deadline it may take as long as Lambda lets any function run.
func TestOutsideWithoutDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParcels()
		p.err = errors.New("no answer")
		refuses(t, p.send, selling("mint"), "step_failed")
		time.Sleep(15*time.Minute - time.Millisecond)
		refuses(t, p.recall, takingBack, "step_failed")
		time.Sleep(time.Millisecond)
		answers(t, p.recall, takingBack, `{}`)
	})
}

// What is refused was not done; a compensation need not know.
func TestOutsideRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParcels()
		p.err = saga.Business("no_such_address", errors.New("nobody lives there"))
		for range 2 {
			_, err := call(t.Context(), p.send, selling("mint"))
			failure(t, err, "no_such_address")
			time.Sleep(time.Second)
		}
		p.outcome(t, false, "refused")
		p.err = nil
		_, err := call(t.Context(), p.send, selling("mint"))
		failure(t, err, "no_such_address")
		answers(t, p.recall, takingBack, `{}`)
		p.outcome(t, false, "refused")
	})
}

// What one attempt refuses another one may do yet, so it is not sure that
// nothing was done.
func TestOutsideRefusedWhileAnotherIsAtIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParcels()
		p.takes = 5 * time.Second
		began, done := time.Now(), make(chan error)
		go func() {
			_, err := call(context.Background(), p.send, selling("mint"))
			done <- err
		}()
		time.Sleep(time.Second)
		other := saga.Action(p.ledger, func(context.Context, saga.Call[tea]) (saga.Effect[receipt], error) {
			return saga.Effect[receipt]{}, saga.Business("no_such_address", errors.New("nobody lives there"))
		}, saga.Outside())
		_, err := call(t.Context(), other, selling("mint"))
		if m := failure(t, err, "step_failed"); m != "another attempt may be at it, until "+began.Add(limit).UTC().Format(time.RFC3339)+": nobody lives there" {
			t.Error(m)
		}
		if err := <-done; err == nil {
			t.Error("the attempt that is not the last one is recorded")
		}
		p.outcome(t, true, "started")
		time.Sleep(2 * limit)
		answers(t, p.recall, takingBack, `{}`)
		p.outcome(t, false, "undone")
	})
}

// A write that is refused after the effect outside does not say that nothing
// was done.
func TestOutsideWriteRefused(t *testing.T) {
	t.Parallel()
	s := newShop(saga.Outside())
	s.put(stockOf(0))
	if m := refuses(t, s.sell, selling("mint"), "step_failed"); m != "a write is refused after the effect outside: no tea is left" {
		t.Error(m)
	}
	s.has(t, book{0, false, "started"})
}

// An action whose effect could not be recorded is made again, with the same
// key.
func TestOutsideCrashes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		n      int // the transaction that crashes
		after  bool
		there  bool
		record string
	}{
		"before it has begun":  {1, false, false, ""},
		"when it has begun":    {1, true, false, "started"},
		"before it is written": {2, false, true, "started"},
		"when it is written":   {2, true, true, "done"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newParcels()
				p.db.Inject(func(c archivetest.Call) archivetest.Fault {
					if c.Operation == "TransactWriteItems" && c.N == tt.n {
						return archivetest.Fault{Err: errCrash, AfterEffect: tt.after}
					}
					return archivetest.Fault{}
				})
				_, err := call(t.Context(), p.send, selling("mint"))
				failure(t, err, "step_failed")
				p.outcome(t, tt.there, tt.record)
				p.db.Inject(nil)
				time.Sleep(time.Second)
				if out, err := call(t.Context(), p.send, selling("mint")); out != answerOfSale || err != nil {
					t.Errorf("made again: %s, %v", out, err)
				}
				p.outcome(t, true, "done")
			})
		})
	}
}

// Of two attempts that overlap one is recorded, and a compensation waits for
// both.
func TestOutsideAttemptsOverlap(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		first, second time.Duration // how long they take
	}{"the first ends first": {4 * time.Second, 4 * time.Second}, "the second ends first": {8 * time.Second, time.Second}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newParcels()
				began := time.Now()
				first, second := make(chan error), make(chan error)
				send := func(done chan error) {
					_, err := call(context.Background(), p.send, selling("mint"))
					done <- err
				}
				p.takes = tt.first
				go send(first)
				synctest.Wait()
				_, err := call(t.Context(), p.send, selling("mint")) // at the same time
				if m := failure(t, err, "step_failed"); m != "another attempt may be at it, until "+began.Add(limit).UTC().Format(time.RFC3339) {
					t.Error(m)
				}
				time.Sleep(2 * time.Second)
				p.takes = tt.second
				go send(second)
				var errs [2]error
				for range errs {
					select {
					case errs[0] = <-first:
						// The second may be at it yet.
					case errs[1] = <-second:
						_, err := call(t.Context(), p.recall, takingBack)
						failure(t, err, "step_failed")
					}
				}
				if errs[1] != nil {
					t.Errorf("the last one is %v", errs[1])
				}
				if early := tt.first < tt.second+2*time.Second; early {
					failure(t, errs[0], "step_failed")
				} else if errs[0] != nil { // it answers what the other one has recorded
					t.Error(errs[0])
				}
				p.outcome(t, true, "done")
				time.Sleep(time.Until(began.Add(limit)))
				answers(t, p.recall, takingBack, `{}`)
				p.outcome(t, false, "undone")
			})
		})
	}
}

// An action that begins while its compensation is at work, once its first
// attempt is over: the compensation must not close the record over it.
func TestOutsideBeginsDuringCompensation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParcels()
		p.takes = time.Hour
		_, _ = call(t.Context(), p.send, selling("mint")) // hangs
		p.takes = 2 * time.Second
		p.whileRecalled = func() {
			p.whileRecalled = nil
			go func() { _, _ = call(context.Background(), p.send, selling("mint")) }() // of which only the effect counts
			synctest.Wait()
		}
		_, err := call(t.Context(), p.recall, takingBack)
		failure(t, err, "step_failed")
		time.Sleep(limit)
		p.outcome(t, true, "done")
		if _, err := call(t.Context(), p.recall, takingBack); err != nil {
			t.Error(err)
		}
		p.outcome(t, false, "undone")
	})
}

// Whatever actions and compensations of one step overlap, however long they
// take, and whatever crashes: after a compensation that succeeds at last, there
// is no effect, and there will be none.
func TestOutsideOverlaps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) { rapid.SyncTest(rt, overlap) })
}

func overlap(t *rapid.T) {
	p := newParcels()
	seconds := func(most int, what string) time.Duration {
		return time.Duration(rapid.IntRange(0, most*4).Draw(t, what)) * time.Second / 4
	}
	p.takes, p.undoes = seconds(12, "takes"), seconds(12, "undoes")
	crash := rapid.SliceOfN(rapid.IntRange(0, 9), 40, 40).Draw(t, "crashes")
	var n atomic.Int32
	var compensated atomic.Bool
	p.db.Inject(func(archivetest.Call) archivetest.Fault {
		i := int(n.Add(1)) - 1
		if i >= len(crash) || crash[i] > 1 {
			return archivetest.Fault{}
		}
		return archivetest.Fault{Err: errCrash, AfterEffect: crash[i] == 1}
	})
	ended := make(chan struct{})
	calls := rapid.IntRange(1, 6).Draw(t, "calls")
	for range calls {
		start, action := seconds(40, "start"), rapid.Bool().Draw(t, "action")
		go func() {
			defer func() { ended <- struct{}{} }()
			time.Sleep(start)
			if action {
				late := compensated.Load()
				if out, err := call(context.Background(), p.send, selling("mint")); err == nil && (out != answerOfSale || late) {
					t.Errorf("answer %s, after the compensation: %t", out, late)
				}
				return
			}
			if _, err := call(context.Background(), p.recall, takingBack); err == nil {
				compensated.Store(true)
			}
		}()
	}
	for range calls {
		<-ended
	}
	p.db.Inject(nil)
	if p.takes, p.undoes = 0, 0; compensated.Load() && (p.sent() || p.book("t-1").record != "undone") {
		t.Errorf("compensated, and yet: sent %t, %+v", p.sent(), p.book("t-1"))
	}
	time.Sleep(limit)
	if _, err := call(context.Background(), p.recall, takingBack); err != nil {
		t.Fatal(err)
	}
	if _, err := call(context.Background(), p.send, selling("mint")); err == nil || p.sent() {
		t.Errorf("sent after the compensation: %v", err)
	}
}
