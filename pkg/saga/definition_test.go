package saga_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/saga"
)

// order has all that a saga can have: a parallel stage, a step with nothing to
// undo, a pivot, and a step after it.
func order() saga.Definition {
	return saga.Definition{
		Name: "order", Within: time.Hour,
		Stages: []saga.Stage{
			saga.AtOnce("Reserve",
				saga.Step{Name: "ReserveStock", Result: "stock", Business: []string{"sold_out"}, Undo: saga.Reversal{By: "ReleaseStock"}},
				saga.Step{Name: "ReserveVan", Result: "van", Undo: saga.Reversal{By: "ReleaseVan"}},
				saga.Step{Name: "Quote", Undo: saga.Reversal{Nothing: "it only reads"}},
			),
			saga.One(saga.Step{Name: "Charge", Result: "payment", Business: []string{"declined"}, Pivot: true, Undo: saga.Reversal{By: "Refund"}}),
			saga.One(saga.Step{Name: "Ship", Result: "shipment"}),
		},
	}
}

// line is the least that a saga can have.
func line() saga.Definition {
	return saga.Definition{Name: "line", Within: time.Hour, Stages: []saga.Stage{
		saga.One(saga.Step{Name: "Do", Undo: saga.Reversal{By: "Undo"}}),
		saga.One(saga.Step{Name: "Then", Undo: saga.Reversal{By: "UndoThen"}}),
	}}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	first := func(change func(*saga.Step)) func(*saga.Definition) {
		return func(d *saga.Definition) { change(&d.Stages[0].Steps[0]) }
	}
	for name, tt := range map[string]struct {
		of     func() saga.Definition
		change func(*saga.Definition)
		want   string
	}{
		"name":                    {line, func(d *saga.Definition) { d.Name = "My Saga" }, "lower-case words joined by hyphens"},
		"no bound":                {line, func(d *saga.Definition) { d.Within = 0 }, "say how long an execution may take"},
		"bound of years":          {line, func(d *saga.Definition) { d.Within = 366 * 24 * time.Hour }, "14 days for which its task"},
		"no stages":               {line, func(d *saga.Definition) { d.Stages = nil }, "give at least one"},
		"empty stage":             {line, func(d *saga.Definition) { d.Stages[1].Steps = nil }, "stage 2 has no step"},
		"negative input":          {line, func(d *saga.Definition) { d.MaxInput = -1 }, "MaxInput is -1"},
		"no compensation":         {line, first(func(s *saga.Step) { s.Undo = saga.Reversal{} }), "Do has no compensation: name it in Undo.By"},
		"both":                    {line, first(func(s *saga.Step) { s.Undo.Nothing = "why" }), "remove Undo.By or Undo.Nothing"},
		"name of a step":          {line, first(func(s *saga.Step) { s.Name = "Book Hotel" }), "such as BookHotel"},
		"long name":               {line, first(func(s *saga.Step) { s.Name = strings.Repeat("A", 41) }), "at most 80 characters"},
		"name of a compensation":  {line, first(func(s *saga.Step) { s.Undo.By = "undo-it" }), "such as CancelHotel"},
		"the same name twice":     {line, first(func(s *saga.Step) { s.Undo.By = "UndoThen" }), "UndoThen would be a state for"},
		"a name of the machine":   {line, first(func(s *saga.Step) { s.Name = "Undone" }), "the machine itself"},
		"a name that is made":     {line, first(func(s *saga.Step) { s.Name = "ParkUndo" }), "ParkUndo would be a state for"},
		"time-out of less than 1": {line, first(func(s *saga.Step) { s.Timeout = time.Millisecond }), "whole seconds"},
		"attempts":                {line, first(func(s *saga.Step) { s.Retry = saga.Retry{Attempts: 101, Interval: 1, Rate: 0.5, Cap: 3} }), "101 attempts (2 to 100), an interval of 1ns (whole seconds, at least 1), a rate of 0.5 (1 to 10), a cap of 3ns"},
		"too long in all":         {line, first(func(s *saga.Step) { s.Timeout = time.Hour }), "longer than Within, which is 1h0m0s: most of it is Do with"},
		"history": {line, func(d *saga.Definition) {
			d.Within = 14 * 24 * time.Hour
			for i := range 40 {
				d.Stages = append(d.Stages, saga.One(saga.Step{Name: "Step" + string(rune('A'+i%26)) + strings.Repeat("x", i/26), Undo: saga.Reversal{By: "Undo" + string(rune('A'+i%26)) + strings.Repeat("x", i/26), Retry: hundred, Timeout: time.Second}, Retry: hundred, Timeout: time.Second}))
			}
		}, "Step Functions ends an execution at 25000"},
		"payload":                 {line, func(d *saga.Definition) { d.MaxInput = 250 << 10 }, "lower MaxInput"},
		"code of AWS":             {line, first(func(s *saga.Step) { s.Business = []string{"States.Timeout"} }), "they may hide an action that was done"},
		"a code of the machine":   {line, first(func(s *saga.Step) { s.Business = []string{"step_failed"} }), "which says nothing of whether it was done"},
		"code twice":              {line, first(func(s *saga.Step) { s.Business = []string{"sold_out", "sold_out"} }), "twice"},
		"result":                  {line, first(func(s *saga.Step) { s.Result = "The Result" }), "such as hotel"},
		"result twice":            {line, func(d *saga.Definition) { d.Stages[0].Steps[0].Result, d.Stages[1].Steps[0].Result = "a", "a" }, "have the same result a"},
		"pivot twice":             {order, func(d *saga.Definition) { d.Stages[2].Steps[0].Pivot = true }, "second pivot"},
		"undo after the pivot":    {order, func(d *saga.Definition) { d.Stages[2].Steps[0].Undo.By = "Unship" }, "nothing is undone after the point of no return"},
		"refusal after the pivot": {order, func(d *saga.Definition) { d.Stages[2].Steps[0].Business = []string{"no"} }, "may not refuse any more"},
		"parallel after the pivot": {order, func(d *saga.Definition) {
			for i := range d.Stages[0].Steps {
				d.Stages[0].Steps[i].Undo = saga.Reversal{}
			}
			d.Stages[0], d.Stages[1] = d.Stages[1], d.Stages[0]
		}, "give each of them a stage of its own"},
		"parallel stage of one":     {order, func(d *saga.Definition) { d.Stages[0].Steps = d.Stages[0].Steps[:1] }, "use saga.One"},
		"parallel stage, no name":   {order, func(d *saga.Definition) { d.Stages[0].Name = "" }, "no name of a parallel stage"},
		"pivot beside other steps":  {order, func(d *saga.Definition) { d.Stages[0].Steps[0].Pivot = true }, "give it a stage of its own"},
		"no compensation in group":  {order, func(d *saga.Definition) { d.Stages[0].Steps[1].Undo = saga.Reversal{} }, "ReserveVan has no compensation"},
		"name in group made by one": {order, func(d *saga.Definition) { d.Stages[0].Steps[1].Name = "ReserveStockEnded" }, "ReserveStockEnded would be a state for"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := tt.of()
			tt.change(&d)
			err := d.Check()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
			if text, err := d.Render(); err == nil || text != nil {
				t.Error("it was rendered all the same")
			}
		})
	}
	for _, d := range []saga.Definition{order(), line()} {
		if err := d.Check(); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
}

var hundred = saga.Retry{Attempts: 100, Interval: time.Second, Rate: 1, Cap: time.Second}

// The bound of a saga small enough to count by hand.
func TestBound(t *testing.T) {
	t.Parallel()
	once := saga.Retry{Attempts: 1, Interval: time.Second, Rate: 1, Cap: time.Second}
	twice := saga.Retry{Attempts: 2, Interval: 3 * time.Second, Rate: 1, Cap: 3 * time.Second}
	d := saga.Definition{Name: "one", Within: time.Hour, MaxInput: 1000, Stages: []saga.Stage{
		saga.One(saga.Step{Name: "Do", Timeout: 5 * time.Second, Retry: once, Result: "done", Undo: saga.Reversal{By: "Undo", Timeout: 7 * time.Second, Retry: twice}}),
	}}
	got := d.Bound()
	// A call of DynamoDB or SQS: 8 attempts of 10 s, waits of 1, 2, 4, 8, 16, 20 and 20 s.
	const sdk = 8*10 + 71
	// Undo: once, and once more for each of its two retriers.
	const undo = 3*7 + 2*3
	want := saga.Bound{
		Time: (sdk + 5 + undo + sdk + 4*sdk) * time.Second, Longest: "Undo", LongestTime: undo * time.Second,
		Payload: 1000 + 1024 + saga.MaxResult + len("done") + 4, Events: got.Events,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Events < 100 || got.Events > 400 {
		t.Errorf("%d events", got.Events)
	}
}

// Whatever can be rendered is rendered the same each time, and changing the
// result does not change the definition.
func TestRenderIsRepeatable(t *testing.T) {
	t.Parallel()
	d := order()
	first, err := d.Render()
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.Render()
	if err != nil || string(first) != string(second) {
		t.Errorf("rendered differently: %v", err)
	}
	if diff := cmp.Diff(order(), d); diff != "" {
		t.Errorf("the definition has changed:\n%s", diff)
	}
}
