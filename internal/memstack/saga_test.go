package memstack_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/client"
)

// supply sets the stock of all items of the booking.
func supply(t *testing.T, s *memstack.Stack, n, cars int) map[string]int {
	t.Helper()
	ask(t, s, adminapi.InventoryPut, adminapi.InventoryPutRequest{Items: []adminapi.StockOrder{
		{ID: "hotel-grand", Available: &n}, {ID: "flight-lh400", Available: &n}, {ID: "car-compact", Available: &cars},
	}})
	return stock(t, s)
}

// stock is what is left of the trip's items.
func stock(t *testing.T, s *memstack.Stack) map[string]int {
	t.Helper()
	left := map[string]int{}
	for _, item := range ask(t, s, adminapi.InventoryGet, adminapi.InventoryGetRequest{}).Items {
		left[item.ID] = item.Available
	}
	return left
}

// A trip is booked by the deployed state machine and its functions.
func TestTrip(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		before := supply(t, s, 3, 3)
		got := ends(t, s, submit(t, s, booking), client.Succeeded)
		after := stock(t, s)
		for id, n := range before {
			if after[id] != n-1 {
				t.Errorf("%d of %s are left of %d", after[id], id, n)
			}
		}
		if len(got.Result) == 0 {
			t.Errorf("got %+v", got)
		}
		s.Await("the execution ends", func() bool { return s.Machine.Executions()[0].Status != types.ExecutionStatusRunning })
		if all := s.Machine.Executions(); len(all) != 1 || all[0].Status != types.ExecutionStatusSucceeded {
			t.Errorf("executions %+v", all)
		}
	})
}

// A trip whose car is sold out gives back hotel and flight.
func TestTripSoldOut(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		before := supply(t, s, 3, 0)
		got := ends(t, s, submit(t, s, booking), client.Failed)
		if got.Error == nil || got.Error.Code != "sold_out" {
			t.Errorf("got %+v", got.Error)
		}
		if after := stock(t, s); !maps.Equal(before, after) {
			t.Errorf("stock %v, want %v", after, before)
		}
	})
}

// A trip that is aborted is undone by another execution.
func TestTripAborted(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		before := supply(t, s, 3, 3)
		aborted := make(chan struct{}) // of this bubble
		s.Inject(func(c memstack.Call) memstack.Fault {
			if c.Function == "BookCarFunction" {
				if all := s.Machine.Executions(); all[0].Status == types.ExecutionStatusRunning {
					s.Machine.End(all[0].Name, types.ExecutionStatusAborted, "")
					close(aborted)
				}
			}
			return memstack.Fault{}
		})
		id := submit(t, s, booking)
		<-aborted
		ends(t, s, id, client.Failed)
		if after := stock(t, s); !maps.Equal(before, after) {
			t.Errorf("stock %v, want %v", after, before)
		}
		if n := len(s.Machine.Executions()); n != 2 {
			t.Errorf("%d executions, want the aborted one and its recovery", n)
		}
	})
}

// Wherever a step's process dies, before its call takes effect and after, and
// however often, a trip is booked whole or not at all.
func TestKilledStepsBookAllOrNothing(t *testing.T) {
	t.Parallel()
	for _, function := range []string{"BookHotelFunction", "BookFlightFunction", "BookCarFunction", "CancelHotelFunction", "CancelFlightFunction"} {
		for _, after := range []bool{false, true} {
			for _, always := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s after %t always %t", function, after, always), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { killedStep(t, function, after, always) })
				})
			}
		}
	}
}

func killedStep(t *testing.T, function string, after, always bool) {
	s := memstack.New(t, memstack.Options{})
	cancels := function[:6] == "Cancel"
	cars := 3
	if cancels {
		cars = 0
	}
	before := supply(t, s, 3, cars)
	kills := 0
	s.Inject(func(c memstack.Call) memstack.Fault {
		if c.Function != function || kills > 0 && !always {
			return memstack.Fault{}
		}
		kills++
		return memstack.Fault{Kill: true, AfterEffect: after}
	})
	id := submit(t, s, booking)
	var got *client.Task
	s.Await("the trip ends", func() bool {
		got = get(t, s, id)
		return got.Status.Finished()
	})
	s.Await("its execution ends", func() bool { return s.Machine.Executions()[0].Status != types.ExecutionStatusRunning })
	left := stock(t, s)
	parked := len(s.SQS.Messages(s.Name("SagaFailuresQueue")))
	switch {
	case kills == 0:
		t.Error("the function was not called")
	case got.Status == client.Succeeded:
		for item, n := range before {
			if left[item] != n-1 {
				t.Errorf("%d of %s are left of %d", left[item], item, n)
			}
		}
	case cancels && always: // the compensation does not get behind its first call, a read: an operator is told
		if parked != 1 {
			t.Errorf("%d compensations are parked, want 1", parked)
		}
	case !maps.Equal(before, left) || parked > 0:
		t.Errorf("%s with stock %v, want %v; %d parked", got.Status, left, before, parked)
	}
}

// Every fault that can be injected into every step, once and each time: a trip
// is booked whole, or undone, or an operator is told of the compensation that
// cannot be made.
func TestFaultsOfTrips(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"BookHotel", "BookFlight", "BookCar", "CancelHotel", "CancelFlight", "CancelCar"} {
		for _, kind := range adminapi.FaultKinds {
			for _, always := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s always %t", step, kind, always), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { faultyStep(t, step, kind, always) })
				})
			}
		}
	}
}

func faultyStep(t *testing.T, step string, kind adminapi.FaultKind, always bool) {
	s := memstack.New(t, memstack.Options{Parameters: map[string]string{"ChaosEnabled": "true"}})
	cancels := strings.HasPrefix(step, "Cancel")
	cars := 3
	if cancels {
		cars = 0 // all is undone
	}
	before := supply(t, s, 3, cars)
	set := adminapi.ChaosSetRequest{Target: "saga." + step, Fault: kind, Times: 1}
	if always {
		set.Times, set.Rate = 0, 1
	}
	if kind == adminapi.FaultLatency {
		set.Latency = "1s"
	}
	ask(t, s, adminapi.ChaosSet, set)
	if step == "CancelCar" { // which a car that is sold out does not need
		ask(t, s, adminapi.ChaosSet, adminapi.ChaosSetRequest{Target: "saga.BookCar", Fault: adminapi.FaultError, Rate: 1})
	}
	id := submit(t, s, booking)
	var got *client.Task
	s.Await("the trip ends", func() bool {
		got = get(t, s, id)
		return got.Status.Finished()
	})
	s.Await("its executions end", func() bool {
		return !slices.ContainsFunc(s.Machine.Executions(), func(e memstack.Execution) bool { return e.Status == types.ExecutionStatusRunning })
	})
	left, parked := stock(t, s), len(s.SQS.Messages(s.Name("SagaFailuresQueue")))
	switch {
	case got.Status == client.Succeeded:
		for item, n := range before {
			if left[item] != n-1 {
				t.Errorf("%d of %s are left of %d", left[item], item, n)
			}
		}
	case parked > 0:
		if !cancels || parked != 1 {
			t.Errorf("%d compensations are parked", parked)
		}
	case !maps.Equal(before, left):
		t.Errorf("%s with stock %v, want %v", got.Status, left, before)
	}
	if harmless := kind == adminapi.FaultLatency || !always && kind != adminapi.FaultBusinessError; harmless && (parked > 0 || !cancels && got.Status != client.Succeeded) {
		t.Errorf("%s, %d parked, by a fault that passes", got.Status, parked)
	}
	stays := always && slices.Contains([]adminapi.FaultKind{adminapi.FaultError, adminapi.FaultPanic, adminapi.FaultTimeout, adminapi.FaultThrottle}, kind)
	if stays && (got.Status == client.Succeeded || cancels != (parked == 1)) {
		t.Errorf("%s, %d parked, by a fault that stays", got.Status, parked)
	}
}
