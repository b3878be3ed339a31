package tasktable_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

func TestThrottledStatementsAreSentAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []types.BatchStatementErrorCodeEnum{
		types.BatchStatementErrorCodeEnumThrottlingError,
		types.BatchStatementErrorCodeEnumProvisionedThroughputExceeded,
		types.BatchStatementErrorCodeEnumRequestLimitExceeded,
		types.BatchStatementErrorCodeEnumInternalServerError,
		types.BatchStatementErrorCodeEnumTransactionConflict,
	} {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				ids := b.create(10)
				b.db.ResetCalls()
				b.db.Inject(throttled(2, code, ids[1], ids[4]))
				for i, c := range b.Claim(t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), ids) {
					if c.Outcome != tasktable.Claimed || c.Row.Fence != 1 || c.Row.ID != ids[i] {
						t.Errorf("claim %d = %+v", i, c)
					}
				}
				b.calls("10, of which 2 were throttled twice", map[string]int{"BatchExecuteStatement": 3})
			})
		})
	}
}

func TestOneThrottledStatementGoesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ids := b.create(3)
		rows := b.claim(t.Context(), ids...)
		b.db.ResetCalls()
		b.db.Inject(throttled(1, types.BatchStatementErrorCodeEnumThrottlingError, ids[2]))
		settlements := make([]tasktable.Settlement, len(rows))
		for i, r := range rows {
			settlements[i] = tasktable.Succeed(r, []byte(`1`))
		}
		for i, s := range b.Settle(t.Context(), settlements) {
			if s.Status != task.Succeeded {
				t.Errorf("settlement %d = %+v", i, s)
			}
		}
		b.calls("3, of which 1 was throttled", map[string]int{"BatchExecuteStatement": 1, "UpdateItem": 1})
	})
}

func TestThrottlingThatDoesNotEndIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ids := b.create(4)
		b.db.ResetCalls()
		b.db.Inject(throttled(1000, types.BatchStatementErrorCodeEnumThrottlingError, ids[0], ids[3]))
		start := time.Now()
		for i, c := range b.Claim(t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), ids) {
			if i == 1 || i == 2 {
				if c.Outcome != tasktable.Claimed {
					t.Errorf("claim %d = %+v, its neighbours are none of its business", i, c)
				}
				continue
			}
			e, ok := errors.AsType[*tasktable.StatementError](c.Err)
			if c.Outcome != tasktable.Unknown || !ok || e.ID != ids[i] || e.Code != "ThrottlingError" {
				t.Errorf("claim %d = %+v, want a StatementError", i, c)
			}
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("gave up after %s", took)
		}
		b.calls("4, of which 2 are throttled for ever", map[string]int{"BatchExecuteStatement": 6})
	})
}

func TestStatementErrorsThatStay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.create(2)
	b.db.ResetCalls()
	b.db.Inject(throttled(1, types.BatchStatementErrorCodeEnumAccessDenied, ids[1]))
	claims := b.Claim(t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), ids)
	if claims[0].Outcome != tasktable.Claimed || claims[1].Outcome != tasktable.Unknown || claims[1].Err == nil {
		t.Errorf("Claim = %+v", claims)
	}
	b.calls("an error that no repetition mends", map[string]int{"BatchExecuteStatement": 1})
}

func TestEndpointThatReturnsNoItems(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.db.Inject(func(tasktabletest.Call) tasktabletest.Fault { return tasktabletest.Fault{NoItems: true} })
	ids := append(b.create(3), tasktable.NewID())
	held := b.claim(t.Context(), ids[2])[0]
	b.db.ResetCalls()

	claims := b.Claim(t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), ids)
	for i, want := range []tasktable.Outcome{tasktable.Claimed, tasktable.Claimed, tasktable.Held, tasktable.Absent} {
		if claims[i].Outcome != want {
			t.Errorf("claim %d = %+v, want %d", i, claims[i], want)
		}
	}
	if claims[0].Row.Fence != 1 {
		t.Errorf("claimed with fence %d, want 1: the first form took effect", claims[0].Row.Fence)
	}
	b.calls("a claim without items", map[string]int{"BatchExecuteStatement": 1, "UpdateItem": 4})

	stale := *held
	stale.Fence--
	got := b.Settle(t.Context(), []tasktable.Settlement{
		tasktable.Succeed(claims[0].Row, []byte(`1`)), tasktable.Retry(claims[1].Row, task.Failure{Code: "x"}, time.Now()),
		tasktable.Succeed(&stale, nil),
	})
	if got[0].Status != task.Succeeded || got[1].Status != task.Queued || !got[2].Lost {
		t.Errorf("Settle = %+v", got)
	}
	overdue := draft(tasktable.NewID())
	overdue.Deadline = time.Now().Add(-time.Second)
	if _, err := b.Create(t.Context(), overdue); err != nil {
		t.Fatal(err)
	}
	if c := b.Expire(t.Context(), []string{overdue.ID, ids[0]}); c[0].Row.Status != task.Expired || c[0].Outcome != tasktable.Finished {
		t.Errorf("Expire = %+v", c)
	}
}

func TestWholeCallFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("no route to host")
	b := newBench(t)
	ids := b.create(30)
	b.db.ResetCalls()
	b.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
		if c.Operation == "BatchExecuteStatement" && c.N == 1 {
			return tasktabletest.Fault{Err: broken}
		}
		return tasktabletest.Fault{}
	})
	for i, c := range b.Claim(t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), ids) {
		if i < 25 && (c.Outcome != tasktable.Unknown || !errors.Is(c.Err, broken)) || i >= 25 && c.Outcome != tasktable.Claimed {
			t.Errorf("claim %d = %+v; want the first 25 unknown, the rest claimed", i, c)
		}
	}
	b.calls("30", map[string]int{"BatchExecuteStatement": 2})
}

func TestAnswerIsLostAfterEffect(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset")
	b := newBench(t)
	ids := b.create(2)
	loseNext := func() {
		var once bool
		b.db.Inject(func(tasktabletest.Call) tasktabletest.Fault {
			if once {
				return tasktabletest.Fault{}
			}
			once = true
			return tasktabletest.Fault{Err: lost, AfterEffect: true}
		})
	}
	owner, end := tasktable.NewOwner(), time.Now().Add(time.Minute)
	loseNext()
	for _, c := range b.Claim(t.Context(), owner, end, ids) {
		if c.Outcome != tasktable.Unknown || !errors.Is(c.Err, lost) {
			t.Errorf("Claim = %+v, want Unknown", c)
		}
	}
	claims := b.Claim(t.Context(), owner, end, ids) // what a retry in the SDK does
	settlements := make([]tasktable.Settlement, len(claims))
	for i, c := range claims {
		if c.Outcome != tasktable.Claimed || c.Row.Fence != 1 {
			t.Fatalf("Claim again = %+v, want the same claim", c)
		}
		settlements[i] = tasktable.Succeed(c.Row, []byte(`1`))
	}
	loseNext()
	for _, s := range b.Settle(t.Context(), settlements) {
		if !errors.Is(s.Err, lost) {
			t.Errorf("Settle = %+v", s)
		}
	}
	for _, s := range b.Settle(t.Context(), settlements) {
		if s.Status != task.Succeeded || s.Lost {
			t.Errorf("Settle again = %+v, want it written", s)
		}
	}
	// A settlement whose answer was lost is not undone by another one.
	if s := b.Settle(t.Context(), []tasktable.Settlement{tasktable.Release(claims[0].Row)})[0]; !s.Lost || s.Now.Status != task.Succeeded {
		t.Errorf("Release after that = %+v, want it lost", s)
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ids := b.create(2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		b.db.Inject(throttled(1000, types.BatchStatementErrorCodeEnumThrottlingError, ids...))
		start := time.Now()
		for _, c := range b.Claim(ctx, tasktable.NewOwner(), time.Now().Add(time.Minute), ids) {
			if c.Outcome != tasktable.Unknown || c.Err == nil {
				t.Errorf("Claim = %+v, want Unknown with the reason", c)
			}
		}
		if took := time.Since(start); took > 60*time.Millisecond {
			t.Errorf("went on for %s", took)
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		for _, c := range b.Claim(ctx, tasktable.NewOwner(), time.Now().Add(time.Minute), ids) {
			if !errors.Is(c.Err, context.Canceled) {
				t.Errorf("Claim = %+v, want the context's error", c)
			}
		}
	})
}
