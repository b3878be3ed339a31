package main

import (
	"testing"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

func TestSetup(t *testing.T) {
	apptest.Step(t, setup, "BookFlightFunction", "bookflight", `{"confirmation":"01JD8Z9X6S6Y1T5Q9W3V7R2K4M-1-flight-1","item":"flight-1","quantity":1}`, "TransactWriteItems")
}
