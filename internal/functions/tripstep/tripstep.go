// Package tripstep sets up the functions behind the steps of the trip, one
// exported function for each.
package tripstep

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/saga"
)

// setup wraps a step's handler with the injection of faults, outermost, so that
// an injected error reaches Lambda as it is.
func setup(env *app.Env, step string, handler func(*saga.Ledger, *trip.Desk) saga.Handler) (any, error) {
	cfg := env.AWS()
	reservations, control, inject := env.String("RESERVATIONS_TABLE"), env.String("CONTROL_TABLE"), env.Bool("CHAOS_ENABLED")
	if err := env.Err(); err != nil {
		return nil, err
	}
	tables := dynamodb.NewFromConfig(cfg)
	var faults *chaos.Injector
	if inject {
		faults = chaos.New(tables, control, &chaos.Options{BusinessCode: trip.CodeSoldOut, Execution: saga.KeyOfCall})
	}
	h := handler(saga.NewLedger(tables, reservations, nil), trip.NewDesk(trip.NewStock(tables, reservations)))
	return faults.At(chaos.Step(step))(h), nil
}

// BookHotel books a room of a hotel.
func BookHotel(env *app.Env) (any, error) {
	return setup(env, "BookHotel", func(l *saga.Ledger, d *trip.Desk) saga.Handler { return saga.Action(l, d.BookHotel) })
}

// BookFlight books seats of a flight.
func BookFlight(env *app.Env) (any, error) {
	return setup(env, "BookFlight", func(l *saga.Ledger, d *trip.Desk) saga.Handler { return saga.Action(l, d.BookFlight) })
}

// BookCar books a car.
func BookCar(env *app.Env) (any, error) {
	return setup(env, "BookCar", func(l *saga.Ledger, d *trip.Desk) saga.Handler { return saga.Action(l, d.BookCar) })
}

// CancelHotel cancels a room of a hotel.
func CancelHotel(env *app.Env) (any, error) {
	return setup(env, "CancelHotel", func(l *saga.Ledger, d *trip.Desk) saga.Handler { return saga.Compensation(l, d.CancelHotel) })
}

// CancelFlight cancels seats of a flight.
func CancelFlight(env *app.Env) (any, error) {
	return setup(env, "CancelFlight", func(l *saga.Ledger, d *trip.Desk) saga.Handler { return saga.Compensation(l, d.CancelFlight) })
}

// CancelCar cancels a car.
func CancelCar(env *app.Env) (any, error) {
	return setup(env, "CancelCar", func(l *saga.Ledger, d *trip.Desk) saga.Handler { return saga.Compensation(l, d.CancelCar) })
}
