package saga_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/saga"
)

func TestAction(t *testing.T) {
	t.Parallel()
	s := newShop()
	answers(t, s.sell, selling("mint"), answerOfSale)
	s.costs(t, 0, 1)
	s.has(t, sold)
}

// What a call says reaches the function.
func TestActionCall(t *testing.T) {
	t.Parallel()
	s := newShop()
	h := saga.Action(s.ledger, func(_ context.Context, c saga.Call[tea]) (saga.Effect[string], error) {
		return saga.Effect[string]{Result: fmt.Sprint(c.TaskID, " ", c.Run, " ", c.Key, " ", c.Step, " ", c.Input.Of, " ", string(c.Results["pot"]))}, nil
	})
	answers(t, h, selling("mint"), `"t 1 t-1 Sell mint {\"size\":2}"`)
}

func TestActionAgain(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]string{"meets its own order": "mint", "looks before it writes": "looks"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			for range 3 {
				answers(t, s.sell, selling(of), answerOfSale)
			}
			s.has(t, sold)
		})
	}
	t.Run("sold out by itself", func(t *testing.T) {
		t.Parallel()
		s := newShop()
		s.put(stockOf(1))
		answers(t, s.sell, selling("mint"), answerOfSale)
		s.costs(t, 0, 1)
		answers(t, s.sell, selling("mint"), answerOfSale) // the record goes before the stock
		s.costs(t, 0, 1)
		s.has(t, book{0, true, "done"})
	})
	t.Run("reads what was just written", func(t *testing.T) {
		t.Parallel()
		s := newShop()
		s.db.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Stale: true} })
		answers(t, s.sell, selling("looks"), answerOfSale)
		answers(t, s.sell, selling("looks"), answerOfSale)
	})
	t.Run("fails for good", func(t *testing.T) {
		t.Parallel()
		s := newShop()
		answers(t, s.sell, selling("mint"), answerOfSale)
		answers(t, s.sell, selling("nettle"), answerOfSale)
		s.has(t, sold)
	})
}

func TestActionRefused(t *testing.T) {
	t.Parallel()
	t.Run("a panic", func(t *testing.T) {
		t.Parallel()
		s := newShop()
		if m := refuses(t, s.sell, selling("panic"), "panic"); m != "panic: the kettle" {
			t.Error(m)
		}
		s.costs(t, 0, 0)
		s.has(t, untouched)
	})
	for name, tt := range map[string]struct {
		of, code, message string
		transactions      int
	}{
		"the function": {"nettle", "not_sold", "we have no nettle", 1},
		"a write":      {"mint", "sold_out", "no tea is left", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			s.put(stockOf(0))
			if m := refuses(t, s.sell, selling(tt.of), tt.code); m != tt.message {
				t.Error(m)
			}
			s.costs(t, 0, tt.transactions)
			s.has(t, book{0, false, "refused"})
			s.put(stockOf(full)) // which is too late: the machine has heard that nothing was done
			for _, of := range []string{"mint", "nettle", "looks"} {
				if m := refuses(t, s.sell, selling(of), tt.code); m != tt.message {
					t.Error(m)
				}
			}
			s.has(t, book{full, false, "refused"})
			answers(t, s.takeBack, takingBack, `{}`)
			s.has(t, book{full, false, "refused"})
			if s.back.Load() > 0 {
				t.Error("what was never done is undone")
			}
		})
	}
}

// An attempt that nobody waits for any more does nothing once another one has
// answered that nothing was done.
func TestActionAfterRefusal(t *testing.T) {
	t.Parallel()
	s := newShop()
	var late atomic.Bool
	s.db.Inject(func(archivetest.Call) archivetest.Fault {
		if late.CompareAndSwap(false, true) {
			s.put(stockOf(0))
			refuses(t, s.sell, selling("mint"), "sold_out")
			s.put(stockOf(full)) // another saga gives back
		}
		return archivetest.Fault{}
	})
	refuses(t, s.sell, selling("mint"), "sold_out")
	s.has(t, book{full, false, "refused"})
}

// A refusal that is not recorded is none: the step is tried again.
func TestActionRefusalCrashes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault  archivetest.Fault
		record string
	}{
		"before it is recorded": {archivetest.Fault{Err: errCrash}, ""},
		"when it is recorded":   {archivetest.Fault{Err: errCrash, AfterEffect: true}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			s.db.Inject(transactions(1, tt.fault))
			if m := refuses(t, s.sell, selling("nettle"), "step_failed"); m != "we have no nettle, which is not recorded: no answer" {
				t.Error(m)
			}
			s.has(t, book{full, false, tt.record})
			refuses(t, s.sell, selling("nettle"), "not_sold")
			s.has(t, book{full, false, "refused"})
		})
	}
}

// A record that this version cannot read is no reason to go on.
func TestActionUnreadableRefusal(t *testing.T) {
	t.Parallel()
	s := newShop()
	s.put(archivetest.Item{"pk": text("saga#t-1"), "sk": text(sell), "state": text("refused"), "result": text("?")})
	if m := refuses(t, s.sell, selling("mint"), "step_failed"); !strings.HasPrefix(m, "the recorded refusal: ") {
		t.Error(m)
	}
	s.has(t, book{full, false, "refused"})
}

// A write that has nothing to say about its condition is tried again.
func TestActionConditionWithoutWords(t *testing.T) {
	t.Parallel()
	s := newShop()
	s.put(orderKey("t-1"))
	if m := refuses(t, s.sell, selling("mint"), "step_failed"); m != "the condition of write 2 does not hold" {
		t.Error(m)
	}
	s.has(t, book{full, true, ""})
	s.put(stockOf(0)) // the first write that says no is the reason
	refuses(t, s.sell, selling("mint"), "sold_out")
}

// Of several conditions that do not hold, the first is the reason.
func TestActionConditions(t *testing.T) {
	t.Parallel()
	for left, code := range map[int]string{0: "sold_out", 1: "no_order"} {
		s := newShop()
		s.put(stockOf(left))
		h := saga.Action(s.ledger, func(context.Context, saga.Call[tea]) (saga.Effect[int], error) {
			other := s.take()
			other.Item.Update.Key = orderKey("other")
			other.Refused = func(context.Context) error { return saga.Business("no_order", errors.New("there is no other order")) }
			return saga.Effect[int]{Writes: []saga.Write{s.take(), other}}, nil
		})
		refuses(t, h, selling("mint"), code)
		s.has(t, book{left, false, "refused"})
	}
}

// The function fails, and the ledger does not say whether it was done before.
func TestActionUnknown(t *testing.T) {
	t.Parallel()
	s := newShop()
	answers(t, s.sell, selling("mint"), answerOfSale)
	s.db.Inject(func(c archivetest.Call) archivetest.Fault {
		if c.Operation == "GetItem" {
			return archivetest.Fault{Err: errCrash}
		}
		return archivetest.Fault{}
	})
	h := saga.Action(s.ledger, func(context.Context, saga.Call[tea]) (saga.Effect[receipt], error) {
		return saga.Effect[receipt]{}, errCrash
	})
	refuses(t, h, selling("mint"), "step_failed")
	s.db.Inject(nil)
	answers(t, h, selling("mint"), answerOfSale)
}

// A call that crashes is made again, and has one effect.
func TestActionCrashes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault archivetest.Fault
		after book
	}{
		"before the transaction": {archivetest.Fault{Err: errCrash}, untouched},
		"after the transaction":  {archivetest.Fault{Err: errCrash, AfterEffect: true}, sold},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			s.db.Inject(transactions(1, tt.fault))
			refuses(t, s.sell, selling("mint"), "step_failed")
			s.has(t, tt.after)
			answers(t, s.sell, selling("mint"), answerOfSale)
			s.has(t, sold)
		})
	}
}

// Other transactions and throttles are waited for, and not for ever.
func TestActionRetries(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reasons []string
		n       int // transactions that fail
		tries   int
		message string // empty if it is done in the end
	}{
		"a conflict":              {[]string{"None", "TransactionConflict", "None"}, 1, 2, ""},
		"conflicts":               {[]string{"TransactionConflict", "None", "None"}, 7, 8, ""},
		"conflicts for good":      {[]string{"None", "TransactionConflict", "None"}, 99, 8, "a call to AWS failed, "},
		"throttled":               {[]string{"ThrottlingError", "ThrottlingError", "None"}, 3, 4, ""},
		"throttled for good":      {[]string{"ThrottlingError", "None", "None"}, 99, 8, "a call to AWS failed, "},
		"beyond its capacity":     {[]string{"None", "None", "ProvisionedThroughputExceeded"}, 99, 8, "a call to AWS failed, "},
		"a conflict and sold out": {[]string{"None", "ConditionalCheckFailed", "TransactionConflict"}, 1, 2, ""},
		"no retry helps":          {[]string{"None", "None", "ValidationError"}, 1, 1, "write 2: ValidationError: because of ValidationError"},
		"no reason":               {nil, 1, 1, "a call to AWS failed, "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShop()
				s.db.Inject(transactions(tt.n, archivetest.Fault{Err: canceled(tt.reasons...)}))
				began := time.Now()
				if tt.message == "" {
					answers(t, s.sell, selling("mint"), answerOfSale)
					s.has(t, sold)
				} else {
					if m := refuses(t, s.sell, selling("mint"), "step_failed"); !strings.HasPrefix(m, tt.message) {
						t.Error(m)
					}
					s.has(t, untouched)
				}
				s.costs(t, 0, tt.tries)
				if took := time.Since(began); took > 2500*time.Millisecond || (took > 0) != (tt.tries > 1) {
					t.Errorf("took %s", took)
				}
				if n := s.selling.Load(); n != 1 {
					t.Errorf("the function was called %d times", n)
				}
			})
		})
	}
}

// Whoever is called off does not wait.
func TestActionCanceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.sell(ctx, selling("mint"))
		failure(t, err, "step_failed")
		s.costs(t, 0, 0)

		s.db.Inject(transactions(99, archivetest.Fault{Err: canceled("TransactionConflict")}))
		ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err = s.sell(ctx, selling("mint"))
		failure(t, err, "step_failed")
		if took := time.Since(began); took > time.Millisecond {
			t.Errorf("took %s", took)
		}
		s.has(t, untouched)
	})
}

// What cannot be carried on is refused before anything is written.
func TestActionBounds(t *testing.T) {
	t.Parallel()
	many := func(n int) (writes []saga.Write) {
		for i := range n {
			writes = append(writes, saga.Write{Item: types.TransactWriteItem{Put: &types.Put{TableName: aws.String("shop"), Item: orderKey(strconv.Itoa(i))}}})
		}
		return writes
	}
	for name, tt := range map[string]struct {
		effect  saga.Effect[any]
		message string
	}{
		"largest result":   {saga.Effect[any]{Result: strings.Repeat("x", saga.MaxResult-2)}, ""},
		"too large":        {saga.Effect[any]{Result: strings.Repeat("x", saga.MaxResult-1)}, "the result has 4097 bytes: at most 4096 are carried on"},
		"no JSON":          {saga.Effect[any]{Result: func() {}}, "encode the result: json: unsupported type: func()"},
		"nothing":          {saga.Effect[any]{}, ""},
		"most writes":      {saga.Effect[any]{Writes: many(99)}, ""},
		"too many writes":  {saga.Effect[any]{Writes: many(100)}, "100 writes: a transaction holds 99 and the step's record"},
		"one of the table": {saga.Effect[any]{Writes: many(1)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			h := saga.Action(s.ledger, func(context.Context, saga.Call[tea]) (saga.Effect[any], error) { return tt.effect, nil })
			if tt.message != "" {
				if m := refuses(t, h, selling("mint"), "step_failed"); m != tt.message {
					t.Error(m)
				}
				s.costs(t, 0, 0)
				return
			}
			want, err := json.Marshal(tt.effect.Result)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				answers(t, h, selling("mint"), string(want))
			}
		})
	}
}

// A payload that is none is not tried again.
func TestPayloads(t *testing.T) {
	t.Parallel()
	whole := map[string]any{"task_id": "t", "run": 1, "key": "t-1", "step": "TakeBack", "action": "Sell", "input": map[string]any{"of": "mint"}}
	with := func(name string, v any) string {
		changed := map[string]any{}
		for n, old := range whole {
			changed[n] = old
		}
		if changed[name] = v; v == nil {
			delete(changed, name)
		}
		text, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const lacks = "the payload lacks task_id, run, key or step"
	for name, tt := range map[string]struct{ payload, message string }{
		"no task id":    {with("task_id", nil), lacks},
		"empty task id": {with("task_id", ""), lacks},
		"no run":        {with("run", nil), lacks},
		"run 0":         {with("run", 0), lacks},
		"run -1":        {with("run", -1), lacks},
		"no key":        {with("key", nil), lacks},
		"no step":       {with("step", nil), lacks},
		"no input":      {with("input", nil), "the input is not what TakeBack takes: "},
		"input type":    {with("input", map[string]any{"of": 2}), "the input is not what TakeBack takes: json: cannot unmarshal number"},
		"no object":     {with("input", "mint"), "the input is not what TakeBack takes: json: cannot unmarshal string"},
		"task id type":  {with("task_id", 7), "the payload is no call of a step: "},
		"run type":      {with("run", "1"), "the payload is no call of a step: "},
		"run of half":   {with("run", 1.5), "the payload is no call of a step: "},
		"results type":  {with("results", []int{1}), "the payload is no call of a step: "},
		"trailing data": {string(takingBack) + `{}`, "the payload is no call of a step: "},
		"half":          {string(takingBack[:40]), "the payload is no call of a step: "},
		"empty":         {``, "the payload is no call of a step: "},
		"null":          {`null`, lacks},
		"list":          {`[]`, "the payload is no call of a step: "},
		"no JSON":       {"\xff", "the payload is no call of a step: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			for _, h := range []saga.Handler{s.sell, s.takeBack} {
				if m := refuses(t, h, json.RawMessage(tt.payload), saga.CodeInvalidCall); !strings.HasPrefix(m, tt.message) {
					t.Error(m)
				}
			}
			s.costs(t, 0, 0)
		})
	}
	s := newShop()
	if m := refuses(t, s.takeBack, json.RawMessage(with("action", nil)), saga.CodeInvalidCall); m != "the payload does not name the action to undo" {
		t.Error(m)
	}
	answers(t, s.takeBack, json.RawMessage(with("of a later version", true)), `{}`)
}

// What AWS said is not told, the business's code is.
func TestBusinessOfAWS(t *testing.T) {
	t.Parallel()
	s := newShop()
	h := saga.Action(s.ledger, func(context.Context, saga.Call[tea]) (saga.Effect[receipt], error) {
		return saga.Effect[receipt]{}, saga.Business("sold_out", fmt.Errorf("taken: %w", &smithy.OperationError{ServiceID: "DynamoDB", OperationName: "PutItem", Err: errCrash}))
	})
	for range 2 {
		if m := refuses(t, h, selling("mint"), "sold_out"); m != "a call to AWS failed, and the function's log says which" {
			t.Error(m)
		}
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opts *saga.LedgerOptions
		want time.Duration
	}{
		"default": {nil, 30 * 24 * time.Hour}, "zero": {&saga.LedgerOptions{}, 30 * 24 * time.Hour}, "an hour": {&saga.LedgerOptions{Retention: time.Hour}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShop()
				h := saga.Compensation(saga.NewLedger(s.db, "shop", tt.opts), s.giveBack)
				answers(t, h, takingBack, `{}`)
				n, ok := s.db.Item("saga#t-1", sell)["expires_at"].(*types.AttributeValueMemberN)
				if want := strconv.FormatInt(time.Now().Add(tt.want).Unix(), 10); !ok || n.Value != want {
					t.Errorf("expires at %v, want %s", n, want)
				}
			})
		})
	}
}

func TestBusiness(t *testing.T) {
	t.Parallel()
	if err := saga.Business("sold_out", nil); err != nil {
		t.Errorf("no error is one: %v", err)
	}
	cause := errors.New("no tea is left")
	if err := saga.Business("sold_out", cause); !errors.Is(err, cause) || err.Error() != "no tea is left" {
		t.Errorf("error %v", err)
	}
	s := newShop()
	h := saga.Action(s.ledger, func(context.Context, saga.Call[tea]) (saga.Effect[int], error) {
		return saga.Effect[int]{}, fmt.Errorf("in the back room: %w", saga.Business("sold_out", errors.New(strings.Repeat("x\x00", 1000))))
	})
	if m := refuses(t, h, selling("mint"), "sold_out"); len(m) > 400 || strings.Contains(m, "\x00") {
		t.Errorf("the message is not as a row keeps it: %q", m)
	}
}
