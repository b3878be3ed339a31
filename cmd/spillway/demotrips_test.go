package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/memstack"
)

func TestDemoTrips(t *testing.T) {
	t.Parallel()
	const (
		ended = "Every trip ended as it had to, and the stock is what was not booked."
		gone  = "car-demo-gone has 0 left, and 1 are asked for"
	)
	tests := []struct {
		name  string
		chaos string
		set   func(*cloud)
		code  int
		want  []string // with TASK1 for the first trip's task
		trips int
		hotel int // how many are left in the end; of the others, 4
	}{
		{
			"as it has to be", "true", func(*cloud) {}, exitOK,
			[]string{
				"Trip 1: booked\n  task TASK1: succeeded\n  left: hotel-demo 4 flight-demo 4 car-demo 4\n  more of it: spillway saga show TASK1-1\n",
				"task TASK2: failed, sold_out: " + gone + "\n  left: hotel-demo 4 flight-demo 4 car-demo 4\n",
				"task TASK3: failed, compensation_failed: not undone: CancelHotel; after BookCar: sold_out, " + gone + "\n  left: hotel-demo 3 flight-demo 4 car-demo 4\n" +
					"  the fault is gone: spillway saga resume TASK3-1 CancelHotel\n  left: hotel-demo 4 flight-demo 4 car-demo 4\n", ended,
			},
			3, 4,
		},
		{
			"without faults", "false", func(*cloud) {}, exitOK,
			[]string{"Trip 3: no car left, and the hotel cannot be canceled\n  left out: the stack does not allow faults (ChaosEnabled)\n", ended},
			2, 4,
		},
		{
			"a hotel that stays booked", "true", func(c *cloud) {
				looks := 0
				c.answer = func(q asked) any {
					if q.Command == string(adminapi.InventoryGet) {
						if looks++; looks == 2 {
							c.stocks(demoHotel, 3)
						}
					}
					return nil
				}
			}, exitFailed,
			[]string{"left: hotel-demo 3 flight-demo 4 car-demo 4\n  This should not be: it has to be 4 of each\n"},
			3, 3,
		},
		{
			"another end", "true", func(c *cloud) { c.api.spoil = strings.NewReplacer("sold_out", "handler_error").Replace }, exitFailed,
			[]string{"failed, handler_error: " + gone + "\n  This should not be: it had to end as failed sold_out\n"},
			3, 4,
		},
		{
			"nothing to resume", "true", func(c *cloud) {
				c.answer = func(q asked) any {
					if q.Command == string(adminapi.SagaResume) {
						_, err := memstack.Ask(c.t.Context(), c.stack, adminapi.SagaSkip, adminapi.SagaStepRequest{Execution: q.Execution, Step: q.Step, Reason: "it is paid"})
						if err != nil {
							c.t.Error(err)
						}
					}
					return nil
				}
			}, exitFailed,
			[]string{"Trip 3", "(not_found)"},
			3, 3,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inCloud(t, func(c *cloud) {
				tt.set(c)
				c.stocks("car-others", 7)
				ta := c.newOperator()
				c.run(ta, tt.code, "demo", "trips")
				trips := c.stack.Machine.Executions()
				out := ta.stdout.String() + ta.stderr.String()
				for i, e := range trips {
					out = strings.ReplaceAll(out, strings.TrimSuffix(e.Name, "-1"), fmt.Sprintf("TASK%d", i+1))
				}
				mustContain(c.t, "output", out, tt.want...)
				if tt.code != exitOK && strings.Contains(out, ended) {
					c.t.Errorf("no, not every trip:\n%s", out)
				}
				if len(trips) != tt.trips {
					c.t.Errorf("%d trips, want %d", len(trips), tt.trips)
				}
				left, err := memstack.Ask(c.t.Context(), c.stack, adminapi.InventoryGet, adminapi.InventoryGetRequest{})
				if err != nil {
					c.t.Fatal(err)
				}
				got := map[string]int{}
				for _, item := range left.Items {
					got[item.ID] = item.Available
				}
				want := map[string]int{"hotel-demo": tt.hotel, "flight-demo": 4, "car-demo": 4, "car-demo-gone": 0, "car-others": 7}
				if diff := cmp.Diff(want, got); diff != "" {
					c.t.Errorf("stock (-want +got):\n%s", diff)
				}
				if tt.trips == 3 {
					set, err := memstack.Ask(c.t.Context(), c.stack, adminapi.ChaosStatus, struct{}{})
					if err != nil || len(set.Faults) > 0 || !slices.Contains(c.sent(), "chaos.clear") {
						c.t.Errorf("faults are left: %+v, %v; sent %v", set, err, c.sent())
					}
				}
			}, "ChaosEnabled", tt.chaos)
		})
	}
}

// stocks sets how many of an item are left, as another operator does.
func (c *cloud) stocks(id string, n int) {
	c.t.Helper()
	request := adminapi.InventoryPutRequest{Items: []adminapi.StockOrder{{ID: id, Available: &n}}}
	if _, err := memstack.Ask(c.t.Context(), c.stack, adminapi.InventoryPut, request); err != nil {
		c.t.Error(err)
	}
}

func TestDemoTripsRefused(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		ta := c.newOperator()
		c.run(ta, exitUsage, "demo", "trips", "-o", "json")
		mustContain(c.t, "stderr", ta.stderr.String(), "demo trips has no JSON output")
		c.answer = only(refusedAs(adminapi.CodeUnknownCommand))
		ta = c.newOperator()
		c.run(ta, exitFailed, "demo", "trips")
		mustContain(c.t, "stderr", ta.stderr.String(), "the stack is older than this program")
		if n := len(c.stack.Machine.Executions()); n > 0 {
			c.t.Errorf("%d trips", n)
		}
	})
}
