package handlers_test

import (
	"testing"

	"github.com/spillway-go/spillway/internal/handlers"
	"github.com/spillway-go/spillway/internal/trip"
)

// What trips are submitted with is checked before they are accepted.
func TestTripTypes(t *testing.T) {
	t.Parallel()
	mux := handlers.Mux(handlers.Checks())
	const good = `{"traveler":"Ada","hotel":{"id":"hotel-1","nights":2},"flight":{"id":"flight-1","seats":1},"car":{"id":"car-1","days":2}}`
	for name, tt := range map[string]struct {
		typ, input string
		ok         bool
	}{
		"a trip":             {trip.Type, good, true},
		"half a trip":        {trip.Type, `{"traveler":"Ada","hotel":{"id":"hotel-1","nights":2}}`, false},
		"an export":          {trip.ExportType, `{}`, true},
		"an export of much":  {trip.ExportType, `{"page_size":100000}`, false},
		"an export of a car": {trip.ExportType, `{"car":"car-1"}`, false},
	} {
		if err := mux.Check(tt.typ, []byte(tt.input)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
