package saga_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/pkg/saga"
)

// Machines written by hand, in shapes that the renderer has not: one chain for all
// failures with a question before each compensation, and Parallel states that
// assign what their branches came to.
func tripClaims() saga.Claims {
	return saga.Claims{Steps: []saga.Claim{
		{Action: "BookHotel", Compensation: "CancelHotel", Business: []string{"sold_out"}},
		{Action: "BookFlight", Compensation: "CancelFlight", Stage: 1, Business: []string{"sold_out"}},
		{Action: "BookCar", Compensation: "CancelCar", Stage: 2, Business: []string{"sold_out"}},
	}}
}

func parallelClaims() saga.Claims {
	return saga.Claims{Steps: []saga.Claim{
		{Action: "ReserveStock", Compensation: "ReleaseStock", Business: []string{"sold_out"}},
		{Action: "ReserveVan", Compensation: "ReleaseVan", Business: []string{"sold_out"}},
		{Action: "Bill", Compensation: "Refund", Stage: 1},
	}}
}

func pivotClaims() saga.Claims {
	return saga.Claims{Steps: []saga.Claim{
		{Action: "Reserve", Compensation: "Release", Business: []string{"sold_out"}},
		{Action: "Charge", Compensation: "Refund", Stage: 1, Pivot: true, Business: []string{"declined"}},
		{Action: "Ship", Stage: 2, Forward: true},
	}}
}

func TestVerifyAcceptsOtherShapes(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]saga.Claims{"trip": tripClaims(), "parallel": parallelClaims(), "pivot": pivotClaims()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := saga.Verify(machineFile(t, name), claims); err != nil {
				t.Error(err)
			}
		})
	}
}

func machineFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/verify/" + name + ".asl.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// kinds are the defects that Verify names, with the state of each.
func kinds(t *testing.T, machine []byte, claims saga.Claims) []string {
	t.Helper()
	err := saga.Verify(machine, claims)
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*saga.VerifyError](err)
	if !ok {
		t.Fatalf("not a VerifyError: %v", err)
	}
	var out []string
	for _, d := range e.Defects {
		if d.Detail == "" || !strings.Contains(err.Error(), d.String()) {
			t.Errorf("the error does not say %+v", d)
		}
		out = append(out, d.Kind+": "+d.State)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// The mistakes of published sagas, by their names.
func TestVerifyRejectsPublishedSample(t *testing.T) {
	t.Parallel()
	got := kinds(t, machineFile(t, "published-sample"), saga.Claims{Steps: []saga.Claim{
		{Action: "ProcessOrder", Compensation: "CancelOrder"},
		{Action: "ProcessPayment", Compensation: "RefundPayment", Stage: 1},
		{Action: "ReserveInventory", Compensation: "ReleaseInventory", Stage: 2},
	}})
	want := []string{
		"no catch-all: ProcessPayment", "no catch-all: RefundPayment", // a time-out, a crash
		"throttle not retried: ProcessPayment", "throttle not retried: RefundPayment",
		"compensation skipped: ReserveInventory", // paid, and then a throttle: no refund
		"compensation chain stops: OrderFailed",  // the inventory is not released: no refund either
		"not parked: OrderFailed",
		"task not updated: OrderFailed",
		"no progress write: ProcessPayment", // nobody can cancel it
		"recovery runs an action: ProcessOrder",
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%q was not found", w)
		}
	}
	if t.Failed() {
		t.Log("found:\n" + strings.Join(got, "\n"))
	}
}

// edit is one change of a machine that is otherwise right.
type edit func(machine map[string]any)

// at walks to a part of the machine by names and indices.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = v.(map[string]any)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

// put sets the last name of a path, and removes it when the value is nil.
func put(value any, path ...any) edit {
	return func(machine map[string]any) {
		in := at(machine, path[:len(path)-1]...).(map[string]any)
		field := path[len(path)-1].(string)
		if value == nil {
			delete(in, field)
			return
		}
		in[field] = value
	}
}

func replace(old, by string, path ...any) edit {
	return func(machine map[string]any) {
		v := at(machine, path...).(string)
		if !strings.Contains(v, old) {
			panic(v)
		}
		put(strings.Replace(v, old, by, 1), path...)(machine)
	}
}

func edited(t *testing.T, name string, edits ...edit) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(machineFile(t, name), &m); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		e(m)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Each kind of defect by itself, at the state where it is.
func TestVerifyNamesDefects(t *testing.T) {
	t.Parallel()
	all := []any{"States.ALL"}
	claims := map[string]saga.Claims{"trip": tripClaims(), "parallel": parallelClaims(), "pivot": pivotClaims()}
	for _, tt := range []struct {
		machine string
		edits   []edit
		want    string
	}{
		{"trip", []edit{put(600, "TimeoutSeconds")}, "time-out of the machine: "},
		{"trip", []edit{put("Nowhere", "States", "CancelCar", "Next")}, "dead end: CancelCar"},
		{"trip", []edit{put(nil, "States", "Undone", "Default")}, "dead end: Undone"},
		{"trip", []edit{put("Map", "States", "Begin", "Type")}, "unknown state: Begin"},
		{"trip", []edit{put(map[string]any{"Type": "Succeed"}, "States", "Lonely")}, "unreachable: Lonely"},
		{"trip", []edit{put(nil, "States", "ParkCancelCar")}, "dead end: CancelCar"},
		{"trip", []edit{put(nil, "States", "BookCar")}, "missing state: BookCar"},
		{"trip", []edit{put(nil, "States", "BookCar", "TimeoutSeconds")}, "no time-out: BookCar"},

		{"trip", []edit{put([]any{"States.TaskFailed"}, "States", "BookCar", "Catch", 1, "ErrorEquals")}, "no catch-all: BookCar"},
		{"trip", []edit{put([]any{"sold_out", "States.ALL"}, "States", "BookCar", "Catch", 0, "ErrorEquals")}, "malformed: BookCar"},
		{"parallel", []edit{put(nil, "States", "UndoReserve", "Catch")}, "no catch-all: UndoReserve"},
		{"trip", []edit{put([]any{"Lambda.Unknown"}, "States", "CancelCar", "Retry", 0, "ErrorEquals")}, "throttle not retried: CancelCar"},
		{"trip", []edit{put([]any{"Lambda.TooManyRequestsException"}, "States", "CancelCar", "Retry", 0, "ErrorEquals")}, "transient error not retried: CancelCar"},
		{"trip", []edit{put(0, "States", "CancelCar", "Retry", 1, "MaxAttempts")}, "error not retried: CancelCar"},
		{"trip", []edit{put([]any{"other"}, "States", "BookCar", "Retry", 0, "ErrorEquals")}, "business error retried: BookCar"},
		{"trip", []edit{put(1_000_000, "States", "BookCar", "Retry", 1, "MaxAttempts")}, "unbounded: BookCar"},
		{"trip", []edit{put(nil, "States", "BookCar", "Retry", 1, "MaxDelaySeconds")}, "unbounded: BookCar"},
		{"trip", []edit{put("NONE", "States", "BookCar", "Retry", 1, "JitterStrategy")}, "no jitter: BookCar"},
		{"parallel", []edit{put([]any{map[string]any{"ErrorEquals": all}}, "States", "Reserve", "Retry")}, "reached twice: Reserve"},

		{"trip", []edit{put("Undone", "States", "BookCar", "Catch", 1, "Next")}, "compensation skipped: RecordFailed"},
		{"trip", []edit{put("NeedsCancelFlight", "States", "BookCar", "Catch", 1, "Next")}, "order of compensation: CancelFlight"},
		{"trip", []edit{put("Undone", "States", "ParkCancelCar", "Next")}, "compensation chain stops: RecordCompensationFailed"},
		{"trip", []edit{put("CompensationFailed", "States", "ParkCancelCar", "Next")}, "compensation chain stops: CompensationFailed"},
		{"trip", []edit{put("CancelCar", "States", "BookCar", "Catch", 0, "Next")}, "compensated without having run: CancelCar"},
		{"trip", []edit{put("NeedsCancelCar", "States", "BookCar", "Next")}, "compensated without a failure: CancelCar"},
		{"trip", []edit{put("NeedsCancelFlight", "States", "RecordSucceeded", "Catch", 0, "Next"), put("NeedsCancelCar", "States", "ParkCancelHotel", "Next")}, "order of compensation: CancelFlight"},
		{"trip", []edit{put("CancelCar", "States", "CancelCar", "Next")}, "reached twice: CancelCar"},
		{"trip", []edit{put("NeedsCancelCar", "States", "NeedsCancelCar", "Default")}, "unbounded: NeedsCancelCar"},
		{"trip", []edit{put("RecordBookCar", "States", "BookHotel", "Next")}, "order of actions: BookCar"},
		{"trip", []edit{put("RecordBookCar", "States", "BookFlight", "Catch", 1, "Next")}, "went on after a failure: BookCar"},
		{"trip", []edit{put("BookFlight", "States", "BookHotel", "Next")}, "no progress write: BookFlight"},
		{"trip", []edit{replace(" AND attribute_not_exists(cancel_requested)", "", "States", "RecordBookCar", "Arguments", "ConditionExpression")}, "cancel not honored: BookCar"},
		{"trip", []edit{replace(" AND attribute_not_exists(cancel_requested)", "", "States", "RecordFailed", "Arguments", "ConditionExpression")}, "cancel not honored: RecordFailed"},

		{"trip", []edit{put("NeedsCancelHotel", "States", "CancelFlight", "Catch", 0, "Next")}, "not parked: CompensationFailed"},
		{"trip", []edit{put("CancelHotel", "States", "ParkCancelCar", "Arguments", "MessageBody", "step")}, "parked without a failure: ParkCancelCar"},
		{"trip", []edit{put(nil, "States", "ParkCancelCar", "Arguments", "MessageBody", "step")}, "not parked: ParkCancelCar"},
		{"trip", []edit{put("RecordFailed", "States", "Undone", "Choices", 0, "Next")}, "wrong end: Compensated"},
		{"trip", []edit{put("Compensated", "States", "RecordCompensationFailed", "Next")}, "wrong end: Compensated"},
		{"trip", []edit{put("Compensated", "States", "Undone", "Default")}, "task not updated: Compensated"},
		{"trip", []edit{put("Compensated", "States", "RecordFailed", "Catch", 1, "Next")}, "task not updated: Compensated"},
		{"trip", []edit{put("Compensated", "States", "RecordFailed", "Catch", 0, "Next")}, "task not updated: Compensated"},
		{"trip", []edit{put("Succeeded", "States", "BookCar", "Next")}, "task not updated: Succeeded"},
		{"trip", []edit{put("Unrecorded", "States", "Undone", "Default")}, "task not updated: Unrecorded"},
		{"trip", []edit{put("RecordSucceeded", "States", "BookFlight", "Next")}, "task updated too early: RecordSucceeded"},
		{"trip", []edit{put("done", "States", "RecordFailed", "Arguments", "ExpressionAttributeValues", ":status", "S")}, "wrong end: RecordFailed"},
		{"trip", []edit{put("RecordCanceled", "States", "Undone", "Default")}, "wrong end: RecordCanceled"},
		{"trip", []edit{put("Succeeded", "States", "RecordSucceeded", "Catch", 0, "Next")}, "task not updated: Succeeded"},
		{"trip", []edit{put("NeedsCancelHotel", "States", "RecordFailed", "Next")}, "went on after the end: "},
		{"trip", []edit{replace("#run = :run AND ", "", "States", "RecordBookCar", "Arguments", "ConditionExpression")}, "unconditional write: RecordBookCar"},
		{"trip", []edit{put([]any{"DynamoDB.ConditionalCheckFailedException"}, "States", "RecordBookCar", "Catch", 0, "ErrorEquals")}, "condition not caught: RecordBookCar"},
		{"trip", []edit{put([]any{"DynamoDB.ConditionalCheckFailedException"}, "States", "RecordBookCar", "Retry", 0, "ErrorEquals")}, "condition retried: RecordBookCar"},

		{"trip", []edit{put("RecordBookHotel", "States", "Recovering", "Choices", 0, "Next")}, "recovery runs an action: BookHotel"},
		{"trip", []edit{put("UndoAll", "States", "StillOpen", "Default")}, "recovery of an ended task: CancelCar"},
		{"trip", []edit{put("Undone", "States", "UndoAll", "Next")}, "compensation skipped: RecordFailed"},
		{"trip", []edit{put(nil, "States", "ReadTask", "Arguments", "ConsistentRead")}, "stale read: ReadTask"},

		{"trip", []edit{put(nil, "States", "BookCar", "Catch", 1, "Assign", "BookCar_is")}, "wrong variable: "},
		{"trip", []edit{put(nil, "States", "Begin", "Assign", "CancelCar_parked")}, "unassigned variable: Undone"},
		{"trip", []edit{put(nil, "States", "BookCar", "Catch", 1, "Assign", "error")}, "error not carried: Compensated"},
		{"trip", []edit{put("${BookHotelFunctionArn}", "States", "BookCar", "Arguments", "FunctionName")}, "wrong call: BookCar"},
		{"trip", []edit{put("BookHotel", "States", "CancelCar", "Arguments", "Payload", "action")}, "wrong call: CancelCar"},
		{"trip", []edit{put("BookHotel", "States", "BookCar", "Arguments", "Payload", "step")}, "wrong call: BookCar"},
		{"parallel", []edit{put(nil, "States", "Reserve", "Branches", 0, "States", "ReserveStock", "Output", "is")}, "missing input: Reserve"},
		{"parallel", []edit{put("RecordBill", "States", "Reserve", "Next")}, "went on after a failure: Bill"},
		{"parallel", []edit{put("Undone", "States", "Reserve", "Catch", 0, "Next")}, "compensation skipped: RecordFailed"},
		{"parallel", []edit{put("ReleaseVan", "States", "UndoReserve", "Branches", 1, "States", "NeedsReleaseVan", "Default")}, "compensated without having run: ReleaseVan"},

		{"pivot", []edit{put("NeedsRefund", "States", "Ship", "Catch", 0, "Next")}, "compensated after the pivot: Refund"},
		{"pivot", []edit{put("NeedsRefund", "States", "RecordShip", "Catch", 0, "Next")}, "compensated after the pivot: Refund"},
		{"pivot", []edit{put("RecordForwardFailed", "States", "Ship", "Catch", 0, "Next")}, "not parked: ForwardFailed"},
		{"pivot", []edit{put("UndoAll", "States", "Pivoted", "Choices", 0, "Next")}, "recovery ignores the pivot: Refund"},
		{"pivot", []edit{put("UndoAll", "States", "StillOpen", "Choices", 0, "Next")}, "recovery ignores the pivot: Refund"},
		{"pivot", []edit{put(nil, "States", "RecordShip", "Arguments", "ExpressionAttributeValues", ":mark")}, "pivot not marked: Ship"},
		{"pivot", []edit{put("#run = :run AND #status = :running AND attribute_not_exists(cancel_requested)", "States", "RecordShip", "Arguments", "ConditionExpression")}, "canceled after the pivot: Ship"},
		{"pivot", []edit{put("CompensationFailed", "States", "RecordForwardFailed", "Next")}, "wrong end: CompensationFailed"},
	} {
		got := kinds(t, edited(t, tt.machine, tt.edits...), claims[tt.machine])
		if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, tt.want) }) {
			t.Errorf("%s: %q was not found in:\n\t%s", tt.machine, tt.want, strings.Join(got, "\n\t"))
		}
	}
}

// Claims that contradict themselves prove nothing.
func TestVerifyRefusesClaims(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*saga.Claims){
		"none":                         func(c *saga.Claims) { c.Steps = nil },
		"no name":                      func(c *saga.Claims) { c.Steps[0].Action = "" },
		"a name twice":                 func(c *saga.Claims) { c.Steps[0].Compensation = c.Steps[1].Compensation },
		"stages in reverse":            func(c *saga.Claims) { c.Steps[0].Stage = 5 },
		"compensation after the pivot": func(c *saga.Claims) { c.Steps[2].Forward = true },
	} {
		claims := tripClaims()
		change(&claims)
		if got := kinds(t, machineFile(t, "trip"), claims); len(got) == 0 || !strings.HasPrefix(got[0], "claims: ") {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, text := range []string{"", "[]", "{}", `{"StartAt":"A","States":{"A":null}}`} {
		if err := saga.Verify([]byte(text), tripClaims()); err == nil {
			t.Errorf("%q is proven", text)
		}
	}
}
