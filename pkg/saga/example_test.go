package saga_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/saga"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// tour is a saga of two steps.
var tour = saga.Definition{Name: "tour", Within: time.Hour, Stages: []saga.Stage{
	saga.One(saga.Step{Name: "BookGuide", Undo: saga.Reversal{By: "CancelGuide"}}),
	saga.One(saga.Step{Name: "BookBus", Undo: saga.Reversal{By: "CancelBus"}}),
}}

func ExampleDefinition_Render() {
	outing := saga.Definition{
		Name: "outing", Within: time.Hour,
		Stages: []saga.Stage{
			saga.One(saga.Step{Name: "BookGuide", Result: "guide", Business: []string{"no_guide"}, Undo: saga.Reversal{By: "CancelGuide"}}),
			saga.AtOnce("Rest",
				saga.Step{Name: "BookBus", Undo: saga.Reversal{By: "CancelBus"}},
				saga.Step{Name: "LookUpWeather", Undo: saga.Reversal{Nothing: "it only reads"}},
			),
		},
	}
	machine, err := outing.Render()
	if err != nil {
		fmt.Println(err)
		return
	}
	var parsed struct {
		StartAt string         `json:"StartAt"`
		States  map[string]any `json:"States"`
	}
	if err := json.Unmarshal(machine, &parsed); err != nil {
		fmt.Println(err)
	}
	fmt.Println("begins with", parsed.StartAt, "and can book and cancel:", parsed.States["BookGuide"] != nil, parsed.States["CancelGuide"] != nil)
	fmt.Println("proven:", saga.Verify(machine, outing.Claims()) == nil)
	fmt.Println("to be filled in:", outing.Substitutions()[3:])
	// Output:
	// begins with Begin and can book and cancel: true true
	// proven: true
	// to be filled in: [BookGuideFunctionArn CancelGuideFunctionArn BookBusFunctionArn CancelBusFunctionArn LookUpWeatherFunctionArn]
}

func ExampleDefinition_Check() {
	fmt.Println(tour.Check(), tour.Bound().Time < tour.Within)

	bad := saga.Definition{Name: "bad", Within: time.Hour, Stages: []saga.Stage{saga.One(saga.Step{Name: "Book"})}}
	fmt.Println(bad.Check())
	// Output:
	// <nil> true
	// saga bad: Book has no compensation: name it in Undo.By, or say in Undo.Nothing why there is nothing to undo
}

func ExampleDefinition_Mermaid() {
	fmt.Print(tour.Mermaid())
	// Output:
	// flowchart TB
	//   begin([begin]) --> BookGuide
	//   BookGuide --> BookBus
	//   BookGuide -. fails .-> CancelGuide
	//   BookBus --> Succeeded
	//   BookBus -. fails .-> CancelBus
	//   Succeeded([Succeeded])
	//   CancelBus --> CancelGuide
	//   CancelBus -. fails for good .-> parked[(saga failures queue)]
	//   CancelGuide --> Undone
	//   CancelGuide -. fails for good .-> parked[(saga failures queue)]
	//   Undone{all undone?} -- yes --> Compensated([Compensated])
	//   Undone -- no --> CompensationFailed([CompensationFailed])
}

// guided is what the next examples' step answers.
type guided struct {
	Guide string `json:"guide"`
}

// guideOf is the item that says whether a guide is free.
func guideOf(name string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "guide"}, "sk": &types.AttributeValueMemberS{Value: name}}
}

// take writes that a guide is on tour.
func take(name string) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{
		TableName: aws.String("tours"), Item: guideOf(name), ConditionExpression: aws.String("attribute_not_exists(pk)"),
	}}
}

// An action that is called twice is done once; one of another saga is refused.
func ExampleAction() {
	ctx := context.Background()
	ledger := saga.NewLedger(archivetest.NewTable(), "tours", nil) // on AWS: dynamodb.NewFromConfig(cfg)
	handler := saga.Action(ledger, func(context.Context, saga.Call[tea]) (saga.Effect[guided], error) {
		return saga.Effect[guided]{Result: guided{"Ada"}, Writes: []saga.Write{{
			Item:    take("Ada"),
			Refused: func(context.Context) error { return saga.Business("no_guide", errors.New("Ada is on tour")) },
		}}}, nil
	}) // goes to lambda.Start

	first := json.RawMessage(`{"task_id":"01A","run":1,"key":"01A-1","step":"BookGuide","input":{"of":"tea"}}`)
	for range 2 {
		out, err := handler(ctx, first)
		fmt.Println(string(out), err)
	}
	second := json.RawMessage(`{"task_id":"01B","run":1,"key":"01B-1","step":"BookGuide","input":{"of":"tea"}}`)
	_, err := handler(ctx, second)
	if e, ok := errors.AsType[messages.InvokeResponse_Error](err); ok { // as Step Functions sees it
		fmt.Println(e.Type, "-", e.Message)
	}
	// Output:
	// {"guide":"Ada"} <nil>
	// {"guide":"Ada"} <nil>
	// no_guide - Ada is on tour
}

// A compensation gives back what was taken, and keeps an action from coming
// late.
func ExampleCompensation() {
	ctx := context.Background()
	ledger := saga.NewLedger(archivetest.NewTable(), "tours", nil) // on AWS: dynamodb.NewFromConfig(cfg)
	book := saga.Action(ledger, func(context.Context, saga.Call[tea]) (saga.Effect[guided], error) {
		return saga.Effect[guided]{Result: guided{"Ada"}, Writes: []saga.Write{{Item: take("Ada")}}}, nil
	})
	cancel := saga.Compensation(ledger, func(_ context.Context, u saga.Undo[tea, guided]) ([]saga.Write, error) {
		fmt.Println("free again:", u.Result.Guide)
		return []saga.Write{{Item: types.TransactWriteItem{Delete: &types.Delete{TableName: aws.String("tours"), Key: guideOf(u.Result.Guide)}}}}, nil
	})

	booking := json.RawMessage(`{"task_id":"01A","run":1,"key":"01A-1","step":"BookGuide","input":{"of":"tea"}}`)
	canceling := json.RawMessage(`{"task_id":"01A","run":1,"key":"01A-1","step":"CancelGuide","action":"BookGuide","input":{"of":"tea"}}`)
	_, _ = book(ctx, booking)
	for range 2 {
		out, err := cancel(ctx, canceling)
		fmt.Println(string(out), err)
	}
	_, err := book(ctx, booking)
	if e, ok := errors.AsType[messages.InvokeResponse_Error](err); ok { // as Step Functions sees it
		fmt.Println(e.Type)
	}
	// Output:
	// free again: Ada
	// {} <nil>
	// {} <nil>
	// already_compensated
}

// A payment is made by somebody else, who takes an idempotency key.
func ExampleOutside() {
	paid := map[string]bool{}
	ledger := saga.NewLedger(archivetest.NewTable(), "tours", nil) // on AWS: dynamodb.NewFromConfig(cfg)
	pay := saga.Action(ledger, func(_ context.Context, c saga.Call[tea]) (saga.Effect[string], error) {
		paid[c.Key+"/"+c.Step] = true
		return saga.Effect[string]{Result: "paid"}, nil
	}, saga.Outside())
	for range 2 {
		out, err := pay(context.Background(), json.RawMessage(`{"task_id":"01A","run":1,"key":"01A-1","step":"Pay","input":{"of":"tea"}}`))
		fmt.Println(string(out), err, paid)
	}
	// Output:
	// "paid" <nil> map[01A-1/Pay:true]
	// "paid" <nil> map[01A-1/Pay:true]
}

// The worker hands a task over to its saga, which will end it.
func ExampleStart() {
	machines := &engine{} // on AWS: sfn.NewFromConfig(cfg)
	handler := saga.Start[tea](machines, machineARN, 0)

	ctx := task.NewContext(context.Background(), &task.Execution{ID: "01A", Run: 1, Attempt: 1})
	_, err := handler(ctx, tea{Of: "mint"})
	fmt.Println(errors.Is(err, task.ErrDeferred), machines.started["01A-1"])
	// Output:
	// true {"task_id":"01A","run":1,"input":{"of":"mint"}}
}

// Somebody has aborted an execution: another one cleans up after it.
func ExampleRecovery() {
	machines := &engine{}                                              // on AWS: sfn.NewFromConfig(cfg)
	tasks := rows{"01A": &tasktable.Row{Run: 1, Status: task.Running}} // on AWS: tasktable.New(client, table, nil)
	recovery := saga.NewRecovery(machines, tasks, slog.New(slog.DiscardHandler))

	err := recovery.Handle(context.Background(), change("01A-1", "ABORTED", `{"task_id":"01A","run":1,"input":{"of":"mint"}}`))
	fmt.Println(err, machines.started)
	// Output:
	// <nil> map[01A-1-recover-1:{"task_id":"01A","run":1,"input":{"of":"mint"},"recover":true}]
}
