package chaos_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/chaos"
)

func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	var off *chaos.Injector
	next := func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, nil }
	if got := off.At(book)(next); reflect.ValueOf(got).Pointer() != reflect.ValueOf(next).Pointer() {
		t.Error("a nil injector wraps the handler")
	}
}

// Without a fault the table is read once a second, whatever the load.
func TestCost(t *testing.T) {
	bubble(t, func(r *rig) {
		h := r.environment()
		for range 10 {
			for range 100 {
				r.hits(h, 1)
				time.Sleep(10 * time.Millisecond)
			}
		}
		if r.ran.Load() != 1000 {
			r.Errorf("the handler ran %d times", r.ran.Load())
		}
		r.calls(map[string]int{"Query": 10})

		// One with a rate costs a read for each call, one that counts a write as well.
		r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Rate: 1})
		r.hits(h, 5)
		r.calls(map[string]int{"PutItem": 1, "Query": 5})
		r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Times: 2})
		r.hits(h, 5)
		r.calls(map[string]int{"PutItem": 1, "Query": 3, "UpdateItem": 2})
	})
}

// Targets do not know of each other.
func TestTargets(t *testing.T) {
	bubble(t, func(r *rig) {
		injector := chaos.New(r.db, table, &r.opts)
		flight, car := injector.At(book)(r.handler), injector.At(chaos.Step("BookCar"))(r.handler)
		r.hits(car, 1)
		r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Rate: 1})
		if n, m := r.hits(flight, 3), r.hits(car, 3); n != 3 || m != 0 {
			r.Errorf("%d and %d hits, want 3 and 0", n, m)
		}
	})
}

// However many environments there are, and however they overlap, so many calls
// are hit as was asked for.
func TestExactlySoManyTimes(t *testing.T) {
	for _, tt := range []struct{ times, environments, calls int }{{1, 50, 4}, {7, 20, 20}, {1000, 4, 300}} {
		bubbleHere(t, func(r *rig) {
			r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Times: tt.times})
			var hit atomic.Int32
			var wg sync.WaitGroup
			for range tt.environments {
				h := r.environment()
				wg.Go(func() {
					for range tt.calls {
						if _, err := h(r.Context(), json.RawMessage(`{}`)); err != nil {
							hit.Add(1)
						}
					}
				})
			}
			wg.Wait()
			if all := tt.environments * tt.calls; int(hit.Load()) != tt.times || int(r.ran.Load()) != all-tt.times {
				r.Errorf("%d hits and %d runs of %d, want %d hits", hit.Load(), r.ran.Load(), all, tt.times)
			}
			if left := r.list()[0].TimesLeft; left != 0 {
				r.Errorf("%d left", left)
			}
		})
	}
}

// A client that repeats an update counts one call once, and the call is hit.
func TestRepeatedUpdate(t *testing.T) {
	bubble(t, func(r *rig) {
		r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Times: 3})
		h := chaos.New(repeating{r.db}, table, &r.opts).At(book)(r.handler)
		if n := r.hits(h, 10); n != 3 {
			r.Errorf("%d hits, want 3", n)
		}
	})
}

// Another setting in the middle of a call is not counted for it.
func TestReplacedMeanwhile(t *testing.T) {
	bubble(t, func(r *rig) {
		r.set(chaos.Setting{Target: book, Fault: chaos.Panic, Times: 1})
		r.db.Inject(func(c archivetest.Call) archivetest.Fault {
			if c.Operation == "UpdateItem" && c.N == 1 {
				r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Times: 1})
			}
			return archivetest.Fault{}
		})
		h := r.environment()
		if n := r.hits(h, 1); n != 0 {
			r.Error("hit by a fault that was replaced")
		}
		if n := r.hits(h, 3); n != 1 {
			r.Errorf("%d hits of the other, want 1", n)
		}
	})
}

func TestRate(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opts.Rand = rand.NewPCG(1, 2)
		h := r.environment()
		for _, tt := range []struct {
			rate      float64
			low, high int
		}{{0.001, 0, 10}, {0.25, 200, 300}, {1, 1000, 1000}} {
			r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Rate: tt.rate})
			if n := r.hits(h, 1000); n < tt.low || n > tt.high {
				r.Errorf("rate %v: %d of 1000, want %d to %d", tt.rate, n, tt.low, tt.high)
			}
		}
	})
}

// When Set returns, an environment that has just found nothing knows of it too.
func TestHoldsOnceItIsSet(t *testing.T) {
	bubble(t, func(r *rig) {
		h := r.environment()
		for range 20 {
			time.Sleep(7 * 100 * time.Millisecond)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 50 {
					_, _ = h(r.Context(), json.RawMessage(`{}`))
					time.Sleep(30 * time.Millisecond)
				}
			}()
			r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Rate: 1})
			if n := r.hits(h, 1); n != 1 {
				r.Fatal("not hit after it was set")
			}
			<-done
			if _, err := r.store.Clear(r.Context(), book); err != nil {
				r.Fatal(err)
			}
			if n := r.hits(h, 1); n != 0 {
				r.Fatal("hit after it was cleared")
			}
		}
	})
}

// A fault ends on time, though TTL leaves its item for days.
func TestEnds(t *testing.T) {
	bubble(t, func(r *rig) {
		h := r.environment()
		for _, d := range []time.Duration{0, 2 * time.Second, time.Hour} {
			began := time.Now()
			a := r.set(soon(d))
			if d == 0 {
				d = 10 * time.Minute
			}
			if !a.Until.Equal(began.Add(d)) {
				r.Errorf("set until %s, want %s", a.Until, began.Add(d))
			}
			time.Sleep(d - 1001*time.Millisecond) // Set has waited for a second
			if n := r.hits(h, 1); n != 1 || len(r.list()) != 1 {
				r.Errorf("%s: over too early", d)
			}
			time.Sleep(time.Millisecond)
			if n := r.hits(h, 1); n != 0 || len(r.list()) != 0 {
				r.Errorf("%s: not over", d)
			}
			if r.db.Item("chaos", string(book)) == nil {
				r.Fatal("the item is gone")
			}
			if cleared, err := r.store.Clear(r.Context(), ""); err != nil || len(cleared) > 0 {
				r.Errorf("cleared %v, %v", cleared, err)
			}
		}
	})
}

// The table is away: handlers run, the log says it once each time, and calls
// are not slowed down.
func TestFailsOpen(t *testing.T) {
	for _, operation := range []string{"Query", "UpdateItem"} {
		bubbleHere(t, func(r *rig) {
			r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Times: 1})
			h := r.environment()
			for round := 1; round <= 2; round++ {
				r.breaks(operation, errAway, false)
				for range 5 {
					if n := r.hits(h, 10); n != 0 {
						r.Errorf("%s: %d calls failed", operation, n)
					}
					time.Sleep(time.Second)
				}
				if n := r.logged("faults not known"); n != round || r.logged(errAway.Error()) != round {
					r.Errorf("%s: logged %d times, want %d: %s", operation, n, round, &r.log)
				}
				r.calls(map[string]int{"PutItem": 1, "Query": 5, "UpdateItem": map[string]int{"UpdateItem": 5}[operation]})
				r.db.Inject(nil)
				if n := r.hits(h, 3); n != 1 {
					r.Errorf("%s: %d hits when it is back, want 1", operation, n)
				}
				r.db.ResetCalls()
				r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Times: 1})
			}
		})
	}
}

func TestSlowTable(t *testing.T) {
	bubble(t, func(r *rig) {
		h := chaos.New(slow{r.db}, table, &r.opts).At(book)(r.handler)
		began := time.Now()
		r.hits(h, 10)
		if took := time.Since(began); took != 2*time.Second || r.ran.Load() != 10 || r.logged("faults not known") != 1 {
			r.Errorf("took %s, ran %d times: %s", took, r.ran.Load(), &r.log)
		}
	})
}

// A count whose answer was lost for good hits nobody: so many or fewer.
func TestLostCount(t *testing.T) {
	bubble(t, func(r *rig) {
		r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Times: 2})
		r.breaks("UpdateItem", errAway, true)
		h := r.environment()
		if n := r.hits(h, 1); n != 0 {
			r.Error("hit without knowing")
		}
		r.db.Inject(nil)
		time.Sleep(time.Second)
		if n := r.hits(h, 5); n != 1 {
			r.Errorf("%d hits, want the 1 that is left", n)
		}
	})
}

// What another version has written injects nothing, and is said.
func TestForeignItems(t *testing.T) {
	str := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	for attribute, value := range map[string]types.AttributeValue{
		"fault": nil, "set_id": nil, "ends_at": nil, "times_left": str("many"), "latency": str("long"), "": nil,
	} {
		bubbleHere(t, func(r *rig) {
			r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Times: 1})
			it := r.db.Item("chaos", string(book))
			delete(it, attribute)
			if value != nil {
				it[attribute] = value
			}
			if attribute == "" {
				it["fault"] = str("melt")
			}
			r.put(it)
			if n := r.hits(r.environment(), 1); n != 0 {
				r.Errorf("%s: hit", attribute)
			}
			if _, err := r.store.List(r.Context()); (err == nil) != (attribute == "") {
				r.Errorf("%s: listed with %v", attribute, err)
			}
			if cleared, err := r.store.Clear(r.Context(), ""); err != nil || len(cleared) != 1 {
				r.Errorf("%s: cleared %v, %v", attribute, cleared, err)
			}
		})
	}
}
