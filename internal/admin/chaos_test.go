package admin

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/chaos"
)

func TestChaos(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.is(f.ok(`{"command":"chaos.status"}`), nil, `{"ok": true, "enabled": true, "faults": []}`)
		began := time.Now()
		a := f.ok(`{"command":"chaos.set","target":"saga.BookFlight","fault":"panic","times":2,"by":"me"}`)
		f.is(a, nil, `{"ok": true, "target": "saga.BookFlight", "fault": "panic", "times_left": 2, "until": "TIME", "by": "me"}`)
		if want := began.Add(10 * time.Minute).UTC().Format("2006-01-02T15:04:05.000Z"); a["until"] != want {
			f.Errorf("until %s, want %s", a["until"], want)
		}
		f.ok(`{"command":"chaos.set","target":"saga.CancelHotel","fault":"latency","rate":0.25,"latency":"1m30s","for":"1h"}`)

		injector := chaos.New(f.control, controlTable, nil)
		handler := injector.At("saga.BookFlight")(func(_ context.Context, _ json.RawMessage) (json.RawMessage, error) { return nil, nil })
		for n := range 3 {
			if panics := panicked(func() { _, _ = handler(f.Context(), nil) }); panics != (n < 2) {
				f.Errorf("call %d: panic %t", n, panics)
			}
		}

		f.is(f.ok(`{"command":"chaos.status"}`), nil, `{"ok": true, "enabled": true, "faults": [
			{"target": "saga.BookFlight", "fault": "panic", "times_left": 0, "until": "TIME", "by": "me"},
			{"target": "saga.CancelHotel", "fault": "latency", "rate": 0.25, "latency": "1m30s", "until": "TIME"}]}`)
		f.is(f.ok(`{"command":"chaos.clear","target":"saga.CancelHotel"}`), nil, `{"ok": true, "cleared": ["saga.CancelHotel"]}`)
		f.is(f.ok(`{"command":"chaos.clear"}`), nil, `{"ok": true, "cleared": ["saga.BookFlight"]}`)
		f.is(f.ok(`{"command":"chaos.clear","by":"me"}`), nil, `{"ok": true, "cleared": []}`)

		f.is(f.ok(`{"command":"chaos.set","target":"saga.BookFlight","execution":"01A-1","fault":"panic","rate":1}`), nil,
			`{"ok": true, "target": "saga.BookFlight", "execution": "01A-1", "fault": "panic", "rate": 1, "until": "TIME"}`)
		f.is(f.ok(`{"command":"chaos.clear","execution":"01A-2"}`), nil, `{"ok": true, "cleared": []}`)
		f.is(f.ok(`{"command":"chaos.clear","execution":"01A-1"}`), nil, `{"ok": true, "cleared": ["saga.BookFlight"]}`)
	})
}

func panicked(fn func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	fn()
	return false
}

// A stack that was deployed without it injects nothing, whatever is asked.
func TestChaosDisabled(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.chaos = nil
		for _, payload := range []string{
			`{"command":"chaos.status"}`, `{"command":"chaos.clear"}`, `{"command":"chaos.set"}`,
			`{"command":"chaos.set","target":"saga.BookFlight","fault":"panic","times":1}`, `{"command":"chaos.clear","target":"http"}`,
		} {
			if got := f.refused(payload, adminapi.CodeChaosDisabled); !strings.Contains(got, "ChaosEnabled=true") {
				f.Errorf("%s: %s", payload, got)
			}
		}
		if calls := f.control.Calls(); len(calls) > 0 {
			f.Errorf("calls %v", calls)
		}
	})
}

func TestChaosRefused(t *testing.T) {
	bubble(t, func(f *fixture) {
		const known = "saga.BookFlight, saga.CancelHotel"
		for _, tt := range []struct {
			payload string
			code    adminapi.Code
			message string
		}{
			{`"chaos.set"`, adminapi.CodeInvalid, `there is no target "": known are ` + known},
			{`"chaos.set","target":"saga.BookTrain"`, adminapi.CodeInvalid, `there is no target "saga.BookTrain": known are ` + known},
			{`"chaos.set","target":"http","fault":"panic","times":1`, adminapi.CodeUnsupported, "faults of http cannot be injected yet: only steps can fail, which are " + known},
			{`"chaos.set","target":"dynamodb"`, adminapi.CodeUnsupported, "faults of dynamodb cannot be injected yet"},
			{`"chaos.set","target":"sqs"`, adminapi.CodeUnsupported, "faults of sqs cannot be injected yet"},
			{`"chaos.set","target":"sfn"`, adminapi.CodeUnsupported, "faults of sfn cannot be injected yet"},
			{`"chaos.set","target":"saga.BookFlight","fault":"melt","times":1`, adminapi.CodeInvalid, `there is no fault "melt": known are business_error, error, panic,`},
			{`"chaos.set","target":"saga.BookFlight","fault":"panic"`, adminapi.CodeInvalid, "it needs a rate"},
			{`"chaos.set","target":"saga.BookFlight","fault":"panic","rate":1,"times":1`, adminapi.CodeInvalid, "rate and times exclude each other"},
			{`"chaos.set","target":"saga.BookFlight","fault":"panic","times":-1`, adminapi.CodeInvalid, "times is -1"},
			{`"chaos.set","target":"saga.BookFlight","fault":"panic","times":1,"for":"2h"`, adminapi.CodeInvalid, "for is 2h0m0s: a fault is set for 1s to 1h"},
			{`"chaos.set","target":"saga.BookFlight","fault":"panic","times":1,"for":"2 hours"`, adminapi.CodeInvalid, `"for" is "2 hours", which is no duration such as "90s"`},
			{`"chaos.set","target":"saga.BookFlight","fault":"latency","times":1,"latency":"long"`, adminapi.CodeInvalid, `"latency" is "long", which is no duration`},
			{`"chaos.set","target":"saga.BookFlight","fault":"latency","times":1`, adminapi.CodeInvalid, "this fault needs one, from 1ms to 15m"},
			{`"chaos.set","target":"saga.BookFlight","execution":"01A 1","fault":"panic","times":1`, adminapi.CodeInvalid, `"01A 1" is no execution`},
			{`"chaos.clear","target":"saga.BookFlight","execution":"01A-1"`, adminapi.CodeInvalid, "exclude each other"},
			{`"chaos.clear","target":"saga.BookTrain"`, adminapi.CodeInvalid, `there is no target "saga.BookTrain"`},
			{`"chaos.clear","target":"sfn"`, adminapi.CodeUnsupported, "faults of sfn cannot be injected yet"},
		} {
			if got := f.refused(`{"command":`+tt.payload+`}`, tt.code); !strings.Contains(got, tt.message) {
				f.Errorf("%s: %s, want %s", tt.payload, got, tt.message)
			}
		}
		if calls := f.control.Calls(); len(calls) > 0 {
			f.Errorf("calls %v", calls)
		}
	})
}
