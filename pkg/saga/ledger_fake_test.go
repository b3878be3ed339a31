package saga_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/saga"
)

const (
	sell, takeBack = "Sell", "TakeBack" // the steps
	full           = 10                 // the stock at first
)

// receipt is what the sale answers.
type receipt struct {
	Number string `json:"number"`
}

// shop sells tea: a sale takes one of the stock and writes an order.
type shop struct {
	db      *archivetest.Table
	ledger  *saga.Ledger
	selling atomic.Int32 // calls of the action's function
	back    atomic.Int32 // calls of the compensation's

	sell, takeBack saga.Handler
}

func newShop(opts ...saga.ActionOption) *shop {
	s := &shop{db: archivetest.NewTable()}
	s.ledger = saga.NewLedger(s.db, "shop", nil)
	s.put(stockOf(full))
	s.sell = saga.Action(s.ledger, s.order, opts...)
	s.takeBack = saga.Compensation(s.ledger, s.giveBack)
	return s
}

func (s *shop) put(it archivetest.Item) {
	if _, err := s.db.PutItem(context.Background(), &dynamodb.PutItemInput{TableName: aws.String("shop"), Item: it}); err != nil {
		panic(err) // which has no fault yet
	}
	s.db.ResetCalls()
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: fmt.Sprint(n)}
}

func stockOf(n int) archivetest.Item {
	return archivetest.Item{"pk": text("tea"), "sk": text("stock"), "available": number(n)}
}

func orderKey(key string) archivetest.Item {
	return archivetest.Item{"pk": text("order"), "sk": text(key)}
}

// order is the action. It fails by itself where its order lies already, as one
// would that looks before it writes.
func (s *shop) order(_ context.Context, c saga.Call[tea]) (saga.Effect[receipt], error) {
	s.selling.Add(1)
	switch c.Input.Of {
	case "nettle":
		return saga.Effect[receipt]{}, saga.Business("not_sold", errors.New("we have no nettle"))
	case "panic":
		panic("the kettle")
	case "looks":
		if s.db.Item("order", c.Key) != nil {
			return saga.Effect[receipt]{}, saga.Business("ordered_before", errors.New("there is such an order"))
		}
	}
	return saga.Effect[receipt]{Result: receipt{"R-" + c.Key}, Writes: []saga.Write{s.take(), {
		Item: types.TransactWriteItem{Put: &types.Put{
			TableName: aws.String("shop"), Item: orderKey(c.Key), ConditionExpression: aws.String("attribute_not_exists(pk)"),
		}},
	}}}, nil
}

func (s *shop) take() saga.Write {
	return saga.Write{
		Item: types.TransactWriteItem{Update: &types.Update{
			TableName: aws.String("shop"), Key: archivetest.Item{"pk": text("tea"), "sk": text("stock")},
			UpdateExpression: aws.String("SET available = available - :one"), ConditionExpression: aws.String("available >= :one"),
			ExpressionAttributeValues: archivetest.Item{":one": number(1)},
		}},
		Refused: func(context.Context) error { return saga.Business("sold_out", errors.New("no tea is left")) },
	}
}

// giveBack is the compensation.
func (s *shop) giveBack(_ context.Context, u saga.Undo[tea, receipt]) ([]saga.Write, error) {
	s.back.Add(1)
	if u.Result == nil || u.Result.Number != "R-"+u.Key || u.Action != sell || u.Step != takeBack {
		return nil, fmt.Errorf("called with %+v", u)
	}
	return []saga.Write{
		{Item: types.TransactWriteItem{Delete: &types.Delete{
			TableName: aws.String("shop"), Key: orderKey(u.Key), ConditionExpression: aws.String("attribute_exists(pk)"),
		}}},
		{Item: types.TransactWriteItem{Update: &types.Update{
			TableName: aws.String("shop"), Key: archivetest.Item{"pk": text("tea"), "sk": text("stock")},
			UpdateExpression: aws.String("SET available = available + :one"), ExpressionAttributeValues: archivetest.Item{":one": number(1)},
		}}},
	}, nil
}

// book is what lies in the table of one saga.
type book struct {
	available int
	ordered   bool
	record    string // the state of the ledger's record
}

func (s *shop) book(key string) book {
	b := book{ordered: s.db.Item("order", key) != nil}
	if n, ok := s.db.Item("tea", "stock")["available"].(*types.AttributeValueMemberN); ok {
		fmt.Sscan(n.Value, &b.available)
	}
	if state, ok := s.db.Item("saga#"+key, sell)["state"].(*types.AttributeValueMemberS); ok {
		b.record = state.Value
	}
	return b
}

func (s *shop) has(t *testing.T, want book) {
	t.Helper()
	if got := s.book("t-1"); got != want {
		t.Errorf("the table has %+v, want %+v", got, want)
	}
}

// The three ends of a step.
var (
	untouched = book{full, false, ""}
	sold      = book{full - 1, true, "done"}
	returned  = book{full, false, "undone"}
)

// costs checks which calls were made since the last look.
func (s *shop) costs(t *testing.T, reads, transactions int) {
	t.Helper()
	if c := s.db.Calls(); c["GetItem"] != reads || c["TransactWriteItems"] != transactions {
		t.Errorf("calls %v, want %d reads and %d transactions", c, reads, transactions)
	}
	s.db.ResetCalls()
}

// Payloads as the state machine makes them.
func selling(of string) json.RawMessage {
	return json.RawMessage(`{"task_id":"t","run":1,"key":"t-1","step":"Sell","input":{"of":"` + of + `"},"results":{"pot":{"size":2}}}`)
}

var takingBack = json.RawMessage(`{"task_id":"t","run":1,"key":"t-1","step":"TakeBack","action":"Sell","input":{"of":"mint"}}`)

const answerOfSale = `{"number":"R-t-1"}`

// answers calls a handler for an answer.
func answers(t *testing.T, h saga.Handler, payload json.RawMessage, want string) {
	t.Helper()
	if out, err := h(t.Context(), payload); err != nil || string(out) != want {
		t.Errorf("answer %s, %v, want %s", out, err, want)
	}
}

// refuses calls a handler for an error, and returns its message.
func refuses(t *testing.T, h saga.Handler, payload json.RawMessage, code string) string {
	t.Helper()
	out, err := h(t.Context(), payload)
	if out != nil {
		t.Errorf("an answer beside the error: %s", out)
	}
	return failure(t, err, code)
}

// failure is the message of an error with this code, as Lambda sees it: only a
// bare value has its type.
func failure(t *testing.T, err error, code string) string {
	t.Helper()
	e, ok := err.(messages.InvokeResponse_Error) //nolint:errorlint // see above
	if !ok || e.Type != code || e.StackTrace != nil || e.ShouldExit || e.Message == "" {
		t.Errorf("error %#v, want the code %s", err, code)
	}
	return e.Message
}

// canceled is a transaction that was canceled, for reasons in the order of its
// writes.
func canceled(codes ...string) error {
	e := &types.TransactionCanceledException{Message: aws.String("Transaction cancelled")}
	for _, c := range codes {
		e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String(c), Message: aws.String("because of " + c)})
	}
	return e
}

var errCrash = errors.New("no answer")

// transactions makes the first n transactions fail.
func transactions(n int, f archivetest.Fault) func(archivetest.Call) archivetest.Fault {
	return func(c archivetest.Call) archivetest.Fault {
		if c.Operation == "TransactWriteItems" && c.N <= n {
			return f
		}
		return archivetest.Fault{}
	}
}
