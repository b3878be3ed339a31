package main

import (
	"testing"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

func TestSetup(t *testing.T) {
	apptest.Step(t, setup, "CancelCarFunction", "cancelcar", `{}`, "GetItem", "TransactWriteItems")
}
