//go:build integration

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"golang.org/x/sync/errgroup"

	"github.com/spillway-go/spillway/integration/probe"
	"github.com/spillway-go/spillway/pkg/client"
)

// kinds are what a trip books, in the order in which it does.
var kinds = []string{"hotel", "flight", "car"}

// steps are the states of the trip's machine that book and cancel each kind.
func bookState(kind string) string   { return "Book" + strings.ToUpper(kind[:1]) + kind[1:] }
func cancelState(kind string) string { return "Cancel" + strings.ToUpper(kind[:1]) + kind[1:] }

var names atomic.Int64

// offer puts stock that no other test touches: so many rooms, seats and cars.
func offer(t *testing.T, available ...int) (ids map[string]string) {
	t.Helper()
	n := strconv.FormatInt(names.Add(1), 36)
	ids = map[string]string{}
	var items []fields
	for i, kind := range kinds {
		ids[kind] = kind + "-" + n
		items = append(items, fields{"id": ids[kind], "available": available[i]})
	}
	asked(t, "inventory.put", fields{"items": items})
	return ids
}

// trip is the input of a trip.book task.
func trip(ids map[string]string) map[string]any {
	return map[string]any{
		"traveler": canary, "hotel": fields{"id": ids["hotel"], "nights": 2}, "flight": fields{"id": ids["flight"], "seats": 1},
		"car": fields{"id": ids["car"], "days": 2},
	}
}

func book(t *testing.T, ids map[string]string, change ...func(*client.SubmitRequest)) *client.Task {
	t.Helper()
	r := client.SubmitRequest{Type: "trip.book", Input: trip(ids)}
	for _, c := range change {
		c(&r)
	}
	task, err := stack.api.Submit(t.Context(), r)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	return task
}

// left checks the stock.
func left(t *testing.T, ids map[string]string, want ...int) {
	t.Helper()
	for i, kind := range kinds {
		items := asked(t, "inventory.get", fields{"ids": []string{ids[kind]}}).Items
		if len(items) != 1 || items[0].Available != want[i] {
			t.Errorf("%s: %+v left, want %d", ids[kind], items, want[i])
		}
	}
}

// reserved checks which of a trip's reservations there are.
func reserved(t *testing.T, task string, want ...string) {
	t.Helper()
	for _, kind := range kinds {
		out, err := stack.tables.GetItem(t.Context(), &dynamodb.GetItemInput{
			TableName: aws.String(stack.out["ReservationsTableName"]), ConsistentRead: aws.Bool(true),
			Key: map[string]types.AttributeValue{
				"pk": &types.AttributeValueMemberS{Value: "reservation#" + task + "-1"}, "sk": &types.AttributeValueMemberS{Value: bookState(kind)},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if has, should := len(out.Item) > 0, strings.Contains(strings.Join(want, " "), kind); has != should {
			t.Errorf("task %s: reservation of %s: %v, want %v", task, kind, has, should)
		}
	}
}

// showing lets one test at a time look at what is parked: a message that one
// command has received, another does not see.
var showing sync.Mutex

// parked are the compensations of a saga that wait for a person.
func parked(t *testing.T, task string) (steps []string) {
	t.Helper()
	showing.Lock()
	defer showing.Unlock()
	for _, p := range asked(t, "saga.show", fields{"execution": task + "-1"}).Parked {
		steps = append(steps, p.Step)
	}
	return steps
}

// resumeStep runs a parked compensation again.
func resumeStep(t *testing.T, task, step string) {
	t.Helper()
	showing.Lock()
	defer showing.Unlock()
	asked(t, "saga.resume", fields{"execution": task + "-1", "step": step, "by": "test"})
}

func executions() *sfn.Client { return sfn.NewFromConfig(stack.cfg) }

func executionARN(name string) *string {
	return aws.String(strings.Replace(stack.out["TripSagaArn"], ":stateMachine:", ":execution:", 1) + ":" + name)
}

// execution waits for the end of one.
func execution(t *testing.T, name string) (out *sfn.DescribeExecutionOutput) {
	t.Helper()
	machine := executions()
	eventually(t, func() (err error) {
		out, err = machine.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: executionARN(name)})
		if err == nil && out.Status == sfntypes.ExecutionStatusRunning {
			err = errors.New("execution " + name + " runs")
		}
		return err
	})
	return out
}

func TestTrip(t *testing.T) {
	t.Parallel()
	ids := offer(t, 3, 3, 3)
	task := finish(t, book(t, ids).ID)
	want(t, task, client.Succeeded, 1)
	var result map[string]struct{ Confirmation, Item string }
	if err := json.Unmarshal(task.Result, &result); err != nil {
		t.Fatalf("result %s: %v", task.Result, err)
	}
	for _, kind := range kinds {
		if r := result[kind]; r.Confirmation == "" || r.Item != ids[kind] {
			t.Errorf("result %s has no confirmation of the %s", task.Result, kind)
		}
	}
	left(t, ids, 2, 2, 2)
	reserved(t, task.ID, kinds...)
	if e := execution(t, task.ID+"-1"); e.Status != sfntypes.ExecutionStatusSucceeded {
		t.Errorf("the execution %s", e.Status)
	}
}

// A sold-out car undoes the flight and the hotel.
func TestTripSoldOut(t *testing.T) {
	t.Parallel()
	for i, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			stock := []int{2, 2, 2}
			stock[i] = 0
			ids := offer(t, stock...)
			task := finish(t, book(t, ids).ID)
			want(t, task, client.Failed, 1)
			if task.Error == nil || task.Error.Code != "sold_out" || task.Error.Retryable {
				t.Errorf("the error is %+v", task.Error)
			}
			left(t, ids, stock...)
			reserved(t, task.ID)
			e := execution(t, task.ID+"-1")
			if e.Status != sfntypes.ExecutionStatusFailed || aws.ToString(e.Error) != "sold_out" {
				t.Errorf("the execution %s with %s", e.Status, aws.ToString(e.Error))
			}
		})
	}
}

func TestTripOfUnknownItem(t *testing.T) {
	t.Parallel()
	ids := offer(t, 1, 1, 1)
	asked := ids["car"]
	ids["car"] = "car-nowhere"
	task := finish(t, book(t, ids).ID)
	want(t, task, client.Failed, 1)
	if task.Error == nil || task.Error.Code != "unknown_item" {
		t.Errorf("the error is %+v", task.Error)
	}
	ids["car"] = asked
	left(t, ids, 1, 1, 1)
	reserved(t, task.ID)
}

// faultCase is one step that fails one way, and how the trip then ends.
type faultCase struct {
	state, fault string
	times        int // 0: always

	status client.Status
	code   string
	parked string
}

// faultCases are the steps of a kind with every way to fail.
func faultCases(kind string) (cases []faultCase) {
	b, c := bookState(kind), cancelState(kind)
	for _, fault := range []string{"business_error", "error", "panic", "timeout", "throttle", "error_after_effect"} {
		code := map[string]string{"business_error": "sold_out"}[fault]
		cases = append(cases, faultCase{state: b, fault: fault, status: client.Failed, code: code})
		if fault != "business_error" { // which no retry mends
			cases = append(cases, faultCase{state: b, fault: fault, times: 1, status: client.Succeeded})
		}
	}
	cases = append(cases, faultCase{state: c, fault: "error", times: 1, status: client.Failed, code: "sold_out"})
	for _, fault := range []string{"error", "panic", "timeout", "throttle", "error_after_effect"} {
		cases = append(cases, faultCase{state: c, fault: fault, status: client.Failed, code: "compensation_failed", parked: c})
	}
	return cases
}

func (c faultCase) String() string {
	if c.times > 0 {
		return fmt.Sprintf("%s %s %d times", c.state, c.fault, c.times)
	}
	return c.state + " " + c.fault + " always"
}

// Every step fails every way, sixteen trips at a time: a fault is one trip's. An
// external endpoint, whose functions start more slowly, gets six.
func TestTripFaults(t *testing.T) {
	t.Parallel()
	atOnce := 16
	if stack.external {
		atOnce = 6
	}
	turns := make(chan struct{}, atOnce)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if kind != "flight" { // one of three shows that the machines do the same
				tooLong(t, probe.RealWaits)
			}
			for _, c := range faultCases(kind) {
				t.Run(c.String(), func(t *testing.T) {
					t.Parallel()
					turns <- struct{}{}
					defer func() { <-turns }()
					c.run(t)
				})
			}
		})
	}
}

// bookToFail submits a trip whose faults are set before it begins. A submission
// whose delay was over too soon is canceled and made again, with a longer one.
func (c faultCase) bookToFail(t *testing.T, stock []int) (ids map[string]string, id string) {
	t.Helper()
	for delay := 4 * time.Second; delay < time.Minute; delay *= 3 {
		ids = offer(t, stock...)
		submitted := time.Now()
		id = book(t, ids, func(r *client.SubmitRequest) { r.Delay = delay }).ID
		set := fields{"target": "saga." + c.state, "execution": id + "-1", "fault": c.fault, "for": "5m"}
		if c.times > 0 {
			set["times"] = c.times
		} else {
			set["rate"] = 1
		}
		asked(t, "chaos.set", set)
		if c.state == cancelState("car") { // the last step: only an error of its own has it undone
			asked(t, "chaos.set", fields{"target": "saga." + bookState("car"), "execution": id + "-1", "fault": "error_after_effect", "rate": 1, "for": "5m"})
		}
		if time.Since(submitted) < delay {
			return ids, id
		}
		if _, err := stack.api.Cancel(t.Context(), id); err != nil && !errors.Is(err, client.ErrTaskFinished) {
			t.Fatal(err)
		}
	}
	t.Fatal("faults take longer to be set than a trip can be delayed")
	return nil, ""
}

func (c faultCase) run(t *testing.T) {
	t.Helper()
	stock := []int{2, 2, 2}
	cancels := strings.HasPrefix(c.state, "Cancel")
	if cancels { // something has to be undone: what comes after is sold out
		for i, kind := range kinds[:2] {
			if c.state == cancelState(kind) {
				stock[i+1] = 0
			}
		}
	}
	ids, id := c.bookToFail(t, stock)
	defer asked(t, "chaos.clear", fields{"execution": id + "-1"}) // not in Cleanup, when the context is over
	task := finish(t, id)
	want(t, task, c.status, 1)
	if c.status == client.Succeeded {
		left(t, ids, 1, 1, 1)
		reserved(t, task.ID, kinds...)
		return
	}
	if c.code != "" && c.state != cancelState("car") && (task.Error == nil || task.Error.Code != c.code) {
		t.Errorf("the error is %+v, want %s", task.Error, c.code)
	}
	e := execution(t, task.ID+"-1")
	steps := parked(t, task.ID)
	if c.parked == "" {
		left(t, ids, stock...)
		reserved(t, task.ID)
		if len(steps) > 0 {
			t.Errorf("parked: %v", steps)
		}
		return
	}
	if len(steps) != 1 || steps[0] != c.parked {
		t.Fatalf("parked: %v, want %s", steps, c.parked)
	}
	if aws.ToString(e.Error) != "compensation_failed" {
		t.Errorf("the execution ended with %s", aws.ToString(e.Error))
	}
	if c.fault != "error_after_effect" { // what was to be undone is still there, and nothing else
		kind := strings.ToLower(strings.TrimPrefix(c.parked, "Cancel"))
		reserved(t, task.ID, kind)
	}
	asked(t, "chaos.clear", fields{"execution": id + "-1"})
	resumeStep(t, task.ID, c.parked)
	left(t, ids, stock...)
	reserved(t, task.ID)
	if steps := parked(t, task.ID); len(steps) > 0 {
		t.Errorf("still parked: %v", steps)
	}
}

// A throttle as Lambda gives it, to a function that may not run at all.
func TestTripThrottled(t *testing.T) {
	ids := offer(t, 1, 1, 1)
	name := physicalName(t, "BookFlight")
	_, err := stack.lambdas.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: &name, ReservedConcurrentExecutions: aws.Int32(0)})
	if err != nil {
		t.Fatal(err)
	}
	allow := sync.OnceFunc(func() {
		if _, err := stack.lambdas.DeleteFunctionConcurrency(t.Context(), &lambda.DeleteFunctionConcurrencyInput{FunctionName: &name}); err != nil {
			t.Error(err)
		}
	})
	defer allow()
	task := finish(t, book(t, ids).ID)
	want(t, task, client.Failed, 1)
	if task.Error == nil || !task.Error.Retryable {
		t.Errorf("the error is %+v", task.Error)
	}
	left(t, ids, 1, 1, 1)
	reserved(t, task.ID)
	allow()
	task = finish(t, book(t, ids).ID)
	want(t, task, client.Succeeded, 1)
	left(t, ids, 0, 0, 0)
}

// physicalName finds a function of the trip by its step, in the machine.
func physicalName(t *testing.T, step string) string {
	t.Helper()
	out, err := executions().DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(stack.out["TripSagaArn"])})
	if err != nil {
		t.Fatal(err)
	}
	var machine struct {
		States map[string]struct {
			Arguments struct{ FunctionName string }
		}
	}
	if err := json.Unmarshal([]byte(aws.ToString(out.Definition)), &machine); err != nil {
		t.Fatal(err)
	}
	arn := machine.States[step].Arguments.FunctionName
	return arn[strings.LastIndexByte(arn, ':')+1:]
}

// A cancel while the flight is being booked undoes the hotel and the flight.
func TestTripCanceled(t *testing.T) {
	ids := offer(t, 1, 1, 1)
	asked(t, "chaos.set", fields{"target": "saga.BookFlight", "fault": "latency", "latency": "1500ms", "rate": 1, "for": "1m"})
	defer asked(t, "chaos.clear", nil) // not in Cleanup, when the context is over
	id := book(t, ids).ID
	eventually(t, func() error {
		task, err := stack.api.Get(t.Context(), id)
		if err == nil && (task.Progress == nil || task.Progress.Note != "BookFlight") {
			err = fmt.Errorf("progress %+v", task.Progress)
		}
		return err
	})
	if _, err := stack.api.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	task := finish(t, id)
	want(t, task, client.Canceled, 1)
	left(t, ids, 1, 1, 1)
	reserved(t, id)
	if e := execution(t, id+"-1"); aws.ToString(e.Error) != "canceled" {
		t.Errorf("the execution ended with %s", aws.ToString(e.Error))
	}
}

// Somebody stops an execution in the middle: past every Catch. Another one
// undoes it all.
func TestTripAborted(t *testing.T) {
	ids := offer(t, 1, 1, 1)
	asked(t, "chaos.set", fields{"target": "saga.BookCar", "fault": "latency", "latency": "1500ms", "rate": 1, "for": "1m"})
	defer asked(t, "chaos.clear", nil) // not in Cleanup, when the context is over
	id := book(t, ids).ID
	eventually(t, func() error {
		task, err := stack.api.Get(t.Context(), id)
		if err == nil && (task.Progress == nil || task.Progress.Note != "BookCar") {
			err = fmt.Errorf("progress %+v", task.Progress)
		}
		return err
	})
	if _, err := executions().StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: executionARN(id + "-1")}); err != nil {
		t.Fatal(err)
	}
	task := finish(t, id)
	want(t, task, client.Failed, 1)
	if task.Error == nil || task.Error.Code != "aborted" {
		t.Errorf("the error is %+v", task.Error)
	}
	execution(t, id+"-1-recover-1")
	// The car's booking may still have been under way: it refuses, or was undone.
	eventually(t, func() error {
		for _, item := range asked(t, "inventory.get", fields{"ids": []string{ids["hotel"], ids["flight"], ids["car"]}}).Items {
			if item.Available != 1 {
				return fmt.Errorf("%s: %d left", item.ID, item.Available)
			}
		}
		return nil
	})
	reserved(t, id)
}

// Two hundred trips at once, or SPILLWAY_TEST_TRIPS, over stock for a quarter of
// them. An emulator whose state machines need seconds for a step gets a tenth.
func TestTripCrowd(t *testing.T) {
	trips := 200
	if stack.external {
		trips = 20
	}
	if text := os.Getenv("SPILLWAY_TEST_TRIPS"); text != "" {
		var err error
		if trips, err = strconv.Atoi(text); err != nil || trips < 4 {
			t.Fatalf("SPILLWAY_TEST_TRIPS is %q, not a number of trips from 4", text)
		}
	}
	stock := trips / 4
	ids := offer(t, trips, trips, stock)
	tasks := make([]*client.Task, trips)
	var group errgroup.Group
	group.SetLimit(20)
	for i := range trips {
		group.Go(func() error {
			submitted, err := stack.api.Submit(t.Context(), client.SubmitRequest{Type: "trip.book", Input: trip(ids)})
			if err == nil {
				tasks[i] = submitted
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ended := map[client.Status]int{}
	for i, task := range tasks {
		tasks[i] = finish(t, task.ID)
		ended[tasks[i].Status]++
		if e := tasks[i].Error; tasks[i].Status == client.Failed && (e == nil || e.Code != "sold_out") {
			t.Errorf("task %s failed with %+v", task.ID, e)
		}
	}
	t.Logf("%d trips over %d cars: %v, %s after the last was submitted", trips, stock, ended, time.Since(began).Round(time.Second))
	booked := ended[client.Succeeded]
	if booked != stock || booked+ended[client.Failed] != trips {
		t.Errorf("got %v, want %d booked and the others failed", ended, stock)
	}
	left(t, ids, trips-booked, trips-booked, stock-booked)
	for _, task := range tasks {
		if task.Status == client.Succeeded {
			reserved(t, task.ID, kinds...)
		} else {
			reserved(t, task.ID)
		}
	}
}
