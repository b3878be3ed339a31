// BookCar books a car, as a step of the trip.
package main

import (
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/app/tripstep"
	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/saga"
)

func main() { app.Run(setup) }

func setup(env *app.Env) (any, error) {
	return tripstep.Setup(env, "BookCar", func(l *saga.Ledger, d *trip.Desk) saga.Handler { return saga.Action(l, d.BookCar) })
}
