package trip

import (
	"time"

	"github.com/spillway-go/spillway/pkg/saga"
)

// Saga books a hotel, then a flight, then a car; what fails is undone in
// reverse. infra/asl/trip.asl.json is rendered from it.
var Saga = saga.Definition{
	Name:   "trip",
	Within: 45 * time.Minute,
	Stages: []saga.Stage{
		saga.One(book("BookHotel", "hotel", "CancelHotel")),
		saga.One(book("BookFlight", "flight", "CancelFlight")),
		saga.One(book("BookCar", "car", "CancelCar")),
	},
}

func book(name, result, undo string) saga.Step {
	return saga.Step{
		Name: name, Result: result, Business: []string{CodeSoldOut, CodeUnknownItem, saga.CodeInvalidInput},
		Retry: saga.DefaultRetry, Undo: saga.Reversal{By: undo},
	}
}

// States are the states of the machine that call a function, in the order of
// the saga and back.
func States() []string {
	var there, back []string
	for _, st := range Saga.Stages {
		for _, s := range st.Steps {
			there = append(there, s.Name)
			back = append([]string{s.Undo.By}, back...)
		}
	}
	return append(there, back...)
}
