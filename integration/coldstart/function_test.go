//go:build integration

package coldstart

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/app/apptest"
	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// function is one of the deployment's, and what it is measured with.
type function struct {
	name string // of its folder
	load string // what it works on, where there is more than one such thing
	id   string // in template.yaml
	// event makes an event that is good for one invocation.
	event func(*stage) []byte
	want  string // part of the response
	// calls are what one warm invocation costs. cold is on top for the first.
	calls, cold map[string]int
	// aside says that the function has the clients of S3 and Lambda, or of
	// streams: no task waits for it.
	aside bool
}

var functions = []function{
	{
		name: "submit", id: "SubmitFunction", event: (*stage).submit, want: `"statusCode":202`,
		calls: map[string]int{"PutItem": 1, "SendMessage": 1},
	},
	{
		name: "status", id: "StatusFunction", event: (*stage).status, want: `"statusCode":200`,
		calls: map[string]int{"GetItem": 1},
	},
	{
		name: "cancel", id: "CancelFunction", event: (*stage).cancel, want: `"statusCode":200`,
		calls: map[string]int{"GetItem": 1, "UpdateItem": 1},
	},
	{
		name: "worker", id: "WorkerFunction", event: (*stage).work, want: `{"batchItemFailures":[]}`,
		calls: map[string]int{"UpdateItem": 2},     // claim and settle
		cold:  map[string]int{"GetSecretValue": 1}, // good for 5 minutes
	},
	{
		name: "notify", id: "NotifyFunction", event: (*stage).end, want: `{"batchItemFailures":[]}`, aside: true,
		calls: map[string]int{"PutItem": 1, "SendMessage": 1, "UpdateItem": 1}, // the delivery's row and message, the position
	},
	{
		name: "rescue", id: "RescueFunction", event: (*stage).failedRange, want: `{"batchItemFailures":[]}`, aside: true,
		calls: map[string]int{"GetShardIterator": 1, "GetRecords": 1, "PutItem": 1, "BatchWriteItem": 1}, // the record, the range
	},
	// The other steps of the trip are the same code.
	{
		name: "bookhotel", id: "BookHotelFunction", event: (*stage).book, want: `"confirmation":`,
		calls: map[string]int{"TransactWriteItems": 1},
	},
	{
		name: "cancelhotel", id: "CancelHotelFunction", event: (*stage).neverBooked, want: `{}`,
		calls: map[string]int{"GetItem": 1, "TransactWriteItems": 1},
	},
	{
		name: "recover", id: "RecoverFunction", event: (*stage).failed, want: `null`, aside: true,
		calls: map[string]int{"GetItem": 1},
	},
	{
		name: "admin", id: "AdminFunction", event: (*stage).overview, want: `"ok":true,"queue":"tasks"`, aside: true,
		calls: map[string]int{"GetQueueAttributes": 1, "Query": 4}, // a shard of the index each
	},
}

// fullBatch is the worker once more, with as many tasks as a batch holds.
var fullBatch = function{
	name: "worker", load: "full batch", id: "WorkerFunction", event: (*stage).workFull, want: `{"batchItemFailures":[]}`,
	calls: map[string]int{"BatchExecuteStatement": 2},
	cold:  map[string]int{"GetSecretValue": 1},
}

// tenant is the caller of the sample events.
const tenant = "AROAEXAMPLEEXAMPLE123"

// stage is what a function works on.
type stage struct {
	testing.TB
	*cloud
	tasks    *tasktable.Table
	receiver string // URL that takes webhooks
	env      map[string]string
	records  int // of streams, made so far
}

// newStage sets up an AWS for a function, and the environment that template.yaml
// gives it there.
func newStage(tb testing.TB, f function) *stage {
	tb.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	tb.Cleanup(receiver.Close)
	c := newCloud(tb)
	s := &stage{TB: tb, cloud: c, tasks: tasktable.New(c.table, "tasks", nil), receiver: receiver.URL}
	values := map[string]string{
		"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h", "MAX_INPUT_BYTES": "262144", "ENDPOINT_URL": "",
		"TASKS_QUEUE_URL":           c.queues.Create("tasks", workqueuetest.QueueOptions{}),
		"BACKLOG_QUEUE_URL":         c.queues.Create("backlog", workqueuetest.QueueOptions{}),
		"DEAD_LETTER_QUEUE_URL":     c.queues.Create("dead-letter", workqueuetest.QueueOptions{}),
		"STREAM_FAILURES_QUEUE_URL": c.queues.Create("stream-failures", workqueuetest.QueueOptions{}),
		"CONTROL_TABLE":             controlTable, "ARCHIVE_BUCKET": "archive", "NOTIFY_FUNCTION": "notify",
		"TASKS_QUEUE_ARN":         "arn:aws:sqs:" + region + ":123456789012:tasks",
		"SAGA_FAILURES_QUEUE_URL": c.queues.Create("saga-failures", workqueuetest.QueueOptions{}),
		"TRIP_SAGA_ARN":           "arn:aws:states:" + region + ":123456789012:stateMachine:trip",
		"RESERVATIONS_TABLE":      reservationsTable, "CHAOS_ENABLED": "false",
		"MAX_ATTEMPTS": "5", "MAX_RECEIVE_COUNT": "100", "RETRY_BASE_DELAY": "2s", "RETRY_MAX_DELAY": "15m", "BACKLOG_AFTER": "5m",
		"WEBHOOK_TIMEOUT": "10s", "WEBHOOK_SECRET_ARN": "arn:aws:secretsmanager:" + region + ":123456789012:secret:s", "ALLOW_PRIVATE_WEBHOOK_TARGETS": "true",
		"WEBHOOK_SECRET_TTL": "5m",
	}
	s.env = map[string]string{"AWS_ENDPOINT_URL": c.url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": c.url}
	if f.id == "" { // not of the deployment
		return s
	}
	for _, name := range apptest.TemplateVariables(tb, f.id) {
		value, ok := values[name]
		if !ok {
			tb.Fatalf("template.yaml gives %s a variable %s that has no value here", f.name, name)
		}
		s.env[name] = value
	}
	return s
}

// sample is one of the events of `make invoke`, changed.
func (s *stage) sample(name string, change func(event map[string]any)) []byte {
	s.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "events", name+".json"))
	if err != nil {
		s.Fatal(err)
	}
	var event map[string]any
	if err := json.Unmarshal(text, &event); err != nil {
		s.Fatal(err)
	}
	change(event)
	text, err = json.Marshal(event)
	if err != nil {
		s.Fatal(err)
	}
	return text
}

// queued puts a task into the table and returns its message.
func (s *stage) queued() workqueue.Message { s.Helper(); return s.queuedFor("") }

// queuedFor is queued for a task whose end is told to a URL.
func (s *stage) queuedFor(callback string) workqueue.Message {
	s.Helper()
	now := time.Now()
	input, err := json.Marshal(map[string]any{"url": s.receiver, "event": "invoice.paid", "payload": map[string]any{"invoice": "in_1", "total": 1999}})
	if err != nil {
		s.Fatal(err)
	}
	draft := tasktable.Draft{
		ID: tasktable.NewID(), Tenant: tenant, Type: webhook.Type, Priority: task.Normal, Input: input, Deadline: now.Add(7 * 24 * time.Hour),
		CallbackURL: callback,
	}
	if _, err := s.tasks.Create(s.Context(), draft); err != nil {
		s.Fatal(err)
	}
	return workqueue.Message{
		Version: workqueue.Version, TaskID: draft.ID, Run: 1, Type: draft.Type, Tenant: tenant,
		CreatedAt: now, Deadline: draft.Deadline, Priority: draft.Priority, Origin: "tasks", Input: input,
	}
}

// submit is without an Idempotency-Key, which costs one more write.
func (s *stage) submit() []byte {
	s.Helper()
	return s.sample("submit", func(event map[string]any) {
		for _, headers := range []string{"headers", "multiValueHeaders"} {
			if h, ok := event[headers].(map[string]any); ok {
				delete(h, "Idempotency-Key")
			}
		}
	})
}

func (s *stage) status() []byte { s.Helper(); return s.about("status") }
func (s *stage) cancel() []byte { s.Helper(); return s.about("cancel") }

// about is a request about a task that is there, and does not wait for it.
func (s *stage) about(name string) []byte {
	s.Helper()
	id := s.queued().TaskID
	return s.sample(name, func(event map[string]any) {
		event["pathParameters"] = map[string]any{"id": id}
		event["queryStringParameters"], event["multiValueQueryStringParameters"] = nil, nil
	})
}

func (s *stage) work() []byte     { s.Helper(); return s.batch(1) }
func (s *stage) workFull() []byte { s.Helper(); return s.batch(10) } // BatchSize in template.yaml

// batch is an SQS event with n webhooks to deliver.
func (s *stage) batch(n int) []byte {
	s.Helper()
	var records []any
	for i := range n {
		out, err := workqueue.Encode(s.queued())
		if err != nil {
			s.Fatal(err)
		}
		attributes := map[string]any{}
		for name, v := range out.Attributes {
			attributes[name] = map[string]any{"stringValue": v.StringValue, "dataType": v.DataType}
		}
		now := strconv.FormatInt(time.Now().UnixMilli(), 10)
		records = append(records, map[string]any{
			"messageId": fmt.Sprintf("059f36b4-87a3-44ab-83d2-%012d", i), "receiptHandle": "AQEB", "body": out.Body, "messageAttributes": attributes,
			"attributes": map[string]any{
				"ApproximateReceiveCount": "1", "SentTimestamp": now, "ApproximateFirstReceiveTimestamp": now,
				"SenderId": "AROAEXAMPLESUBMIT0000:submit", "MessageGroupId": out.Group,
			},
			"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:" + region + ":123456789012:tasks", "awsRegion": region,
		})
	}
	return s.sample("worker", func(event map[string]any) { event["Records"] = records })
}

// end is the end of a task, as the stream of the table has it.
func (s *stage) end() []byte {
	s.Helper()
	id := s.queuedFor("https://example.com/tasks").TaskID
	claim := s.tasks.Claim(s.Context(), "owner", time.Now().Add(time.Minute), []string{id})[0]
	if claim.Err != nil || claim.Row == nil {
		s.Fatalf("claim: %+v", claim)
	}
	before := s.table.Item(id)
	if settled := s.tasks.Settle(s.Context(), []tasktable.Settlement{tasktable.Succeed(claim.Row, json.RawMessage(`{"status":204}`))})[0]; settled.Err != nil {
		s.Fatal(settled.Err)
	}
	image := func(it map[string]types.AttributeValue) any { return written(reflect.ValueOf(it)) }
	return s.sample("notify", func(event map[string]any) {
		change := event["Records"].([]any)[0].(map[string]any)["dynamodb"].(map[string]any)
		change["SequenceNumber"], change["Keys"] = s.sequence(), map[string]any{"id": map[string]any{"S": id}}
		change["OldImage"], change["NewImage"] = image(before), image(s.table.Item(id))
	})
}

// sequence is the next sequence number of the stream.
func (s *stage) sequence() string {
	s.records++
	return fmt.Sprintf("4421584500000%015d", s.records)
}

// failedRange is a message about a range of one record that Lambda gave up.
func (s *stage) failedRange() []byte {
	s.Helper()
	return s.sample("rescue", func(event map[string]any) {
		record := event["Records"].([]any)[0].(map[string]any)
		var document map[string]any
		if err := json.Unmarshal([]byte(record["body"].(string)), &document); err != nil {
			s.Fatal(err)
		}
		failed := document["DDBStreamBatchInfo"].(map[string]any)
		failed["startSequenceNumber"] = s.sequence()
		failed["endSequenceNumber"] = failed["startSequenceNumber"]
		body, err := json.Marshal(document)
		if err != nil {
			s.Fatal(err)
		}
		record["body"] = string(body)
	})
}

func (s *stage) overview() []byte { s.Helper(); return s.sample("admin", func(map[string]any) {}) }

// step is a call of one of the trip's steps, for a saga of its own.
func (s *stage) step(name string) []byte {
	s.Helper()
	return s.sample(name, func(call map[string]any) {
		id := tasktable.NewID()
		call["task_id"], call["key"] = id, id+"-1"
	})
}

func (s *stage) book() []byte {
	s.Helper()
	stock := trip.NewStock(s.booked, reservationsTable)
	if err := stock.Put(s.Context(), []trip.Item{{ID: "hotel-grand", Available: 10}}); err != nil {
		s.Fatal(err)
	}
	return s.step("bookhotel")
}

func (s *stage) neverBooked() []byte { s.Helper(); return s.step("cancelhotel") }

// failed is an execution that failed by itself, of which most are.
func (s *stage) failed() []byte {
	s.Helper()
	return s.sample("recover", func(event map[string]any) {
		detail, _ := event["detail"].(map[string]any)
		detail["status"], detail["error"] = "FAILED", "sold_out"
	})
}

// The functions here are those that there are.
func TestFunctions(t *testing.T) {
	mains, err := filepath.Glob(filepath.Join("..", "..", "functions", "*", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	var have, want []string
	for _, step := range []string{"bookhotel", "cancelhotel"} {
		mains = append(mains, filepath.Join("..", "..", "functions", "trip", step, "main.go"))
	}
	for _, main := range mains {
		have = append(have, filepath.Base(filepath.Dir(main)))
	}
	for _, f := range functions {
		want = append(want, f.name)
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("there are %s, measured are %s", strings.Join(have, ", "), strings.Join(want, ", "))
	}
}
