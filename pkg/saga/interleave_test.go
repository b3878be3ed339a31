package saga_test

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

// Actions and compensations of one step come in any order, each at any of the
// others' calls, and any call may crash before or after its effect. Nothing is
// lost or sold twice, the order is there when the record says so, and after a
// compensation that succeeded there is none for ever.
func TestInterleavings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { interleave(t, rapid.IntRange(0, 1).Draw(t, "finally compensated") == 1) })
}

func interleave(t *rapid.T, finally bool) {
	s := newShop()
	s.put(stockOf(1)) // so that the step's own sale makes it sold out
	left := rapid.IntRange(1, 12).Draw(t, "steps")
	compensated := false
	var one func()
	s.db.Inject(func(archivetest.Call) archivetest.Fault {
		for left > 0 && rapid.IntRange(0, 2).Draw(t, "another in between") == 0 {
			one()
		}
		switch rapid.IntRange(0, 9).Draw(t, "call") {
		case 0:
			return archivetest.Fault{Err: errCrash}
		case 1:
			return archivetest.Fault{Err: errCrash, AfterEffect: true}
		default:
			return archivetest.Fault{}
		}
	})
	one = func() {
		left--
		if rapid.Bool().Draw(t, "compensation") {
			if _, err := s.takeBack(context.Background(), takingBack); err == nil {
				compensated = true
			}
		} else {
			of := rapid.SampledFrom([]string{"mint", "looks"}).Draw(t, "of")
			late := compensated
			if out, err := s.sell(context.Background(), selling(of)); err == nil && (late || string(out) != answerOfSale) {
				t.Errorf("answer %s, after the compensation: %t", out, late)
			}
		}
		s.consistent(t, 1)
		if b := s.book("t-1"); compensated && b != (book{1, false, "undone"}) {
			t.Errorf("compensated, and yet %+v", b)
		}
	}
	for left > 0 {
		one()
	}
	s.db.Inject(nil)
	if finally {
		if _, err := s.takeBack(context.Background(), takingBack); err != nil {
			t.Error(err)
		}
		if b := s.book("t-1"); b != (book{1, false, "undone"}) {
			t.Errorf("in the end there is %+v", b)
		}
		return
	}
	if _, err := s.sell(context.Background(), selling("mint")); (err == nil) == (s.book("t-1").record == "undone") {
		t.Errorf("sold in the end: %v, %+v", err, s.book("t-1"))
	}
	s.consistent(t, 1)
}

// consistent checks that stock and orders make up what there was, and that the
// record says what is there.
func (s *shop) consistent(t *rapid.T, all int) {
	b := s.book("t-1")
	orders := 0
	if b.ordered {
		orders = 1
	}
	if b.available+orders != all || b.ordered != (b.record == "done") {
		t.Errorf("the table has %+v of %d", b, all)
	}
}
