package trip_test

import (
	"strings"
	"testing"

	"github.com/spillway-go/spillway/internal/trip"
)

// asked is a trip that nothing is wrong with.
func asked() trip.Input {
	return trip.Input{
		Traveler: "Ada Lovelace", Hotel: trip.Hotel{ID: "hotel-1", Nights: 2}, Flight: trip.Flight{ID: "flight-1", Seats: 3}, Car: trip.Car{ID: "car-1", Days: 2},
	}
}

func TestInput(t *testing.T) {
	t.Parallel()
	const (
		name  = " characters: give a name of 1 to 100"
		hotel = "hotel.id is no id of a hotel: it is like hotel-1, of at most 64 lower-case letters, digits and hyphens"
	)
	for change, tt := range map[string]struct {
		make func(*trip.Input)
		want string
	}{
		"none":                  {func(*trip.Input) {}, ""},
		"no traveler":           {func(in *trip.Input) { in.Traveler = "" }, "traveler has 0" + name},
		"longest traveler":      {func(in *trip.Input) { in.Traveler = strings.Repeat("é", 100) }, ""},
		"traveler too long":     {func(in *trip.Input) { in.Traveler = strings.Repeat("é", 101) }, "traveler has 101" + name},
		"no hotel":              {func(in *trip.Input) { in.Hotel.ID = "" }, hotel},
		"a car for a hotel":     {func(in *trip.Input) { in.Hotel.ID = "car-1" }, hotel},
		"nothing behind it":     {func(in *trip.Input) { in.Hotel.ID = "hotel-" }, hotel},
		"upper case":            {func(in *trip.Input) { in.Hotel.ID = "hotel-A" }, hotel},
		"another key":           {func(in *trip.Input) { in.Hotel.ID = "hotel-1#stock" }, hotel},
		"a line more":           {func(in *trip.Input) { in.Hotel.ID = "hotel-1\n" }, hotel},
		"longest id":            {func(in *trip.Input) { in.Hotel.ID = "hotel-" + strings.Repeat("x", 58) }, ""},
		"id too long":           {func(in *trip.Input) { in.Hotel.ID = "hotel-" + strings.Repeat("x", 59) }, hotel},
		"a hotel of many words": {func(in *trip.Input) { in.Hotel.ID = "hotel-on-the-hill-2" }, ""},
		"no nights":             {func(in *trip.Input) { in.Hotel.Nights = 0 }, "hotel.nights is 0: give 1 to 30"},
		"most nights":           {func(in *trip.Input) { in.Hotel.Nights = 30 }, ""},
		"too many nights":       {func(in *trip.Input) { in.Hotel.Nights = 31 }, "hotel.nights is 31: give 1 to 30"},
		"no flight":             {func(in *trip.Input) { in.Flight.ID = "" }, strings.ReplaceAll(hotel, "hotel", "flight")},
		"no seats":              {func(in *trip.Input) { in.Flight.Seats = -1 }, "flight.seats is -1: give 1 to 30"},
		"too many seats":        {func(in *trip.Input) { in.Flight.Seats = 31 }, "flight.seats is 31: give 1 to 30"},
		"no car":                {func(in *trip.Input) { in.Car.ID = "flight-1" }, strings.ReplaceAll(hotel, "hotel", "car")},
		"no days":               {func(in *trip.Input) { in.Car.Days = 0 }, "car.days is 0: give 1 to 30"},
		"too many days":         {func(in *trip.Input) { in.Car.Days = 31 }, "car.days is 31: give 1 to 30"},
	} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			in := asked()
			tt.make(&in)
			got := ""
			if err := in.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
