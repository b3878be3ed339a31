package main

import (
	"testing"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

func TestSetup(t *testing.T) {
	apptest.Step(t, setup, "BookFlightFunction", "bookflight", `{"confirmation":"01KWEG8Y106S6Y1T5Q9W3V7R2K-1-flight-lh400","item":"flight-lh400","quantity":1}`, "TransactWriteItems")
}
