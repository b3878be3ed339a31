package main

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/client"
)

// tripStack is a stack that books trips: there is no engine in memory that runs
// their sagas. It answers the admin function's commands and the API over one
// stock.
type tripStack struct {
	admin *wire
	api   *fakeAPI

	// A test may set these before the first request.
	noChaos bool
	leaks   bool // a car that is gone leaves the flight booked
	twist   func(trip int, t *client.Task)

	mu     sync.Mutex
	stock  map[string]int
	broken bool // the hotel cannot be canceled
	parked bool
	trips  int
}

func newTripStack(t *testing.T) *tripStack {
	t.Helper()
	s := &tripStack{api: newFakeAPI(t), stock: map[string]int{"car-others": 7}}
	s.admin, s.api.trip = newWire(t, s.answer), s.book
	return s
}

func (s *tripStack) answer(q asked) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch q.Command {
	case string(adminapi.InventoryPut):
		for _, item := range q.Items {
			s.stock[item.ID] = *item.Available
		}
		return adminapi.InventoryAnswer{}
	case string(adminapi.InventoryGet):
		answer := adminapi.InventoryAnswer{}
		for _, id := range q.IDs {
			answer.Items = append(answer.Items, adminapi.StockItem{ID: id, Available: s.stock[id]})
		}
		return answer
	case string(adminapi.ChaosSet), string(adminapi.ChaosClear):
		if s.noChaos {
			return refusedAs(adminapi.CodeChaosDisabled)
		}
		if q.Target != "saga.CancelHotel" {
			return refusedAs(adminapi.CodeInvalid)
		}
		if s.broken = q.Command == string(adminapi.ChaosSet); !s.broken {
			return adminapi.ChaosClearAnswer{Cleared: []string{q.Target}}
		}
		return adminapi.Fault{Target: q.Target, Fault: adminapi.FaultError, Rate: 1}
	case string(adminapi.SagaResume):
		if !s.parked || q.Step != "CancelHotel" || !strings.HasSuffix(q.Execution, "-1") {
			return refusedAs(adminapi.CodeNotFound)
		}
		if s.broken {
			return refusedAs(adminapi.CodeCompensation)
		}
		s.parked = false
		s.stock[demoHotel]++
		return adminapi.SagaHandled{Execution: q.Execution, Step: q.Step, Outcome: adminapi.HandledResumed, JobID: "01JOB"}
	default:
		return refusedAs(adminapi.CodeUnknownCommand)
	}
}

// book ends a trip as the saga does.
func (s *tripStack) book(t *client.Task, input json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in tripInput
	_ = json.Unmarshal(input, &in)
	s.trips++
	s.stock[in.Hotel.ID]--
	s.stock[in.Flight.ID] -= in.Flight.Seats
	switch {
	case s.stock[in.Car.ID] > 0:
		s.stock[in.Car.ID]--
		t.Status = client.Succeeded
	case s.broken:
		s.stock[in.Flight.ID] += in.Flight.Seats
		s.parked = true
		t.Status, t.Error = client.Failed, &client.TaskError{Code: "compensation_failed", Message: "not undone: CancelHotel"}
	default:
		s.stock[in.Hotel.ID]++
		if !s.leaks {
			s.stock[in.Flight.ID] += in.Flight.Seats
		}
		t.Status, t.Error = client.Failed, &client.TaskError{Code: "sold_out", Message: "none is left"}
	}
	if s.twist != nil {
		s.twist(s.trips, t)
	}
}

func TestDemoTrips(t *testing.T) {
	t.Parallel()
	const ended = "Every trip ended as it had to, and the stock is what was not booked."
	for _, tt := range []struct {
		name  string
		set   func(*tripStack)
		code  int
		want  []string
		trips int
		left  map[string]int // in the end
	}{
		{
			"as it has to be", func(*tripStack) {}, exitOK,
			[]string{
				"Trip 1: booked\n  task 01J", ": succeeded\n  left: hotel-demo 4 flight-demo 4 car-demo 4\n  more of it: spillway saga show 01J00000000000000000000001-1\n",
				": failed, sold_out: none is left\n  left: hotel-demo 4 flight-demo 4 car-demo 4\n",
				": failed, compensation_failed: not undone: CancelHotel\n  left: hotel-demo 3 flight-demo 4 car-demo 4\n" +
					"  the fault is gone: spillway saga resume 01J00000000000000000000003-1 CancelHotel\n  left: hotel-demo 4 flight-demo 4 car-demo 4\n", ended,
			},
			3,
			map[string]int{"hotel-demo": 4, "flight-demo": 4, "car-demo": 4, "car-demo-gone": 0, "car-others": 7},
		},
		{
			"without faults", func(s *tripStack) { s.noChaos = true }, exitOK,
			[]string{"Trip 3: no car left, and the hotel cannot be canceled\n  left out: the stack does not allow faults (ChaosEnabled)\n", ended},
			2,
			map[string]int{"hotel-demo": 4, "flight-demo": 4, "car-demo": 4, "car-demo-gone": 0, "car-others": 7},
		},
		{
			"a flight that stays booked", func(s *tripStack) { s.leaks = true }, exitFailed,
			[]string{"left: hotel-demo 4 flight-demo 3 car-demo 4\n  This should not be: it has to be 4 of each\n"},
			3,
			map[string]int{"hotel-demo": 4, "flight-demo": 3, "car-demo": 4, "car-demo-gone": 0, "car-others": 7},
		},
		{
			"another end", func(s *tripStack) {
				s.twist = func(trip int, t *client.Task) {
					if trip == 2 {
						t.Error.Code = "handler_error"
					}
				}
			}, exitFailed,
			[]string{"failed, handler_error: none is left\n  This should not be: it had to end as failed sold_out\n"},
			3,
			map[string]int{"hotel-demo": 4, "flight-demo": 4, "car-demo": 4, "car-demo-gone": 0, "car-others": 7},
		},
		{
			"nothing to resume", func(s *tripStack) {
				s.twist = func(trip int, _ *client.Task) {
					if trip == 3 {
						s.parked = false
					}
				}
			}, exitFailed,
			[]string{"Trip 3", "the function says not_found"},
			3,
			map[string]int{"hotel-demo": 3, "flight-demo": 4, "car-demo": 4, "car-demo-gone": 0, "car-others": 7},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newTripStack(t)
			tt.set(s)
			ta := s.admin.newOperator()
			if code := ta.try(t, s.api.url, "demo", "trips"); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want...)
			if tt.code != exitOK && strings.Contains(ta.stdout.String(), ended) {
				t.Errorf("no, not every trip:\n%s", ta.stdout)
			}
			if s.trips != tt.trips || s.broken {
				t.Errorf("%d trips, a fault is left: %t", s.trips, s.broken)
			}
			if diff := cmp.Diff(tt.left, s.stock); diff != "" {
				t.Errorf("stock (-want +got):\n%s", diff)
			}
			if sent := s.admin.sent(); tt.trips == 3 && !slices.Contains(sent, "chaos.clear") {
				t.Errorf("sent %v", sent)
			}
		})
	}
}

func TestDemoTripsRefused(t *testing.T) {
	t.Parallel()
	s := newTripStack(t)
	ta := s.admin.newOperator()
	if code := ta.try(t, s.api.url, "demo", "trips", "-o", "json"); code != exitUsage {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "demo trips has no JSON output")
	s.admin.answer = only(refusedAs(adminapi.CodeUnknownCommand))
	ta = s.admin.newOperator()
	if code := ta.try(t, s.api.url, "demo", "trips"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "the stack is older than this program")
	if s.trips > 0 {
		t.Errorf("%d trips", s.trips)
	}
}
