package trip

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/saga"
)

// Codes of what the business refuses.
const (
	CodeSoldOut     = "sold_out"
	CodeUnknownItem = "unknown_item"
)

// Confirmation is what a booking answers.
type Confirmation struct {
	Confirmation string `json:"confirmation"`
	Item         string `json:"item"`
	Quantity     int    `json:"quantity"` // that the stock gave
}

// Desk books and cancels, in one table. Safe for concurrent use.
type Desk struct {
	table string
	stock *Stock
}

// NewDesk returns the desk of a reservations table.
func NewDesk(stock *Stock) *Desk { return &Desk{table: stock.table, stock: stock} }

// Call is what a booking is called with.
type Call = saga.Call[Input]

// Undo is what a cancellation is called with.
type Undo = saga.Undo[Input, Confirmation]

// BookHotel books a room.
func (d *Desk) BookHotel(ctx context.Context, c Call) (saga.Effect[Confirmation], error) {
	return d.book(ctx, c, c.Input.Hotel.ID, 1)
}

// BookFlight books seats.
func (d *Desk) BookFlight(ctx context.Context, c Call) (saga.Effect[Confirmation], error) {
	return d.book(ctx, c, c.Input.Flight.ID, c.Input.Flight.Seats)
}

// BookCar books a car.
func (d *Desk) BookCar(ctx context.Context, c Call) (saga.Effect[Confirmation], error) {
	return d.book(ctx, c, c.Input.Car.ID, 1)
}

// book takes stock and makes the reservation.
func (d *Desk) book(_ context.Context, c Call, id string, quantity int) (saga.Effect[Confirmation], error) {
	if err := c.Input.Validate(); err != nil {
		return saga.Effect[Confirmation]{}, saga.Business(saga.CodeInvalidInput, err)
	}
	made := Confirmation{Confirmation: c.TaskID + "-" + strconv.Itoa(c.Run) + "-" + id, Item: id, Quantity: quantity}
	reservation := reservationKey(c.Key, c.Step)
	maps.Copy(reservation, item{
		"item": str(id), "quantity": num(int64(quantity)), "traveler": str(c.Input.Traveler), "task_id": str(c.TaskID),
		"confirmation": str(made.Confirmation), "created_at": num(time.Now().UnixMilli()),
	})
	return saga.Effect[Confirmation]{Result: made, Writes: []saga.Write{
		{
			Item: types.TransactWriteItem{Update: &types.Update{
				TableName: &d.table, Key: stockKey(id),
				UpdateExpression: aws.String("SET available = available - :n"), ConditionExpression: aws.String("available >= :n"),
				ExpressionAttributeValues: item{":n": num(int64(quantity))},
			}},
			Refused: func(ctx context.Context) error { return d.refusal(ctx, id, quantity) },
		},
		{
			Item: types.TransactWriteItem{Put: &types.Put{
				TableName: &d.table, Item: reservation, ConditionExpression: aws.String("attribute_not_exists(pk)"),
			}},
		},
	}}, nil
}

// CancelHotel gives the room back.
func (d *Desk) CancelHotel(_ context.Context, u Undo) ([]saga.Write, error) { return d.cancel(u) }

// CancelFlight gives the seats back.
func (d *Desk) CancelFlight(_ context.Context, u Undo) ([]saga.Write, error) { return d.cancel(u) }

// CancelCar gives the car back.
func (d *Desk) CancelCar(_ context.Context, u Undo) ([]saga.Write, error) { return d.cancel(u) }

// cancel deletes the reservation and gives the stock back.
func (d *Desk) cancel(u Undo) ([]saga.Write, error) {
	if u.Result == nil {
		return nil, errors.New("nobody knows whether it was booked: a booking and its record are one transaction, so this cannot be")
	}
	return []saga.Write{
		{Item: types.TransactWriteItem{Delete: &types.Delete{
			TableName: &d.table, Key: reservationKey(u.Key, u.Action), ConditionExpression: aws.String("attribute_exists(pk)"),
		}}},
		{Item: types.TransactWriteItem{Update: &types.Update{
			TableName: &d.table, Key: stockKey(u.Result.Item),
			UpdateExpression: aws.String("SET available = available + :n"), ConditionExpression: aws.String("attribute_exists(available)"),
			ExpressionAttributeValues: item{":n": num(int64(u.Result.Quantity))},
		}}},
	}, nil
}

// refusal is why the stock did not give so many.
func (d *Desk) refusal(ctx context.Context, id string, quantity int) error {
	items, err := d.stock.Get(ctx, []string{id})
	switch {
	case err != nil:
		return err
	case len(items) == 0:
		return saga.Business(CodeUnknownItem, fmt.Errorf("there is no %s", id))
	default:
		return saga.Business(CodeSoldOut, fmt.Errorf("%s has %d left, and %d are asked for", id, items[0].Available, quantity))
	}
}
