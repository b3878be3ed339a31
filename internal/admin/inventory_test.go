package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

func TestInventory(t *testing.T) {
	bubble(t, func(f *fixture) {
		if got := f.ok(`{"command":"inventory.get"}`); fmt.Sprint(got["items"]) != "[]" || got["more"] != nil {
			f.Errorf("an empty stock is %v", got)
		}
		f.is(f.ok(`{"command":"inventory.put","items":[{"id":"hotel-2","available":0},{"id":"car-1","available":7}],"by":"ada"}`), nil,
			`{"ok":true,"items":[{"id":"hotel-2","available":0},{"id":"car-1","available":7}]}`)
		f.ok(`{"command":"inventory.put","items":[{"id":"hotel-2","available":1000000000}]}`) // whatever there was
		f.is(f.ok(`{"command":"inventory.get"}`), nil, `{"ok":true,"items":[{"id":"car-1","available":7},{"id":"hotel-2","available":1000000000}]}`)
		f.is(f.ok(`{"command":"inventory.get","ids":["hotel-2","flight-9"]}`), nil, `{"ok":true,"items":[{"id":"hotel-2","available":1000000000}]}`)
		f.is(f.ok(`{"command":"inventory.get","ids":["flight-9"]}`), nil, `{"ok":true,"items":[]}`)
	})
}

// A hundred at a time, and the rest by their ids.
func TestInventoryOfMany(t *testing.T) {
	bubble(t, func(f *fixture) {
		put := func(from, n int) string {
			var items []trip.Item
			for i := range n {
				items = append(items, trip.Item{ID: fmt.Sprintf("hotel-%03d", from+i), Available: i})
			}
			text, err := json.Marshal(items)
			if err != nil {
				f.Fatal(err)
			}
			return `{"command":"inventory.put","items":` + string(text) + `}`
		}
		f.ok(put(0, trip.MaxItems))
		if got := f.ok(`{"command":"inventory.get"}`); len(got["items"].([]any)) != trip.MaxItems || got["more"] != nil {
			f.Errorf("a hundred are %v", got)
		}
		f.ok(put(trip.MaxItems, 1))
		got := f.ok(`{"command":"inventory.get"}`)
		if items := got["items"].([]any); len(items) != trip.MaxItems || got["more"] != true || fmt.Sprint(items[99]) != "map[available:99 id:hotel-099]" {
			f.Errorf("of a hundred and one there are %v", got)
		}
		f.is(f.ok(`{"command":"inventory.get","ids":["hotel-100"]}`), nil, `{"ok":true,"items":[{"id":"hotel-100","available":0}]}`)
		if got := f.refused(put(0, trip.MaxItems+1), adminapi.CodeInvalid); got != `"items" has 101: give 1 to 100, each as {"id":"hotel-1","available":10}` {
			f.Error(got)
		}
		ids := strings.TrimSuffix(strings.Repeat(`"hotel-1",`, trip.MaxItems+1), ",")
		if got := f.refused(`{"command":"inventory.get","ids":[`+ids+`]}`, adminapi.CodeInvalid); got != `"ids" has 101: give at most 100, or none for all` {
			f.Error(got)
		}
	})
}

func TestInventoryRefused(t *testing.T) {
	bubble(t, func(f *fixture) {
		const form = "an item's id begins with hotel-, flight- or car-, and has at most 64 lower-case letters, digits and hyphens"
		const none = `"items" has 0: give 1 to 100, each as {"id":"hotel-1","available":10}`
		f.ok(`{"command":"inventory.put","items":[{"id":"hotel-1","available":3}]}`)
		for payload, want := range map[string]string{
			`"inventory.put"`:                                                                             none,
			`"inventory.put","items":[]`:                                                                  none,
			`"inventory.put","items":null`:                                                                none,
			`"inventory.put","items":[{}]`:                                                                `item "": ` + form,
			`"inventory.put","items":[{"id":"hotel-1","available":-1}]`:                                   "item hotel-1: available is -1: give 0 to 1000000000",
			`"inventory.put","items":[{"id":"hotel-1","available":1000000001}]`:                           "item hotel-1: available is 1000000001: give 0 to 1000000000",
			`"inventory.put","items":[{"id":"hotel-1"}]`:                                                  "item hotel-1: available is missing: give 0 to 1000000000",
			`"inventory.put","items":[{"id":"hotel-1","availabel":5}]`:                                    "item hotel-1: available is missing: give 0 to 1000000000",
			`"inventory.put","items":[{"id":"hotel-1","available":null}]`:                                 "item hotel-1: available is missing: give 0 to 1000000000",
			`"inventory.put","items":[{"id":"train-1","available":1}]`:                                    `item "train-1": ` + form,
			`"inventory.put","items":[{"id":"hotel-A","available":1}]`:                                    `item "hotel-A": ` + form,
			`"inventory.put","items":[{"id":"hotel-` + strings.Repeat("x", 59) + `","available":1}]`:      "",
			`"inventory.put","items":[{"id":"car-1","available":1},{"id":"car-1","available":1}]`:         "item car-1 is there twice: give each once",
			`"inventory.put","items":[{"id":"hotel-1","available":9},{"id":"hotel-2","available":"few"}]`: "",
			`"inventory.put","items":[{"id":"hotel-1","available":1.5}]`:                                  "",
			`"inventory.put","items":{"id":"hotel-1"}`:                                                    "",
			`"inventory.get","ids":["reservation#1"]`:                                                     `id "reservation#1": ` + form,
			`"inventory.get","ids":[""]`:                                                                  `id "": ` + form,
			`"inventory.get","ids":["hotel-1","` + strings.Repeat("x", 3000) + `"]`:                       "",
		} {
			if got := f.refused(`{"command":`+payload+`}`, adminapi.CodeInvalid); want != "" && got != want {
				f.Errorf("%.80s: %s, want %s", payload, got, want)
			}
		}
		f.is(f.ok(`{"command":"inventory.get"}`), nil, `{"ok":true,"items":[{"id":"hotel-1","available":3}]}`) // nothing of it was done
	})
}

// A table that does not answer is nobody's business.
func TestInventoryUnavailable(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.stock.Inject(func(c archivetest.Call) archivetest.Fault {
			return archivetest.Fault{Err: awsError("DynamoDB", c.Operation, "InternalServerError")}
		})
		for _, payload := range []string{
			`{"command":"inventory.put","items":[{"id":"hotel-1","available":3}]}`, `{"command":"inventory.get"}`, `{"command":"inventory.get","ids":["hotel-1"]}`,
		} {
			f.refused(payload, adminapi.CodeUnavailable)
		}
	})
}
