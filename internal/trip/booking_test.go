package trip_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	sagas "github.com/spillway-go/spillway/pkg/saga"
)

// agency is the functions of a trip over a table in memory, called as the state
// machine calls them.
type agency struct {
	*testing.T
	db    *archivetest.Table
	stock *trip.Stock
	steps map[string]sagas.Handler
	undo  map[string]string // of which action a compensation is
}

func newAgency(t *testing.T, items ...trip.Item) *agency {
	t.Helper()
	a := &agency{T: t, db: archivetest.NewTable(), undo: map[string]string{}}
	a.stock = trip.NewStock(a.db, "reservations")
	l, d := sagas.NewLedger(a.db, "reservations", nil), trip.NewDesk(a.stock)
	a.steps = map[string]sagas.Handler{
		"BookHotel": sagas.Action(l, d.BookHotel), "CancelHotel": sagas.Compensation(l, d.CancelHotel),
		"BookFlight": sagas.Action(l, d.BookFlight), "CancelFlight": sagas.Compensation(l, d.CancelFlight),
		"BookCar": sagas.Action(l, d.BookCar), "CancelCar": sagas.Compensation(l, d.CancelCar),
	}
	for _, st := range trip.Saga.Stages {
		for _, s := range st.Steps {
			a.undo[s.Undo.By] = s.Name
		}
	}
	if err := a.stock.Put(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	return a
}

// call calls a step for a task; the code is that of its error.
func (a *agency) call(task, step string, in trip.Input) (answer, code, message string) {
	a.Helper()
	payload := map[string]any{"task_id": task, "run": 1, "key": task + "-1", "step": step, "input": in}
	if of := a.undo[step]; of != "" {
		payload["action"] = of
	} else {
		payload["results"] = map[string]any{}
	}
	raw, err := json.Marshal(payload)
	if err != nil {
		a.Fatal(err)
	}
	out, err := a.steps[step](context.Background(), raw)
	if err == nil {
		return string(out), "", ""
	}
	failure, ok := errors.AsType[messages.InvokeResponse_Error](err)
	if !ok {
		a.Errorf("%s: an error without a type: %v", step, err)
	}
	return string(out), failure.Type, failure.Message
}

// book goes the way of the state machine: forward to the end, or back from
// where it failed. It returns the code of the failure.
func (a *agency) book(task string, in trip.Input) string {
	a.Helper()
	states := trip.States()
	there, back := states[:3], states[3:]
	for i, step := range there {
		_, code, _ := a.call(task, step, in)
		if code == "" {
			continue
		}
		for _, undo := range back[len(back)-i:] {
			if out, code, message := a.call(task, undo, in); out != `{}` {
				a.Errorf("%s: %s %s %s", undo, out, code, message)
			}
		}
		return code
	}
	return ""
}

// has checks what is available.
func (a *agency) has(want ...trip.Item) {
	a.Helper()
	got, all, err := a.stock.All(context.Background())
	if diff := cmp.Diff(got, want); diff != "" || !all || err != nil {
		a.Errorf("stock, %t, %v (-got +want)\n%s", all, err, diff)
	}
}

// reservations are the keys of those that there are.
func (a *agency) reservations() (keys []string) {
	for _, k := range a.db.Keys() {
		if of, ok := strings.CutPrefix(k.PK, "reservation#"); ok {
			keys = append(keys, of+"/"+k.SK)
		}
	}
	return keys
}

func three(car, flight, hotel int) []trip.Item {
	return []trip.Item{{ID: "car-1", Available: car}, {ID: "flight-1", Available: flight}, {ID: "hotel-1", Available: hotel}}
}

func TestTrip(t *testing.T) {
	t.Parallel()
	a := newAgency(t, three(5, 5, 5)...)
	for range 2 { // a step that is called again answers the same
		for step, want := range map[string]string{
			"BookHotel":  `{"confirmation":"01A-1-hotel-1","item":"hotel-1","quantity":1}`,
			"BookFlight": `{"confirmation":"01A-1-flight-1","item":"flight-1","quantity":3}`,
			"BookCar":    `{"confirmation":"01A-1-car-1","item":"car-1","quantity":1}`,
		} {
			if out, code, message := a.call("01A", step, asked()); out != want {
				t.Errorf("%s: %s %s %s", step, out, code, message)
			}
		}
	}
	a.has(three(4, 2, 4)...)
	if got, want := a.reservations(), []string{"01A-1/BookCar", "01A-1/BookFlight", "01A-1/BookHotel"}; !slices.Equal(got, want) {
		t.Errorf("reservations %v", got)
	}
	flight := a.db.Item("reservation#01A-1", "BookFlight")
	if _, ok := flight["created_at"].(*types.AttributeValueMemberN); !ok {
		t.Error("it does not say when it was made")
	}
	delete(flight, "created_at")
	if got := fmt.Sprint(plain(flight)); got != "map[confirmation:01A-1-flight-1 item:flight-1 pk:reservation#01A-1 quantity:3 sk:BookFlight task_id:01A traveler:Ada Lovelace]" {
		t.Errorf("the reservation is %s", got)
	}
	for _, step := range []string{"CancelCar", "CancelFlight", "CancelHotel", "CancelHotel"} {
		if out, code, message := a.call("01A", step, asked()); out != `{}` {
			t.Errorf("%s: %s %s %s", step, out, code, message)
		}
	}
	a.has(three(5, 5, 5)...)
	if got := a.reservations(); got != nil {
		t.Errorf("reservations %v", got)
	}
	if _, code, _ := a.call("01A", "BookHotel", asked()); code != sagas.CodeCompensated {
		t.Errorf("a booking that comes late is %q", code)
	}
}

// plain are the texts of an item.
func plain(it item) map[string]string {
	texts := map[string]string{}
	for name, v := range it {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			texts[name] = v.Value
		case *types.AttributeValueMemberN:
			texts[name] = v.Value
		}
	}
	return texts
}

// What one step refuses gives back what those before it took.
func TestTripRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stock []trip.Item
		step  string
		code  string
		words string
	}{
		"no room":       {three(1, 3, 0), "BookHotel", "sold_out", "hotel-1 has 0 left, and 1 are asked for"},
		"too few seats": {three(1, 2, 1), "BookFlight", "sold_out", "flight-1 has 2 left, and 3 are asked for"},
		"no car":        {three(0, 3, 1), "BookCar", "sold_out", "car-1 has 0 left, and 1 are asked for"},
		"no such car":   {three(1, 3, 1)[1:], "BookCar", "unknown_item", "there is no car-1"},
		"no such hotel": {three(1, 3, 1)[:2], "BookHotel", "unknown_item", "there is no hotel-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAgency(t, tt.stock...)
			if code := a.book("01A", asked()); code != tt.code {
				t.Errorf("failed with %q", code)
			}
			a.has(tt.stock...)
			if got := a.reservations(); got != nil {
				t.Errorf("reservations %v", got)
			}
			if _, code, message := a.call("01B", tt.step, asked()); code != tt.code || message != tt.words {
				t.Errorf("%s: %s", code, message)
			}
		})
	}
}

// A trip that is no trip takes nothing.
func TestTripInvalid(t *testing.T) {
	t.Parallel()
	a := newAgency(t, three(5, 5, 5)...)
	in := asked()
	in.Car.Days = 0
	for _, step := range trip.States()[:3] {
		if _, code, message := a.call("01A", step, in); code != sagas.CodeInvalidInput || message != "car.days is 0: give 1 to 30" {
			t.Errorf("%s: %s: %s", step, code, message)
		}
	}
	a.has(three(5, 5, 5)...)
}

// Nobody says that something is sold out who could not look.
func TestTripUnknownReason(t *testing.T) {
	t.Parallel()
	a := newAgency(t, three(0, 0, 0)...)
	a.db.Inject(func(c archivetest.Call) archivetest.Fault {
		if c.Operation == "GetItem" {
			return archivetest.Fault{Err: errors.New("no connection")}
		}
		return archivetest.Fault{}
	})
	if _, code, message := a.call("01A", "BookCar", asked()); code != "step_failed" || message != "get car-1: no connection" {
		t.Errorf("%s: %s", code, message)
	}
}

// Fifty rooms, forty cars, and seats for thirty, of two hundred who all want a
// trip: what is sold is what is missing.
func TestTripsAtOnce(t *testing.T) {
	t.Parallel()
	const rooms, cars, seats, travelers = 50, 40, 90, 200
	a := newAgency(t, three(cars, seats, rooms)...)
	codes := make([]string, travelers)
	var wg sync.WaitGroup
	for i := range travelers {
		wg.Go(func() { codes[i] = a.book(fmt.Sprintf("%03d", i), asked()) })
	}
	wg.Wait()
	booked := 0
	for _, code := range codes {
		switch code {
		case "":
			booked++
		case "sold_out":
		default:
			t.Errorf("somebody failed with %q", code)
		}
	}
	if booked == 0 || booked > seats/3 {
		t.Errorf("%d trips are booked", booked)
	}
	a.has(three(cars-booked, seats-3*booked, rooms-booked)...)
	if got := len(a.reservations()); got != 3*booked {
		t.Errorf("%d trips have %d reservations", booked, got)
	}
}

// Two hundred want one of fifty rooms: all of them are sold, and none twice.
func TestRoomsAtOnce(t *testing.T) {
	t.Parallel()
	a := newAgency(t, trip.Item{ID: "hotel-1", Available: 50})
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[string]int{}
	for i := range 200 {
		wg.Go(func() {
			_, code, _ := a.call(fmt.Sprintf("%03d", i), "BookHotel", asked())
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	wg.Wait()
	if diff := cmp.Diff(codes, map[string]int{"": 50, "sold_out": 150}); diff != "" {
		t.Errorf("outcomes (-got +want)\n%s", diff)
	}
	a.has(trip.Item{ID: "hotel-1"})
	for i := range 200 { // and now all of them give up
		wg.Go(func() { a.call(fmt.Sprintf("%03d", i), "CancelHotel", asked()) })
	}
	wg.Wait()
	a.has(trip.Item{ID: "hotel-1", Available: 50})
	if got := a.reservations(); got != nil {
		t.Errorf("reservations %v", got)
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	if got, want := trip.States(), []string{"BookHotel", "BookFlight", "BookCar", "CancelCar", "CancelFlight", "CancelHotel"}; !slices.Equal(got, want) {
		t.Errorf("States = %v", got)
	}
	if err := trip.Saga.Check(); err != nil {
		t.Error(err)
	}
}
