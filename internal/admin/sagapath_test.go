package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// drawn is a path as a text, one line for each state.
func drawn(steps []adminapi.SagaStep) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "%s %s %s", s.State, s.Type, s.Outcome)
		if s.Attempts > 0 {
			fmt.Fprintf(&b, " x%d", s.Attempts)
		}
		if s.TookMS > 0 {
			fmt.Fprintf(&b, " %dms", s.TookMS)
		}
		if why := strings.Trim(s.Error+": "+s.Cause, ": "); why != "" {
			b.WriteString(" " + why)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// The same story in the events of AWS and of an emulator, which has fewer.
func TestPath(t *testing.T) {
	t.Parallel()
	const parked = `
Begin Pass ok 10ms
Recovering Choice ok 10ms
RecordBookHotel Task ok x1 TOOK
BookHotel Task ok x2 TOOK States.Timeout
RecordBookFlight Task ok x1 TOOK
BookFlight Task ok x1 TOOK
RecordBookCar Task ok x1 TOOK
BookCar Task failed x1 TOOK sold_out: car-1: none is left
CancelFlight Task ok x1 TOOK
CancelHotel Task failed x4 TOOK errorString: the hotel answers 503
ParkCancelHotel Task ok x1 TOOK
Undone Choice ok 10ms
RecordCompensationFailed Task ok x1 TOOK
CompensationFailed Fail ended 10ms
`
	for _, tt := range []struct{ name, tasks, hotel, canceled, car, want string }{
		{"aws-parked", "80ms", "21240ms", "3300ms", "110ms", parked},
		{"emulator-parked", "70ms", "21220ms", "3260ms", "100ms", parked},
		{name: "aws-succeeded", tasks: "80ms", want: `
Begin Pass ok 10ms
Recovering Choice ok 10ms
RecordBookHotel Task ok x1 TOOK
BookHotel Task ok x1 TOOK
RecordBookFlight Task ok x1 TOOK
BookFlight Task ok x1 TOOK
RecordBookCar Task ok x1 TOOK
BookCar Task ok x1 TOOK
RecordSucceeded Task ok x1 TOOK
Succeeded Succeed ok 10ms
`},
		// Which event belongs to which branch is what previousEventId says.
		{name: "aws-parallel-running", tasks: "80ms", want: `
Begin Pass ok 10ms
Recovering Choice ok 10ms
RecordBook Task ok x1 TOOK
Book Parallel ok x1 300ms
BookHotel Task ok x2 260ms Lambda.TooManyRequestsException: Rate Exceeded.
BookFlight Task failed x1 170ms sold_out: flight-1: none is left
BookFlightEnded Pass ok 50ms
BookOutcome Pass ok 10ms
BookDone Choice ok 10ms
UndoBook Parallel running x1
NeedsCancelHotel Choice ok 20ms
NeedsCancelFlight Choice ok 20ms
CancelHotel Task running x1
CancelFlightSkipped Pass ok 20ms
`},
		{name: "aws-branch-aborted", want: `
Begin Pass ok 10ms
Recovering Choice ok 10ms
Book Parallel failed x1 150ms
BookHotel Task ended x1 110ms
BookFlight Task failed x1 110ms States.QueryEvaluationError: no such field
CancelHotel Task running x1
`},
		{name: "emulator-aborted", tasks: "70ms", want: `
Begin Pass ok 10ms
Recovering Choice ok 10ms
RecordBookHotel Task ok x1 TOOK
BookHotel Task ended x1 5010ms
`},
		{name: "aws-timed-out", want: `
Begin Pass ok 10ms
Recovering Choice ok 10ms
BookHotel Task ended x2 5040ms errorString: busy
`},
	} {
		for _, page := range []int{0, 1, 7} {
			t.Run(fmt.Sprintf("%s, %d a page", tt.name, page), func(t *testing.T) {
				t.Parallel()
				m := newFakeMachine(t)
				m.run(&fakeExecution{name: "trip-1", events: history(t, tt.name), page: page})
				arn := executionOf + "trip-1"
				if page == 1 && len(m.executions[0].events) > historyPages {
					m.executions[0].page = 4 // an execution has no more pages
				}
				steps, cut, err := (&Sagas{Executions: m, Machine: machineARN}).path(t.Context(), arn)
				if err != nil || cut {
					t.Fatalf("cut %t, %v", cut, err)
				}
				var want strings.Builder
				for line := range strings.Lines(strings.TrimPrefix(tt.want, "\n")) {
					took := tt.tasks
					switch name, _, _ := strings.Cut(line, " "); {
					case name == "BookHotel" && tt.hotel != "":
						took = tt.hotel
					case name == "CancelHotel" && tt.canceled != "":
						took = tt.canceled
					case name == "BookCar" && tt.car != "":
						took = tt.car
					}
					want.WriteString(strings.ReplaceAll(line, "TOOK", took))
				}
				if diff := cmp.Diff(want.String(), drawn(steps)); diff != "" {
					t.Errorf("path (-want +got):\n%s", diff)
				}
				for _, s := range steps {
					if s.EnteredAt.IsZero() || s.EnteredAt.Before(time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)) {
						t.Errorf("%s entered at %v", s.State, s.EnteredAt)
					}
				}
			})
		}
	}
}

// A path has an end, however long the execution.
func TestPathIsBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		states, page int
		steps        int
		cut          bool
	}{{maxPath, 0, maxPath, false}, {maxPath + 1, 0, maxPath, true}, {100, 3, 0, true}} {
		e := &fakeExecution{name: "trip-1", page: tt.page}
		for i := range tt.states {
			name, at := fmt.Sprintf("Wait%d", i), time.UnixMilli(int64(i))
			e.events = append(e.events,
				types.HistoryEvent{Id: int64(2*i + 1), Type: "WaitStateEntered", Timestamp: &at, StateEnteredEventDetails: &types.StateEnteredEventDetails{Name: &name}},
				types.HistoryEvent{Id: int64(2*i + 2), Type: "WaitStateExited", Timestamp: &at, StateExitedEventDetails: &types.StateExitedEventDetails{Name: &name}})
		}
		m := newFakeMachine(t)
		m.run(e)
		steps, cut, err := (&Sagas{Executions: m, Machine: machineARN}).path(t.Context(), executionOf+"trip-1")
		if err != nil || cut != tt.cut || tt.steps > 0 && len(steps) != tt.steps || len(steps) > maxPath {
			t.Errorf("%d states: %d steps, cut %t, %v", tt.states, len(steps), cut, err)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	why, cause := aws.String("why"), aws.String("cause")
	for name, e := range map[string]types.HistoryEvent{
		"failed":          {TaskFailedEventDetails: &types.TaskFailedEventDetails{Error: why, Cause: cause}},
		"timed out":       {TaskTimedOutEventDetails: &types.TaskTimedOutEventDetails{Error: why, Cause: cause}},
		"not started":     {TaskStartFailedEventDetails: &types.TaskStartFailedEventDetails{Error: why, Cause: cause}},
		"not submitted":   {TaskSubmitFailedEventDetails: &types.TaskSubmitFailedEventDetails{Error: why, Cause: cause}},
		"function":        {LambdaFunctionFailedEventDetails: &types.LambdaFunctionFailedEventDetails{Error: why, Cause: cause}},
		"function's time": {LambdaFunctionTimedOutEventDetails: &types.LambdaFunctionTimedOutEventDetails{Error: why, Cause: cause}},
		"expression":      {EvaluationFailedEventDetails: &types.EvaluationFailedEventDetails{Error: why, Cause: cause}},
	} {
		if gotWhy, gotCause, failed := failureOf(&e); gotWhy != "why" || gotCause != "cause" || !failed {
			t.Errorf("%s: %q, %q, %t", name, gotWhy, gotCause, failed)
		}
	}
	if _, _, failed := failureOf(&types.HistoryEvent{TaskSucceededEventDetails: &types.TaskSucceededEventDetails{}}); failed {
		t.Error("a success failed")
	}
}
