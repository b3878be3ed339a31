package saga_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

// Actions and compensations of one step come in any order, each at any of the
// others' calls, while another saga takes the last of the stock and gives it back,
// and any call may crash before or after its effect. Nothing is lost or sold
// twice, the order is there when the record says so, and after a compensation that
// succeeded, or a refusal, there is none for ever.
func TestInterleavings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { interleave(t, rapid.IntRange(0, 1).Draw(t, "finally compensated") == 1) })
}

func interleave(t *rapid.T, finally bool) {
	s := newShop()
	s.put(stockOf(1)) // so that the step's own sale makes it sold out
	left := rapid.IntRange(1, 12).Draw(t, "steps")
	compensated, refused, elsewhere := false, false, false
	var one func()
	s.db.Inject(func(c archivetest.Call) archivetest.Fault {
		if c.Operation == "PutItem" { // of the other saga
			return archivetest.Fault{}
		}
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
		switch rapid.IntRange(0, 2).Draw(t, "what") {
		case 0:
			if b := s.book("t-1"); elsewhere || b.available > 0 {
				elsewhere = !elsewhere
				s.stock(b.available, elsewhere)
			}
		case 1:
			if _, err := s.takeBack(context.Background(), takingBack); err == nil {
				compensated = true
			}
		default:
			of := rapid.SampledFrom([]string{"mint", "looks"}).Draw(t, "of")
			late := compensated || refused
			out, err := s.sell(context.Background(), selling(of))
			if err == nil && (late || string(out) != answerOfSale) {
				t.Errorf("answer %s, after the compensation or a refusal: %t", out, late)
			}
			if e, ok := errors.AsType[messages.InvokeResponse_Error](err); ok && e.Type == "sold_out" {
				refused = true
			}
		}
		s.consistent(t, 1, elsewhere)
		switch b := s.book("t-1"); {
		case compensated && b.record != "undone" && b.record != "refused":
			t.Errorf("compensated, and yet %+v", b)
		case refused && b.record != "refused":
			t.Errorf("refused, and yet %+v", b)
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
		if b := s.book("t-1"); b.ordered || b.record != "undone" && b.record != "refused" {
			t.Errorf("in the end there is %+v", b)
		}
		s.consistent(t, 1, elsewhere)
		return
	}
	if _, err := s.sell(context.Background(), selling("mint")); (err == nil) != (s.book("t-1").record == "done") {
		t.Errorf("sold in the end: %v, %+v", err, s.book("t-1"))
	}
	s.consistent(t, 1, elsewhere)
}

// stock is another saga that takes one of the stock, or gives it back.
func (s *shop) stock(available int, takes bool) {
	if takes {
		available--
	} else {
		available++
	}
	s.put(stockOf(available))
}

// consistent checks that stock and orders, and what another saga has, make up what
// there was, and that the record says what is there.
func (s *shop) consistent(t *rapid.T, all int, elsewhere bool) {
	b := s.book("t-1")
	orders := 0
	for _, has := range []bool{b.ordered, elsewhere} {
		if has {
			orders++
		}
	}
	if b.available+orders != all || b.ordered != (b.record == "done") {
		t.Errorf("the table has %+v of %d", b, all)
	}
}
