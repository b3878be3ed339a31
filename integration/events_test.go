//go:build integration

package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/oklog/ulid/v2"

	trips "github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/callback"
	"github.com/spillway-go/spillway/pkg/client"
	pipeline "github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// What the sample events are about, see events/README.md.
const (
	sampleTask    = "01KWEG73E0EDR6JV3CEXGQJRB2"
	sampleTrip    = "01KWEG8Y106S6Y1T5Q9W3V7R2K"
	sampleAborted = "01KWEGSDC0X7M3P5B8N2H4J6C9"
	sampleTenant  = "AROAEXAMPLEEXAMPLE123"
)

// sampled calls the functions of the stack with the sample events.
type sampled struct {
	functions map[string]string // names of the deployed functions, by that of their folder
	called    map[string]bool
	ids       map[string]string // of this run's tasks, by those of the samples
	rows      []string          // ids of items that the tasks table has because of it
}

// Every function of the stack is called with its sample event, as `make invoke`
// and `sam remote invoke` do, and answers what the documentation says. The
// events are given as they are; where they speak of something that has to be of
// this stack (a state machine), or of this run (a task, whose executions have its
// name for ever), that is put in its place.
func TestSampleEvents(t *testing.T) {
	t.Parallel()
	s := &sampled{functions: deployedFunctions(t), called: map[string]bool{}, ids: map[string]string{}}
	for _, id := range []string{sampleTask, sampleTrip, sampleAborted} {
		s.ids[id] = ulid.Make().String()
	}
	t.Cleanup(func() { s.forget(t) })
	t.Run("API", s.testAPI)
	t.Run("worker", s.testWorker)
	t.Run("notify", s.testNotify)
	t.Run("rescue", s.testRescue)
	t.Run("admin", s.testAdmin)
	t.Run("trip", s.testTrip)
	t.Run("aborted", s.testAborted)
	for folder := range s.functions {
		if !s.called[folder] {
			t.Errorf("the function %s was called with no sample event", folder)
		}
	}
}

// deployedFunctions are all functions of the stack. Folders are named as their
// resources are, but for "Function" and in lower case.
func deployedFunctions(t *testing.T) map[string]string {
	t.Helper()
	resources, err := resourcesOf(t.Context(), stack.name)
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]string{}
	for _, r := range resources {
		if aws.ToString(r.ResourceType) == "AWS::Lambda::Function" {
			functions[strings.ToLower(strings.TrimSuffix(aws.ToString(r.LogicalResourceId), "Function"))] = aws.ToString(r.PhysicalResourceId)
		}
	}
	if len(functions) < len(functionOutputs()) {
		t.Fatalf("the stack has the functions %v", functions)
	}
	return functions
}

// sample reads an event, with texts in it replaced.
func (s *sampled) sample(t *testing.T, name string, oldnew ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "events", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !bytes.Contains(text, []byte(oldnew[i])) {
			t.Fatalf("%s.json says nothing of %s", name, oldnew[i])
		}
	}
	for sampled, id := range s.ids {
		oldnew = append(oldnew, sampled, id)
	}
	return []byte(strings.NewReplacer(oldnew...).Replace(string(text)))
}

// call calls a function and returns its answer, which must be no error.
func (s *sampled) call(t *testing.T, function string, event []byte) string {
	t.Helper()
	s.called[function] = true
	out, err := stack.lambdas.Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String(s.functions[function]), Payload: event, InvocationType: lambdatypes.InvocationTypeRequestResponse,
	}, func(o *lambda.Options) { o.RetryMaxAttempts = 1 })
	if err != nil {
		t.Fatalf("%s: %v", function, err)
	}
	if out.FunctionError != nil {
		t.Fatalf("%s: %s: %s", function, *out.FunctionError, out.Payload)
	}
	var short bytes.Buffer // an emulator may put spaces in
	if err := json.Compact(&short, out.Payload); err != nil {
		t.Fatalf("%s: %v in %s", function, err, out.Payload)
	}
	return short.String()
}

// answers expects an answer.
func (s *sampled) answers(t *testing.T, function string, event []byte, want string) {
	t.Helper()
	if got := s.call(t, function, event); got != want {
		t.Errorf("%s answers %s, want %s", function, got, want)
	}
}

// api calls a function of the API, which has to answer with a status.
func (s *sampled) api(t *testing.T, function string, event []byte, status int) (answer events.APIGatewayProxyResponse) {
	t.Helper()
	text := s.call(t, function, event)
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.StatusCode != status {
		t.Fatalf("%s answers %s (%v), want the status %d", function, text, err, status)
	}
	return answer
}

func (s *sampled) testAPI(t *testing.T) {
	for function, event := range map[string]string{"status": "status", "cancel": "cancel"} {
		unknown := s.api(t, function, s.sample(t, event), http.StatusNotFound)
		if unknown.Headers["Content-Type"] != "application/problem+json" || !strings.Contains(unknown.Body, `"code":"not_found"`) {
			t.Errorf("%s of a task that there is not: %+v", function, unknown)
		}
	}
	if list := s.api(t, "status", s.sample(t, "list"), http.StatusOK); list.Body != `{"tasks":[]}` {
		t.Errorf("the caller of the samples has %s", list.Body)
	}

	submitted := s.api(t, "submit", s.sample(t, "submit"), http.StatusAccepted)
	var accepted client.Task
	if err := json.Unmarshal([]byte(submitted.Body), &accepted); err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256([]byte("7f9c24e8-3b12-4fd1-9c1a-0d7c5b1a2e3f")) // as tasktable names an idempotency key's item
	s.rows = append(s.rows, accepted.ID, "key#"+sampleTenant+"#"+hex.EncodeToString(key[:16]))
	if accepted.Status != client.Queued || accepted.Tenant != sampleTenant || accepted.Type != "webhook.deliver" ||
		!strings.HasSuffix(submitted.Headers["Location"], "/tasks/"+accepted.ID) || submitted.Headers["Retry-After"] == "" {
		t.Errorf("submit answers %+v", submitted)
	}
	again := s.api(t, "submit", s.sample(t, "submit"), http.StatusOK)
	if !strings.Contains(again.Body, accepted.ID) {
		t.Errorf("with the same idempotency key submit answers %+v", again)
	}
	if got := s.api(t, "status", s.sample(t, "status", sampleTask, accepted.ID), http.StatusOK); !strings.Contains(got.Body, accepted.ID) {
		t.Errorf("status answers %+v", got)
	}
	// Its webhook cannot be delivered: there is no such host.
	if got := s.api(t, "cancel", s.sample(t, "cancel", sampleTask, accepted.ID), http.StatusOK); !strings.Contains(got.Body, `"canceled"`) && !strings.Contains(got.Body, `"cancel_requested":true`) {
		t.Errorf("cancel answers %+v", got)
	}
	ended := s.end(t, accepted.ID)
	if ended.Status != client.Canceled {
		t.Errorf("the canceled task is %+v", ended)
	}
	s.end(t, callback.TaskID(&tasktable.Row{ID: ended.ID, Run: 1, Status: "canceled", FinishedAt: ended.FinishedAt.UnixMilli()}))
}

// end waits until a task of the samples' caller has ended.
func (s *sampled) end(t *testing.T, id string) (task client.Task) {
	t.Helper()
	s.rows = append(s.rows, id)
	eventually(t, func() error {
		a := admin(t, "task.get", fields{"id": id})
		if !a.OK {
			return fmt.Errorf("task %s: %s", id, a.Code)
		}
		if err := json.Unmarshal(a.Task, &task); err != nil {
			return err
		}
		if task.FinishedAt.IsZero() {
			return fmt.Errorf("task %s is %s", id, task.Status)
		}
		return nil
	})
	if task.Status == client.DeadLettered {
		discard(t, id)
	}
	return task
}

// discard deletes the dead letter of a task, and leaves the others visible.
func discard(t *testing.T, id string) {
	t.Helper()
	deadLetter(t, ofTask(id)) // waits for it
	eventually(t, func() error {
		sweeping.Lock()
		defer sweeping.Unlock()
		for {
			messages, err := receiveHidden(t, stack.out["DeadLetterQueueUrl"])
			if err != nil {
				return err
			}
			if len(messages) == 0 {
				return fmt.Errorf("the dead letter of task %s is hidden", id)
			}
			i := slices.IndexFunc(messages, ofTask(id))
			if i < 0 {
				defer show(t, stack.out["DeadLetterQueueUrl"], messages)
				continue
			}
			defer show(t, stack.out["DeadLetterQueueUrl"], slices.Delete(slices.Clone(messages), i, i+1))
			_, err = stack.queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{
				QueueUrl: aws.String(stack.out["DeadLetterQueueUrl"]), ReceiptHandle: messages[i].ReceiptHandle,
			})
			return err
		}
	})
}

const nothingFailed = `{"batchItemFailures":[]}`

// The message's task is not in this stack's table.
func (s *sampled) testWorker(t *testing.T) {
	s.answers(t, "worker", s.sample(t, "worker"), nothingFailed)
	letter := deadLetter(t, ofTask(s.ids[sampleTask]))
	if code := aws.ToString(letter.MessageAttributes["error_code"].StringValue); code != "foreign_message" {
		t.Errorf("the letter's code is %s", code)
	}
	discard(t, s.ids[sampleTask])
}

// The end becomes a task that delivers the callback, in vain.
func (s *sampled) testNotify(t *testing.T) {
	event := s.sample(t, "notify")
	s.answers(t, "notify", event, nothingFailed)
	changes, err := pipeline.DynamoDB(event)
	if err != nil {
		t.Fatal(err)
	}
	row, err := tasktable.FromImage(changes[0].New)
	if err != nil {
		t.Fatal(err)
	}
	if told := s.end(t, callback.TaskID(row)); told.Type != "webhook.deliver" || told.Tenant != sampleTenant {
		t.Errorf("the callback is %+v", told)
	}
}

// The range's stream is not of this endpoint: what was in it is lost, and noted.
func (s *sampled) testRescue(t *testing.T) {
	s.answers(t, "rescue", s.sample(t, "rescue"), nothingFailed)
	const arn = "arn:aws:dynamodb:us-east-1:123456789012:table/spillway-TasksTable-1ABCDEF/stream/2026-07-01T00:00:00.000"
	ranges := asked(t, "stream.list", fields{"max": 1000}).Ranges
	i := slices.IndexFunc(ranges, func(r map[string]any) bool {
		return r["stream"] == "spillway-TasksTable-1ABCDEF" || r["stream_arn"] == arn
	})
	if i < 0 || ranges[i]["state"] != "expired" {
		t.Fatalf("ranges %v", ranges)
	}
	s.drop(t, stack.out["ControlTableName"], "stream-range", fmt.Sprint(ranges[i]["id"]))
}

func (s *sampled) testAdmin(t *testing.T) {
	for event, want := range map[string]string{
		"admin": `{"ok":true,"queue":"tasks",`,
		"task":  `{"ok":false,"code":"not_found",`,
	} {
		if got := s.call(t, "admin", s.sample(t, event)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: admin answers %s, want %s…", event, got, want)
		}
	}
	sweeping.Lock() // these look through the dead letters
	defer sweeping.Unlock()
	for event, want := range map[string]string{
		"letters": `{"ok":true,"queue":"tasks","messages":[`,
		"replay":  `{"ok":true,"job_id":"`,
	} {
		if got := s.call(t, "admin", s.sample(t, event)); !strings.HasPrefix(got, want) || event == "replay" && !strings.Contains(got, `"matched":0,`) {
			t.Errorf("%s: admin answers %s, want %s…", event, got, want)
		}
	}
}

// The trip is booked and undone, step by step.
func (s *sampled) testTrip(t *testing.T) {
	ids := map[string]string{"hotel": "hotel-grand", "flight": "flight-lh400", "car": "car-compact"}
	const stocked = `{"ok":true,"items":[{"id":"hotel-grand","available":3},{"id":"flight-lh400","available":3},{"id":"car-compact","available":3}]}`
	s.answers(t, "admin", s.sample(t, "stock"), stocked)
	for _, kind := range kinds {
		want := fmt.Sprintf(`{"confirmation":"%s-1-%s","item":"%[2]s","quantity":1}`, s.ids[sampleTrip], ids[kind])
		s.answers(t, "book"+kind, s.sample(t, "book"+kind), want)
		s.answers(t, "book"+kind, s.sample(t, "book"+kind), want) // once is enough
	}
	left(t, ids, 2, 2, 2)
	reserved(t, s.ids[sampleTrip], kinds...)
	for _, kind := range []string{"car", "flight", "hotel"} {
		s.answers(t, "cancel"+kind, s.sample(t, "cancel"+kind), `{}`)
		s.answers(t, "cancel"+kind, s.sample(t, "cancel"+kind), `{}`)
	}
	left(t, ids, 3, 3, 3)
	reserved(t, s.ids[sampleTrip])
	s.answers(t, "recover", s.sample(t, "recover"), "null") // it is over
	s.dropTrip(t, s.ids[sampleTrip])
	for _, id := range ids {
		s.drop(t, stack.out["ReservationsTableName"], "item#"+id, "stock")
	}
}

// An execution undoes what the aborted one may have done, which is nothing, and
// writes the end of its task.
func (s *sampled) testAborted(t *testing.T) {
	s.rows = append(s.rows, s.ids[sampleAborted])
	var event struct{ Detail struct{ Input string } }
	if err := json.Unmarshal(s.sample(t, "aborted"), &event); err != nil {
		t.Fatal(err)
	}
	var started struct{ Input json.RawMessage }
	if err := json.Unmarshal([]byte(event.Detail.Input), &started); err != nil {
		t.Fatal(err)
	}
	table := tasktable.New(stack.tables, stack.out["TasksTableName"], nil)
	_, err := table.Create(t.Context(), tasktable.Draft{
		ID: s.ids[sampleAborted], Tenant: sampleTenant, Type: trips.Type, Priority: "normal", Input: started.Input, Deadline: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	claim := table.Claim(t.Context(), "sample", time.Now().Add(time.Minute), []string{s.ids[sampleAborted]})[0]
	if claim.Outcome != tasktable.Claimed {
		t.Fatalf("claim: %+v", claim)
	}
	if settled := table.Settle(t.Context(), []tasktable.Settlement{tasktable.Defer(claim.Row)})[0]; settled.Err != nil || settled.Lost {
		t.Fatalf("defer: %+v", settled)
	}

	machine := stack.out["TripSagaArn"]
	s.answers(t, "recover", s.sample(t, "aborted",
		"arn:aws:states:us-east-1:123456789012:stateMachine:TripSaga-3k1QmXq0RrZb", machine,
		"arn:aws:states:us-east-1:123456789012:execution:TripSaga-3k1QmXq0RrZb", strings.Replace(machine, ":stateMachine:", ":execution:", 1)), "null")
	recovery := execution(t, s.ids[sampleAborted]+"-1-recover-1")
	if code := aws.ToString(recovery.Error); code != "aborted" {
		t.Errorf("the recovery ends with %q: %s", code, aws.ToString(recovery.Cause))
	}
	if ended := s.end(t, s.ids[sampleAborted]); ended.Status != client.Failed || ended.Error == nil || ended.Error.Code != "aborted" {
		t.Errorf("the task is %+v", ended)
	}
	s.dropTrip(t, s.ids[sampleAborted])
}

// forget deletes the tasks of the samples.
func (s *sampled) forget(t *testing.T) {
	t.Helper()
	for _, id := range s.rows {
		_, err := stack.tables.DeleteItem(context.WithoutCancel(t.Context()), &dynamodb.DeleteItemInput{
			TableName: aws.String(stack.out["TasksTableName"]), Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}},
		})
		if err != nil {
			t.Errorf("forget %s: %v", id, err)
		}
	}
}

// dropTrip deletes what the ledger of sagas says of a trip.
func (s *sampled) dropTrip(t *testing.T, id string) {
	t.Helper()
	for _, kind := range kinds {
		s.drop(t, stack.out["ReservationsTableName"], "saga#"+id+"-1", bookState(kind))
	}
}

// drop deletes an item of a table with two keys, which has to be there.
func (s *sampled) drop(t *testing.T, table, pk, sk string) {
	t.Helper()
	out, err := stack.tables.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: &table, ReturnValues: types.ReturnValueAllOld,
		Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk}},
	})
	if err != nil || len(out.Attributes) == 0 {
		t.Errorf("there is no %s, %s: %v", pk, sk, err)
	}
}
