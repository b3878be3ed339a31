package chaos_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/chaos"
)

func (r *rig) list() []chaos.Active {
	r.Helper()
	found, err := r.store.List(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return found
}

func (r *rig) put(it archivetest.Item) {
	r.Helper()
	if _, err := r.db.PutItem(r.Context(), &dynamodb.PutItemInput{Item: it}); err != nil {
		r.Fatal(err)
	}
}

func number(v types.AttributeValue) int64 {
	n, _ := strconv.ParseInt(v.(*types.AttributeValueMemberN).Value, 10, 64)
	return n
}

// paged is a table that answers one item at a time.
type paged struct{ *archivetest.Table }

func (p paged) Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	one := *in
	one.Limit = aws.Int32(1)
	return p.Table.Query(ctx, &one, opts...)
}

func TestList(t *testing.T) {
	bubble(t, func(r *rig) {
		if found := r.list(); len(found) > 0 {
			r.Errorf("found %v", found)
		}
		r.set(chaos.Setting{Target: "saga.CancelHotel", Fault: chaos.Latency, Rate: 0.125, Latency: 1500 * time.Millisecond, For: time.Minute, By: "me"})
		r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Times: 5})
		r.set(chaos.Setting{Target: book, Fault: chaos.Panic, Times: 2}) // in its place
		now := time.Now().Add(-time.Second)
		want := []chaos.Active{
			{Target: book, Fault: chaos.Panic, TimesLeft: 2, Until: now.Add(10 * time.Minute)},
			{Target: "saga.CancelHotel", Fault: chaos.Latency, Rate: 0.125, Latency: 1500 * time.Millisecond, Until: now.Add(time.Minute - 2*time.Second), By: "me"},
		}
		if diff := cmp.Diff(want, r.list(), cmpopts.IgnoreUnexported(chaos.Active{})); diff != "" {
			r.Errorf("(-want +got):\n%s", diff)
		}
		expires, until := r.db.Item("chaos", string(book))["expires_at"], want[0].Until.Unix()
		if n := number(expires); n < until || n > until+1 {
			r.Errorf("expires at %d, ends at %d", n, until)
		}
	})
}

func TestClear(t *testing.T) {
	bubble(t, func(r *rig) {
		for _, step := range []string{"A", "B", "C"} {
			r.set(chaos.Setting{Target: chaos.Step(step), Fault: chaos.PlainError, Rate: 1})
		}
		for _, tt := range []struct {
			target chaos.Target
			want   []chaos.Target
		}{{"saga.B", []chaos.Target{"saga.B"}}, {"saga.B", nil}, {"", []chaos.Target{"saga.A", "saga.C"}}, {"", nil}} {
			if got, err := r.store.Clear(r.Context(), tt.target); err != nil || !slices.Equal(got, tt.want) {
				r.Errorf("%q: cleared %v, %v, want %v", tt.target, got, err, tt.want)
			}
		}
		if keys := r.db.Keys(); len(keys) > 0 {
			r.Errorf("left are %v", keys)
		}
	})
}

func TestInvalid(t *testing.T) {
	bubble(t, func(r *rig) {
		ok := chaos.Setting{Target: book, Fault: chaos.PlainError, Times: 1}
		for want, change := range map[string]func(*chaos.Setting){
			`"" is no target: one is called as in saga.BookFlight`:              func(s *chaos.Setting) { s.Target = "" },
			`"saga." is no target`:                                              func(s *chaos.Setting) { s.Target = "saga." },
			`"saga.a b" is no target`:                                           func(s *chaos.Setting) { s.Target = "saga.a b" },
			`"` + strings.Repeat("x", 64) + `…" is no target`:                   func(s *chaos.Setting) { s.Target = chaos.Target(strings.Repeat("x", 5000) + "!") },
			`"01A 1" is no execution: one is called by a task's id and its run`: func(s *chaos.Setting) { s.Execution = "01A 1" },
			`"` + strings.Repeat("x", 64) + `…" is no execution`:                func(s *chaos.Setting) { s.Execution = strings.Repeat("x", 81) },
			`there is no fault "": known are business_error, error, panic, timeout, throttle, latency, error_after_effect`: func(s *chaos.Setting) { s.Fault = "" },
			`there is no fault "PANIC"`:                                     func(s *chaos.Setting) { s.Fault = "PANIC" },
			`rate and times exclude each other`:                             func(s *chaos.Setting) { s.Rate = 0.5 },
			`it needs a rate (more than 0, at most 1) or times (1 to 1000)`: func(s *chaos.Setting) { s.Times = 0 },
			`times is -1: it is between 1 and 1000`:                         func(s *chaos.Setting) { s.Times = -1 },
			`times is 1001: it is between 1 and 1000`:                       func(s *chaos.Setting) { s.Times = 1001 },
			`rate is -0.1: it is more than 0 and at most 1`:                 func(s *chaos.Setting) { s.Times, s.Rate = 0, -0.1 },
			`rate is 1.5: it is more than 0 and at most 1`:                  func(s *chaos.Setting) { s.Times, s.Rate = 0, 1.5 },
			`rate is NaN: it is more than 0 and at most 1`:                  func(s *chaos.Setting) { s.Times, s.Rate = 0, math.NaN() },
			`latency is 0s: this fault needs one, from 1ms to 15m`:          func(s *chaos.Setting) { s.Fault = chaos.Latency },
			`latency is 16m0s: this fault needs one, from 1ms to 15m`:       func(s *chaos.Setting) { s.Fault, s.Latency = chaos.Latency, 16*time.Minute },
			`a latency goes with the fault latency only`:                    func(s *chaos.Setting) { s.Latency = time.Second },
			`for is -1s: a fault is set for 1s to 1h`:                       func(s *chaos.Setting) { s.For = -time.Second },
			`for is 1h0m1s: a fault is set for 1s to 1h`:                    func(s *chaos.Setting) { s.For = time.Hour + time.Second },
		} {
			s := ok
			change(&s)
			if _, err := r.store.Set(r.Context(), s); !errors.Is(err, chaos.ErrInvalid) || !strings.HasPrefix(err.Error(), "invalid fault: "+want) {
				r.Errorf("%v, want %s", err, want)
			}
		}
		r.calls(nil)
	})
}

func TestStoreFails(t *testing.T) {
	bubble(t, func(r *rig) {
		r.breaks("PutItem", errAway, false)
		if _, err := r.store.Set(r.Context(), soon(0)); !errors.Is(err, errAway) || err.Error() != "set the fault of saga.BookFlight: the table is away" {
			r.Errorf("set: %v", err)
		}
		r.db.Inject(nil)
		ctx, cancel := context.WithTimeout(r.Context(), 500*time.Millisecond)
		defer cancel()
		if _, err := r.store.Set(ctx, soon(0)); !errors.Is(err, context.DeadlineExceeded) || len(r.list()) != 1 {
			r.Errorf("set: %v", err)
		}
		r.breaks("DeleteItem", errAway, false)
		if _, err := r.store.Clear(r.Context(), ""); !errors.Is(err, errAway) {
			r.Errorf("clear: %v", err)
		}
		r.breaks("Query", errAway, false)
		if _, err := r.store.Clear(r.Context(), ""); !errors.Is(err, errAway) {
			r.Errorf("clear: %v", err)
		}
		if _, err := r.store.List(r.Context()); !errors.Is(err, errAway) {
			r.Errorf("list: %v", err)
		}
	})
}

func TestFaultsAreACopy(t *testing.T) {
	t.Parallel()
	chaos.Faults()[0] = "x"
	if got := chaos.Faults(); len(got) != 7 || got[0] != chaos.BusinessError {
		t.Errorf("faults %v", got)
	}
}

// Pages are read to the end.
func TestManyTargets(t *testing.T) {
	bubble(t, func(r *rig) {
		store := chaos.NewStore(paged{r.db}, table)
		for _, step := range []string{"A", "B", "C", "D"} {
			r.set(chaos.Setting{Target: chaos.Step(step), Fault: chaos.PlainError, Rate: 1})
		}
		found, err := store.List(r.Context())
		if err != nil || len(found) != 4 {
			r.Errorf("found %v, %v", found, err)
		}
	})
}
