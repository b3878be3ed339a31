package trip

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Type is the task type that books a trip.
const Type = "trip.book"

// Input is what a trip.book task asks for.
type Input struct {
	Traveler string `json:"traveler"`
	Hotel    Hotel  `json:"hotel"`
	Flight   Flight `json:"flight"`
	Car      Car    `json:"car"`
}

// Hotel is a room for some nights. It takes one room of the stock.
type Hotel struct {
	ID     string `json:"id"`
	Nights int    `json:"nights"`
}

// Flight is some seats, each of which the stock counts.
type Flight struct {
	ID    string `json:"id"`
	Seats int    `json:"seats"`
}

// Car is a car for some days. It takes one of the stock.
type Car struct {
	ID   string `json:"id"`
	Days int    `json:"days"`
}

const (
	maxTraveler = 100 // characters
	maxNumber   = 30  // nights, seats, days
)

// Validate says what is wrong with the input.
func (in Input) Validate() error {
	if n := utf8.RuneCountInString(in.Traveler); n == 0 || n > maxTraveler {
		return fmt.Errorf("traveler has %d characters: give a name of 1 to %d", n, maxTraveler)
	}
	for _, part := range []struct {
		kind, id, count string
		n               int
	}{
		{"hotel", in.Hotel.ID, "nights", in.Hotel.Nights}, {"flight", in.Flight.ID, "seats", in.Flight.Seats}, {"car", in.Car.ID, "days", in.Car.Days},
	} {
		if err := CheckID(part.id); err != nil || !strings.HasPrefix(part.id, part.kind+"-") {
			return fmt.Errorf("%s.id is no id of a %s: it is like %s-1, of at most %d lower-case letters, digits and hyphens", part.kind, part.kind, part.kind, maxID)
		}
		if part.n < 1 || part.n > maxNumber {
			return fmt.Errorf("%s.%s is %d: give 1 to %d", part.kind, part.count, part.n, maxNumber)
		}
	}
	return nil
}

const maxID = 64

var itemID = regexp.MustCompile(`^(hotel|flight|car)-[a-z0-9-]*[a-z0-9]$`)

// CheckID reports whether an item of the stock can have this id.
func CheckID(id string) error {
	if len(id) > maxID || !itemID.MatchString(id) {
		return fmt.Errorf("an item's id begins with hotel-, flight- or car-, and has at most %d lower-case letters, digits and hyphens", maxID)
	}
	return nil
}
