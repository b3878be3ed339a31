package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/client"
)

// tripInput is the input of trip.book.
type tripInput struct {
	Traveler string     `json:"traveler"`
	Hotel    tripHotel  `json:"hotel"`
	Flight   tripFlight `json:"flight"`
	Car      tripCar    `json:"car"`
}

type tripHotel struct {
	ID     string `json:"id"`
	Nights int    `json:"nights"`
}

type tripFlight struct {
	ID    string `json:"id"`
	Seats int    `json:"seats"`
}

type tripCar struct {
	ID   string `json:"id"`
	Days int    `json:"days"`
}

// demoTrip is one trip of the demonstration, and how it has to end.
type demoTrip struct {
	about  string
	car    string
	want   client.Status
	code   string // of the error
	fault  string // set while it runs; the compensation that fails
	booked bool
}

// What the trips book. Only these are looked at, so that others' trips do not
// get in the way.
const (
	demoHotel, demoFlight  = "hotel-demo", "flight-demo"
	demoCar, demoNoCar     = "car-demo", "car-demo-gone"
	demoStock              = 5
	demoCancel, demoTarget = "CancelHotel", "saga.CancelHotel"
)

var demoTrips = []demoTrip{
	{about: "booked", car: demoCar, want: client.Succeeded, booked: true},
	{about: "no car left: hotel and flight are canceled again", car: demoNoCar, want: client.Failed, code: "sold_out"},
	{about: "no car left, and the hotel cannot be canceled", car: demoNoCar, want: client.Failed, code: "compensation_failed", fault: demoTarget},
}

func (a *app) demoTripsCommand() *cobra.Command {
	o := &operator{app: a}
	cmd := &cobra.Command{
		Use:   "trips",
		Short: "Book trips, of which some have to be undone",
		Long: `Book three trips and watch the stock: one that succeeds, one for which no car is
left, and one whose hotel cannot be canceled at first and is then resumed.

Works through the API and the stack's admin function. Needs a stack that was
deployed with ChaosEnabled=true for the third. Exits 1 if a trip ends otherwise
than it has to, or if the stock is not what it must be.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&o.function, "admin-function", a.getenv("SPILLWAY_ADMIN_FUNCTION"),
		"the admin function's name or ARN; CloudFormation is not asked then (env SPILLWAY_ADMIN_FUNCTION)")
	complete(cmd, "admin-function")
	cmd.RunE = a.action(3*time.Minute, o.withAdmin(func(ctx context.Context, _ []string) error {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		return o.demoTrips(ctx, c)
	}))
	return cmd
}

func (o *operator) demoTrips(ctx context.Context, c *client.Client) error {
	p := &printer{w: o.out}
	if o.json() {
		return usagef("demo trips has no JSON output")
	}
	some, none := demoStock, 0
	stock := []adminapi.StockOrder{{ID: demoHotel, Available: &some}, {ID: demoFlight, Available: &some}, {ID: demoCar, Available: &some}, {ID: demoNoCar, Available: &none}}
	if _, _, err := change(ctx, o, adminapi.InventoryPut, adminapi.InventoryPutRequest{Items: stock}); err != nil {
		return err
	}
	p.printf("\nThree trips, of a hotel, a flight and a car; %d of each, and one car that is gone\n\n", demoStock)
	problems, booked := 0, 0
	for i, trip := range demoTrips {
		p.printf("Trip %d: %s\n", i+1, trip.about)
		t, skipped, err := o.demoTrip(ctx, c, trip)
		switch {
		case skipped:
			p.printf("  left out: the stack does not allow faults (ChaosEnabled)\n\n")
			continue
		case err != nil:
			return err
		}
		code := "-"
		if t.Error != nil {
			code = t.Error.Code
		}
		p.printf("  task %s: %s", t.ID, t.Status)
		if t.Error != nil {
			p.printf(", %s: %s", clean(t.Error.Code), clean(t.Error.Message))
		}
		p.printf("\n")
		if t.Status != trip.want || trip.code != "" && code != trip.code {
			problems++
			p.printf("  This should not be: it had to end as %s %s\n", trip.want, trip.code)
		}
		if trip.booked {
			booked++
		}
		if trip.fault != "" {
			if err := o.demoResume(ctx, p, t.ID); err != nil {
				return err
			}
		}
		ok, err := o.demoLeft(ctx, p, demoStock-booked)
		if err != nil {
			return err
		}
		if !ok {
			problems++
		}
		p.printf("  more of it: %s saga show %s-1\n\n", o.program, t.ID)
	}
	if problems > 0 {
		return &exitError{code: exitFailed}
	}
	p.printf("Every trip ended as it had to, and the stock is what was not booked.\n")
	return p.err
}

// demoTrip books one and waits for its end. It is skipped if it needs a fault
// that the stack does not allow.
func (o *operator) demoTrip(ctx context.Context, c *client.Client, trip demoTrip) (t *client.Task, skipped bool, err error) {
	if trip.fault != "" {
		set := adminapi.ChaosSetRequest{Target: trip.fault, Fault: adminapi.FaultError, Rate: 1, For: "5m"}
		_, _, err := change(ctx, o, adminapi.ChaosSet, set)
		if r, ok := errors.AsType[*refusal](err); ok && r.Code == adminapi.CodeChaosDisabled {
			return nil, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		defer func() {
			_, _, clearErr := change(context.WithoutCancel(ctx), o, adminapi.ChaosClear, adminapi.ChaosClearRequest{Target: trip.fault})
			err = errors.Join(err, clearErr)
		}()
	}
	t, err = c.Submit(ctx, client.SubmitRequest{Type: "trip.book", Input: tripInput{
		Traveler: "Ada", Hotel: tripHotel{demoHotel, 2}, Flight: tripFlight{demoFlight, 1}, Car: tripCar{trip.car, 2},
	}})
	if err != nil {
		return nil, false, err
	}
	t, err = c.Wait(ctx, t.ID)
	return t, false, err
}

// demoResume runs the compensation that failed again, now that it can succeed.
func (o *operator) demoResume(ctx context.Context, p *printer, task string) error {
	if _, err := o.demoLeft(ctx, p, -1); err != nil {
		return err
	}
	p.printf("  the fault is gone: %s saga resume %s-1 %s\n", o.program, task, demoCancel)
	_, _, err := change(ctx, o, adminapi.SagaResume, adminapi.SagaStepRequest{Execution: task + "-1", Step: demoCancel})
	return err
}

// demoLeft shows the stock and reports whether it is as wanted; a negative
// number only shows it.
func (o *operator) demoLeft(ctx context.Context, p *printer, want int) (bool, error) {
	left, _, err := ask(ctx, o, adminapi.InventoryGet, adminapi.InventoryGetRequest{IDs: []string{demoHotel, demoFlight, demoCar}})
	if err != nil {
		return false, err
	}
	ok := len(left.Items) == 3
	p.printf("  left:")
	for _, item := range left.Items {
		p.printf(" %s %d", clean(item.ID), item.Available)
		ok = ok && item.Available == want
	}
	p.printf("\n")
	if want >= 0 && !ok {
		p.printf("  This should not be: it has to be %d of each\n", want)
	}
	return ok || want < 0, nil
}
