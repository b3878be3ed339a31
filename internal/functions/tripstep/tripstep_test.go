package tripstep

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

// Every step answers its sample, at the calls that it should cost.
func TestSetup(t *testing.T) {
	t.Parallel()
	booked := func(item string) string {
		return `{"confirmation":"01KWEG8Y106S6Y1T5Q9W3V7R2K-1-` + item + `","item":"` + item + `","quantity":1}`
	}
	book, cancel := []string{"TransactWriteItems"}, []string{"GetItem", "TransactWriteItems"}
	for name, tt := range map[string]struct {
		setup  apptest.Setup
		answer string
		calls  []string
	}{
		"BookHotel":    {BookHotel, booked("hotel-grand"), book},
		"BookFlight":   {BookFlight, booked("flight-lh400"), book},
		"BookCar":      {BookCar, booked("car-compact"), book},
		"CancelHotel":  {CancelHotel, `{}`, cancel},
		"CancelFlight": {CancelFlight, `{}`, cancel},
		"CancelCar":    {CancelCar, `{}`, cancel},
	} {
		t.Run(name, func(t *testing.T) {
			testStep(t, tt.setup, name+"Function", strings.ToLower(name), tt.answer, tt.calls)
		})
	}
}

// testStep checks the function behind a step of a saga: its environment with
// [apptest.Check], and what it answers to events/<sample>.json and which calls that
// costs where the tables are empty; with faults enabled it looks for one first.
func testStep(t *testing.T, setup apptest.Setup, function, sample, answer string, calls []string) {
	t.Helper()
	aws := apptest.NewFake(nil)
	values := map[string]string{"RESERVATIONS_TABLE": "reservations", "CONTROL_TABLE": "control", "CHAOS_ENABLED": "false"}
	handler := apptest.Check(t, aws, setup, function, values)
	event := apptest.Sample(t, sample)
	invoke := func(handler any, calls []string) {
		t.Helper()
		before := len(aws.Operations())
		out, err := lambda.NewHandler(handler).Invoke(t.Context(), event)
		if err != nil || string(out) != answer {
			t.Errorf("answer %s, %v, want %s", out, err, answer)
		}
		if got := aws.Operations()[before:]; !slices.Equal(got, calls) {
			t.Errorf("the sample costs %v, want %v", got, calls)
		}
	}
	invoke(handler, calls)

	values["CHAOS_ENABLED"] = "true"
	handler, err := setup(aws.Env(values))
	if err != nil {
		t.Fatal(err)
	}
	invoke(handler, slices.Concat([]string{"Query"}, calls))
}
