package saga_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/saga"
)

func TestCompensation(t *testing.T) {
	t.Parallel()
	s := newShop()
	answers(t, s.sell, selling("mint"), answerOfSale)
	s.costs(t, 0, 1)
	answers(t, s.takeBack, takingBack, `{}`)
	s.costs(t, 1, 1)
	s.has(t, returned)
	for range 2 {
		answers(t, s.takeBack, takingBack, `{}`)
		s.costs(t, 1, 0)
	}
	s.has(t, returned)
	if n := s.back.Load(); n != 1 {
		t.Errorf("given back %d times", n)
	}
}

// An action that comes after its compensation does nothing, whether it had been
// done or not.
func TestActionAfterCompensation(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"was done": true, "was never done": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			if before {
				answers(t, s.sell, selling("mint"), answerOfSale)
			}
			answers(t, s.takeBack, takingBack, `{}`)
			if called := s.back.Load() > 0; called != before {
				t.Errorf("the function is called: %t", called)
			}
			for _, of := range []string{"mint", "looks", "nettle"} {
				if m := refuses(t, s.sell, selling(of), saga.CodeCompensated); m != saga.ErrCompensated.Error() {
					t.Error(m)
				}
			}
			s.put(stockOf(0)) // the record goes before the stock
			refuses(t, s.sell, selling("mint"), saga.CodeCompensated)
			s.put(stockOf(full))
			s.has(t, returned)
		})
	}
}

// A compensation that crashes is made again, and gives back once.
func TestCompensationCrashes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sold  bool
		fault archivetest.Fault
		after book
	}{
		"before, done":       {true, archivetest.Fault{Err: errCrash}, sold},
		"after, done":        {true, archivetest.Fault{Err: errCrash, AfterEffect: true}, returned},
		"before, never done": {false, archivetest.Fault{Err: errCrash}, untouched},
		"after, never done":  {false, archivetest.Fault{Err: errCrash, AfterEffect: true}, returned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			if tt.sold {
				answers(t, s.sell, selling("mint"), answerOfSale)
				s.db.ResetCalls()
			}
			s.db.Inject(transactions(1, tt.fault))
			refuses(t, s.takeBack, takingBack, "step_failed")
			s.has(t, tt.after)
			answers(t, s.takeBack, takingBack, `{}`)
			s.has(t, returned)
		})
	}
	t.Run("at the look", func(t *testing.T) {
		t.Parallel()
		s := newShop()
		s.db.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: errCrash} })
		if m := refuses(t, s.takeBack, takingBack, "step_failed"); m != "read the record of Sell: no answer" {
			t.Error(m)
		}
	})
}

func TestCompensationRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		answers(t, s.sell, selling("mint"), answerOfSale)
		s.db.ResetCalls()
		s.db.Inject(transactions(5, archivetest.Fault{Err: canceled("None", "TransactionConflict", "None")}))
		answers(t, s.takeBack, takingBack, `{}`)
		s.costs(t, 1, 6)
		s.has(t, returned)
	})
}

// The action is done between the compensation's look and its write.
func TestCompensationMeetsAction(t *testing.T) {
	t.Parallel()
	s := newShop()
	s.db.Inject(func(c archivetest.Call) archivetest.Fault {
		if c.Operation == "TransactWriteItems" && c.N == 1 {
			answers(t, s.sell, selling("mint"), answerOfSale)
		}
		return archivetest.Fault{}
	})
	answers(t, s.takeBack, takingBack, `{}`)
	s.costs(t, 1, 3) // the answer of the failed condition says what is there
	s.has(t, returned)
}

// Two at once give back once.
func TestCompensationMeetsItself(t *testing.T) {
	t.Parallel()
	s := newShop()
	answers(t, s.sell, selling("mint"), answerOfSale)
	s.db.ResetCalls()
	s.db.Inject(func(c archivetest.Call) archivetest.Fault {
		if c.Operation == "TransactWriteItems" && c.N == 1 {
			answers(t, s.takeBack, takingBack, `{}`)
		}
		return archivetest.Fault{}
	})
	answers(t, s.takeBack, takingBack, `{}`)
	s.has(t, returned)
}

// What a compensation cannot undo stays done, and is an error.
func TestCompensationFails(t *testing.T) {
	t.Parallel()
	t.Run("a condition", func(t *testing.T) {
		t.Parallel()
		s := newShop()
		answers(t, s.sell, selling("mint"), answerOfSale)
		s.db.Remove("order", "t-1")
		refuses(t, s.takeBack, takingBack, "step_failed")
		s.has(t, book{full - 1, false, "done"})
		s.put(orderKey("t-1"))
		answers(t, s.takeBack, takingBack, `{}`)
		s.has(t, returned)
	})
	t.Run("the function", func(t *testing.T) {
		t.Parallel()
		s := newShop()
		answers(t, s.sell, selling("mint"), answerOfSale)
		h := saga.Compensation(s.ledger, func(context.Context, saga.Undo[tea, receipt]) ([]saga.Write, error) {
			return nil, errors.New("the till is closed")
		})
		if m := refuses(t, h, takingBack, "step_failed"); m != "the till is closed" {
			t.Error(m)
		}
		h = saga.Compensation(s.ledger, func(context.Context, saga.Undo[tea, receipt]) ([]saga.Write, error) { panic("the till") })
		refuses(t, h, takingBack, "panic")
		s.has(t, sold)
	})
	t.Run("another result", func(t *testing.T) {
		t.Parallel()
		s := newShop()
		answers(t, s.sell, selling("mint"), answerOfSale)
		h := saga.Compensation(s.ledger, func(context.Context, saga.Undo[tea, int]) ([]saga.Write, error) { return nil, nil })
		if m := refuses(t, h, takingBack, "step_failed"); !strings.HasPrefix(m, "the recorded result of Sell: ") {
			t.Error(m)
		}
		s.has(t, sold)
	})
	t.Run("a state of a later version", func(t *testing.T) {
		t.Parallel()
		s := newShop()
		s.put(archivetest.Item{"pk": text("saga#t-1"), "sk": text(sell), "state": text("held")})
		if m := refuses(t, s.takeBack, takingBack, "step_failed"); m != `Sell is recorded as 'held', which this version does not know` {
			t.Error(m)
		}
		if m := refuses(t, s.sell, selling("mint"), "step_failed"); m != "the step is held" {
			t.Error(m)
		}
	})
	t.Run("a record that never rests", func(t *testing.T) {
		t.Parallel()
		s := newShop()
		n := 0
		s.db.Inject(func(c archivetest.Call) archivetest.Fault {
			if c.Operation != "TransactWriteItems" {
				return archivetest.Fault{}
			}
			if n++; n%2 == 0 { // which no handler does
				s.db.Remove("saga#t-1", sell)
			} else {
				s.put(archivetest.Item{"pk": text("saga#t-1"), "sk": text(sell), "state": text("done"), "result": text(answerOfSale)})
			}
			return archivetest.Fault{}
		})
		if m := refuses(t, s.takeBack, takingBack, "step_failed"); m != "the record changes all the time" || n != 4 {
			t.Errorf("%s, after %d tries", m, n)
		}
	})
}

// A saga that is replayed is another one.
func TestCompensationOfAnotherRun(t *testing.T) {
	t.Parallel()
	s := newShop()
	answers(t, s.takeBack, takingBack, `{}`)
	second := strings.NewReplacer(`"run":1`, `"run":2`, `"t-1"`, `"t-2"`).Replace(string(selling("mint")))
	answers(t, s.sell, []byte(second), `{"number":"R-t-2"}`)
	s.has(t, book{full - 1, false, "undone"})
	if got := s.book("t-2"); got != sold {
		t.Errorf("the second run has %+v", got)
	}
}
