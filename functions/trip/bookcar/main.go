// BookCar books a car, as a step of the trip.
package main

import (
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/functions/tripstep"
)

func main() { app.Run(tripstep.BookCar) }
