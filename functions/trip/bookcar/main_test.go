package main

import (
	"testing"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

func TestSetup(t *testing.T) {
	apptest.Step(t, setup, "BookCarFunction", "bookcar", `{"confirmation":"01KWEG8Y106S6Y1T5Q9W3V7R2K-1-car-compact","item":"car-compact","quantity":1}`, "TransactWriteItems")
}
