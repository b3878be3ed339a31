// Package events holds the sample events against what AWS sends, and against
// each other.
package events

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

// Ids of the story that the events tell, see README.md.
const (
	webhookTask = "01KWEG73E0EDR6JV3CEXGQJRB2"
	tripTask    = "01KWEG8Y106S6Y1T5Q9W3V7R2K"
	abortedTask = "01KWEGSDC0X7M3P5B8N2H4J6C9"
	account     = "123456789012"
	tenant      = "AROAEXAMPLEEXAMPLE123"
)

var apiEvents = []string{"submit", "status", "list", "cancel"}

func read[T any](t *testing.T, name string) (v T) {
	t.Helper()
	return parse[T](t, apptest.Sample(t, name))
}

func parse[T any](t *testing.T, text []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// Every function has an event, every event has a function, and the README
// names them all.
func TestEveryFunctionHasAnEvent(t *testing.T) {
	t.Parallel()
	mains, err := filepath.Glob("../functions/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	steps, err := filepath.Glob("../functions/trip/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]bool{}
	for _, main := range slices.Concat(mains, steps) {
		functions[filepath.Base(filepath.Dir(main))] = true
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed, served []string
	for _, row := range regexp.MustCompile("(?m)^\\| \\[([a-z]+\\.json)\\]\\(([a-z]+\\.json)\\) \\| `([a-z]+)` \\| ").FindAllStringSubmatch(string(readme), -1) {
		if row[1] != row[2] || !functions[row[3]] {
			t.Errorf("README.md: %q", row[0])
		}
		listed, served = append(listed, row[1]), append(served, row[3])
	}
	slices.Sort(listed)
	slices.Sort(served)
	if diff := cmp.Diff(listed, files); diff != "" {
		t.Errorf("events (-README.md +files):\n%s", diff)
	}
	if diff := cmp.Diff(slices.Compact(served), slices.Sorted(maps.Keys(functions))); diff != "" {
		t.Errorf("functions (-with an event +functions/):\n%s", diff)
	}
	for name := range functions {
		if _, err := os.Stat(name + ".json"); err != nil {
			t.Errorf("make invoke FN=%s has no default: %v", name, err)
		}
	}
}

// exceptions are fields, by their path, that an event lacks or has other than
// the Go struct of it: why.
type exceptions = map[string]string

// Of requests to an API that is regional, has no custom domain, and is
// authorised by IAM.
var (
	absentOfAPI = exceptions{
		"requestContext.operationName":       "the API's document names no operations",
		"requestContext.authorizer":          "there is no Lambda or Cognito authorizer",
		"requestContext.identity.apiKey":     "callers need no API key, unless the stack is deployed with ApiKeys=required",
		"requestContext.identity.apiKeyId":   "as apiKey",
		"requestContext.identity.clientCert": "there is no custom domain with mutual TLS",
	}
	moreOfAPI = exceptions{
		"requestContext.deploymentId": "$context.deploymentId; " +
			"https://docs.aws.amazon.com/powertools/typescript/2.13.0/api/types/_aws-lambda-powertools_parser.types.APIGatewayProxyEvent.html lists it",
		"requestContext.identity.principalOrgId": "$context.identity.principalOrgId; " +
			"https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html",
	}
)

// The events have every field that aws-lambda-go knows, and no other, but for
// exceptions.
func TestEveryField(t *testing.T) {
	t.Parallel()
	noBinary := "the message's attributes are strings and numbers"
	binary := exceptions{}
	for _, name := range []string{"hops", "origin", "priority", "replays", "run", "task_id", "tenant", "type"} {
		binary["Records[0].messageAttributes."+name+".binaryValue"] = noBinary
	}
	for name, tt := range map[string]struct {
		form         reflect.Type
		absent, more exceptions
	}{
		"submit": {reflect.TypeFor[lambdaevents.APIGatewayProxyRequest](), absentOfAPI, moreOfAPI},
		"status": {reflect.TypeFor[lambdaevents.APIGatewayProxyRequest](), absentOfAPI, moreOfAPI},
		"list":   {reflect.TypeFor[lambdaevents.APIGatewayProxyRequest](), absentOfAPI, moreOfAPI},
		"cancel": {reflect.TypeFor[lambdaevents.APIGatewayProxyRequest](), absentOfAPI, moreOfAPI},
		"worker": {reflect.TypeFor[lambdaevents.SQSEvent](), binary, nil},
		"rescue": {reflect.TypeFor[lambdaevents.SQSEvent](), nil, nil},
		"notify": {reflect.TypeFor[lambdaevents.DynamoDBEvent](), exceptions{
			"Records[0].userIdentity": "only what TTL deletes has it; https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html",
		}, nil},
		"recover": {reflect.TypeFor[lambdaevents.EventBridgeEvent](), nil, nil},
		"aborted": {reflect.TypeFor[lambdaevents.EventBridgeEvent](), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var absent, more []string
			compare("", read[any](t, name), tt.form, &absent, &more)
			slices.Sort(absent)
			slices.Sort(more)
			if diff := cmp.Diff(absent, slices.Sorted(maps.Keys(tt.absent))); diff != "" {
				t.Errorf("fields that the event lacks (-got +listed):\n%s", diff)
			}
			if diff := cmp.Diff(more, slices.Sorted(maps.Keys(tt.more))); diff != "" {
				t.Errorf("fields that aws-lambda-go does not know (-got +listed):\n%s", diff)
			}
			// And it is of the types that the struct says.
			if err := json.Unmarshal(apptest.Sample(t, name), reflect.New(tt.form).Interface()); err != nil {
				t.Error(err)
			}
		})
	}
}

// compare walks JSON and the struct that it is decoded into, and notes the paths
// at which one has no counterpart in the other.
func compare(path string, v any, form reflect.Type, absent, more *[]string) {
	for form.Kind() == reflect.Pointer {
		form = form.Elem()
	}
	switch v := v.(type) {
	case []any:
		if form.Kind() == reflect.Slice {
			for i, element := range v {
				compare(path+"["+strconv.Itoa(i)+"]", element, form.Elem(), absent, more)
			}
		}
	case map[string]any:
		switch {
		case form.Kind() == reflect.Map:
			for name, element := range v {
				compare(path+"."+name, element, form.Elem(), absent, more)
			}
		case form.Kind() == reflect.Struct && form.NumField() > 0 && !reflect.PointerTo(form).Implements(reflect.TypeFor[json.Unmarshaler]()):
			known := map[string]reflect.Type{}
			for field := range fields(form) {
				name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
				known[name] = field.Type
				if _, has := v[name]; !has {
					*absent = append(*absent, strings.TrimPrefix(path+"."+name, "."))
				}
			}
			for name, element := range v {
				if form, is := known[name]; is {
					compare(strings.TrimPrefix(path+"."+name, "."), element, form, absent, more)
				} else {
					*more = append(*more, strings.TrimPrefix(path+"."+name, "."))
				}
			}
		}
	}
}

func fields(form reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range form.NumField() {
			if !yield(form.Field(i)) {
				return
			}
		}
	}
}

// A check that finds nothing would say the same as one that looks at nothing.
func TestCompareFinds(t *testing.T) {
	t.Parallel()
	var absent, more []string
	event := parse[any](t, bytes.Replace(apptest.Sample(t, "worker"), []byte(`"md5OfBody"`), []byte(`"md5OfBodies"`), 1))
	compare("", event, reflect.TypeFor[lambdaevents.SQSEvent](), &absent, &more)
	if !slices.Contains(absent, "Records[0].md5OfBody") || !slices.Equal(more, []string{"Records[0].md5OfBodies"}) {
		t.Errorf("lacks %v, and has %v", absent, more)
	}
}

// What an API event says twice, it says alike.
func TestAPIEvents(t *testing.T) {
	t.Parallel()
	requests := map[string]bool{}
	for _, name := range apiEvents {
		e := read[lambdaevents.APIGatewayProxyRequest](t, name)
		c := e.RequestContext
		at := time.UnixMilli(c.RequestTimeEpoch).UTC()
		sum := sha256.Sum256([]byte(e.Body))
		for what, same := range map[string][2]string{
			"time":              {c.RequestTime, at.Format("02/Jan/2006:15:04:05 -0700")},
			"X-Amz-Date":        {e.Headers["X-Amz-Date"], at.Format("20060102T150405Z")},
			"X-Amzn-Trace-Id":   {strings.Split(e.Headers["X-Amzn-Trace-Id"], "-")[1], strconv.FormatInt(at.Unix(), 16)},
			"digest of body":    {e.Headers["X-Amz-Content-Sha256"], hex.EncodeToString(sum[:])},
			"method":            {e.HTTPMethod, c.HTTPMethod},
			"resource":          {e.Resource, c.ResourcePath},
			"path":              {"/" + c.Stage + e.Path, c.Path},
			"path of resource":  {e.Path, strings.Replace(e.Resource, "{id}", e.PathParameters["id"], 1)},
			"host":              {e.Headers["Host"], c.DomainName},
			"domain":            {c.DomainName, c.DomainPrefix + ".execute-api.us-east-1.amazonaws.com"},
			"API":               {c.APIID, c.DomainPrefix},
			"source":            {e.Headers["X-Forwarded-For"], c.Identity.SourceIP},
			"user agent":        {e.Headers["User-Agent"], c.Identity.UserAgent},
			"caller and user":   {c.Identity.Caller, c.Identity.User},
			"caller":            {c.Identity.Caller, tenant + ":" + c.Identity.UserArn[strings.LastIndexByte(c.Identity.UserArn, '/')+1:]},
			"account":           {c.AccountID, account},
			"caller's account":  {c.Identity.AccountID, account},
			"account of the ID": {strings.Split(c.Identity.UserArn, ":")[4], account},
		} {
			if same[0] != same[1] {
				t.Errorf("%s: %s is %q and %q", name, what, same[0], same[1])
			}
		}
		for _, values := range []struct {
			one  map[string]string
			many map[string][]string
		}{{e.Headers, e.MultiValueHeaders}, {e.QueryStringParameters, e.MultiValueQueryStringParameters}} {
			want := map[string][]string{}
			for k, v := range values.one {
				want[k] = []string{v}
			}
			if diff := cmp.Diff(values.many, want); diff != "" && len(want)+len(values.many) > 0 {
				t.Errorf("%s: of one and of many values:\n%s", name, diff)
			}
		}
		if _, signed := e.Headers["Authorization"]; signed {
			t.Errorf("%s: API Gateway keeps the signature of IAM for itself", name)
		}
		if requests[c.RequestID] {
			t.Errorf("%s: a request's id is its own", name)
		}
		requests[c.RequestID] = true
		if id := e.PathParameters["id"]; id != "" && id != webhookTask {
			t.Errorf("%s: of task %s", name, id)
		}
	}
}

// The digests of messages are right, and their system attributes complete.
func TestMessages(t *testing.T) {
	t.Parallel()
	absent := exceptions{
		"All":                      "no attribute, but how ReceiveMessage asks for all of them",
		"SequenceNumber":           "only of FIFO queues",
		"MessageDeduplicationId":   "only of FIFO queues",
		"DeadLetterQueueSourceArn": "only of messages that SQS has moved to a dead-letter queue",
	}
	ofLambda := maps.Clone(absent)
	ofLambda["MessageGroupId"] = "Lambda's own message is of no group"
	ofLambda["AWSTraceHeader"] = "only where the sender hands on a trace"
	for name, absent := range map[string]exceptions{"worker": absent, "rescue": ofLambda} {
		rec := read[lambdaevents.SQSEvent](t, name).Records[0]
		for _, attribute := range types.MessageSystemAttributeName("").Values() {
			if has, lacks := rec.Attributes[string(attribute)] != "", absent[string(attribute)] != ""; has == lacks {
				t.Errorf("%s: system attribute %s: %q", name, attribute, rec.Attributes[string(attribute)])
			}
		}
		if sum := md5.Sum([]byte(rec.Body)); rec.Md5OfBody != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: the body's digest is %x", name, sum)
		}
		if sum := digest(rec.MessageAttributes); rec.Md5OfMessageAttributes != sum {
			t.Errorf("%s: the attributes' digest is %s", name, sum)
		}
		sent, first := number(t, rec.Attributes["SentTimestamp"]), number(t, rec.Attributes["ApproximateFirstReceiveTimestamp"])
		if first < sent || time.UnixMilli(sent).UTC().Format(time.DateOnly) != "2026-07-01" {
			t.Errorf("%s: sent at %d, received at %d", name, sent, first)
		}
	}
	rec := read[lambdaevents.SQSEvent](t, "worker").Records[0]
	if got, want := rec.Attributes["AWSTraceHeader"], read[lambdaevents.APIGatewayProxyRequest](t, "submit").Headers["X-Amzn-Trace-Id"]; !strings.HasPrefix(got, want+";") {
		t.Errorf("the message's trace is %s, its request's %s", got, want)
	}
	body := parse[map[string]any](t, []byte(rec.Body))
	for name, attribute := range rec.MessageAttributes {
		if v, has := body[name]; has && fmt.Sprint(v) != *attribute.StringValue {
			t.Errorf("%s is %v in the body and %s beside it", name, v, *attribute.StringValue)
		}
	}
	if body["task_id"] != webhookTask || body["tenant"] != tenant {
		t.Errorf("body %v", body)
	}
}

// digest is the MD5 of attributes as SQS makes it: of each, in the order of
// names, name and type with their lengths, how it is carried, the value with its
// length. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
func digest(attributes map[string]lambdaevents.SQSMessageAttribute) string {
	if len(attributes) == 0 {
		return ""
	}
	h := md5.New()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		text(h, name)
		text(h, a.DataType)
		h.Write([]byte{1}) // as a string
		text(h, *a.StringValue)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func text(h hash.Hash, s string) {
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
	h.Write([]byte(s))
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The invocation record has the fields of the example in
// https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html and
// is about the record in notify.json.
func TestInvocationRecord(t *testing.T) {
	t.Parallel()
	message := read[lambdaevents.SQSEvent](t, "rescue").Records[0]
	var got []string
	paths("", parse[any](t, []byte(message.Body)), &got)
	want := []string{
		"DDBStreamBatchInfo.approximateArrivalOfFirstRecord", "DDBStreamBatchInfo.approximateArrivalOfLastRecord", "DDBStreamBatchInfo.batchSize",
		"DDBStreamBatchInfo.endSequenceNumber", "DDBStreamBatchInfo.shardId", "DDBStreamBatchInfo.startSequenceNumber", "DDBStreamBatchInfo.streamArn",
		"requestContext.approximateInvokeCount", "requestContext.condition", "requestContext.functionArn", "requestContext.requestId",
		"responseContext.executedVersion", "responseContext.functionError", "responseContext.statusCode", "timestamp", "version",
	}
	slices.Sort(got)
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("fields (-got +want):\n%s", diff)
	}

	doc := parse[struct {
		Timestamp          time.Time
		DDBStreamBatchInfo struct {
			StartSequenceNumber, EndSequenceNumber, StreamArn string
			ApproximateArrivalOfFirstRecord                   time.Time
			BatchSize                                         int
		}
	}](t, []byte(message.Body))
	rec, batch := read[lambdaevents.DynamoDBEvent](t, "notify").Records[0], doc.DDBStreamBatchInfo
	if batch.StreamArn != rec.EventSourceArn || batch.StartSequenceNumber != rec.Change.SequenceNumber || batch.EndSequenceNumber != rec.Change.SequenceNumber || batch.BatchSize != 1 ||
		!batch.ApproximateArrivalOfFirstRecord.Equal(rec.Change.ApproximateCreationDateTime.Time) || !doc.Timestamp.After(batch.ApproximateArrivalOfFirstRecord) {
		t.Errorf("%+v is not about %+v", doc, rec)
	}
	if sent := time.UnixMilli(number(t, message.Attributes["SentTimestamp"])); sent.Before(doc.Timestamp) {
		t.Errorf("sent at %s, before %s", sent, doc.Timestamp)
	}
}

// paths are those of a document's leaves.
func paths(path string, v any, all *[]string) {
	if object, is := v.(map[string]any); is {
		for name, element := range object {
			paths(strings.TrimPrefix(path+"."+name, "."), element, all)
		}
		return
	}
	*all = append(*all, path)
}

// The events of executions say what DescribeExecution does
// (https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html)
// and are of the trip.
func TestExecutionEvents(t *testing.T) {
	t.Parallel()
	absent := exceptions{
		"mapRunArn":      "only of children of a distributed map",
		"traceHeader":    "of no example of the event",
		"resultMetadata": "the SDK's own",
	}
	input := read[struct{ Input any }](t, "bookhotel").Input
	for name, task := range map[string]string{"recover": tripTask, "aborted": abortedTask} {
		e := read[lambdaevents.EventBridgeEvent](t, name)
		detail := parse[map[string]any](t, e.Detail)
		var want []string
		for f := range fields(reflect.TypeFor[sfn.DescribeExecutionOutput]()) {
			field := strings.ToLower(f.Name[:1]) + f.Name[1:]
			if _, lacks := absent[field]; !lacks && f.IsExported() {
				want = append(want, field)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(detail)), want); diff != "" {
			t.Errorf("%s: detail (-got +want):\n%s", name, diff)
		}
		machine := fmt.Sprint(detail["stateMachineArn"])
		arn := strings.Replace(machine, ":stateMachine:", ":execution:", 1) + ":" + task + "-1"
		if detail["executionArn"] != arn || !slices.Equal(e.Resources, []string{arn}) || detail["name"] != task+"-1" || !strings.HasPrefix(machine, "arn:aws:states:us-east-1:"+account+":") ||
			e.AccountID != account || e.Region != "us-east-1" || e.DetailType != "Step Functions Execution Status Change" || e.Source != "aws.states" {
			t.Errorf("%s: %+v, of %s", name, e, arn)
		}
		start, stop := int64(detail["startDate"].(float64)), int64(detail["stopDate"].(float64))
		if stop < start || e.Time.Unix() != time.UnixMilli(stop).Unix() {
			t.Errorf("%s: from %d to %d, told at %s", name, start, stop, e.Time)
		}
		got := parse[any](t, []byte(detail["input"].(string)))
		if diff := cmp.Diff(got, any(map[string]any{"task_id": task, "run": 1.0, "input": input})); diff != "" {
			t.Errorf("%s: input (-got +want):\n%s", name, diff)
		}
		if failed := detail["status"] == "FAILED"; failed != (detail["error"] != nil) || failed != (detail["cause"] != nil) {
			t.Errorf("%s: %s with error %v, cause %v", name, detail["status"], detail["error"], detail["cause"])
		}
	}
}

// The steps' events are what the rendered state machine passes, one after the
// other.
func TestSteps(t *testing.T) {
	t.Parallel()
	definition, err := os.ReadFile("../infra/asl/trip.asl.json")
	if err != nil {
		t.Fatal(err)
	}
	states := parse[struct {
		States map[string]struct {
			Resource  string
			Arguments struct{ Payload map[string]string }
		}
	}](t, definition).States
	trip := parse[map[string]any](t, []byte(read[struct{ Detail struct{ Input string } }](t, "recover").Detail.Input))
	results := map[string]any{}
	// The variables that Begin assigns; a step's result comes into results.
	variables := map[string]any{"task_id": trip["task_id"], "run": trip["run"], "key": tripTask + "-1", "input": trip["input"], "results": results}
	steps := 0
	for _, state := range []string{"BookHotel", "BookFlight", "BookCar", "CancelCar", "CancelFlight", "CancelHotel"} {
		want := map[string]any{}
		for name, value := range states[state].Arguments.Payload {
			want[name] = value
			if variable, is := strings.CutPrefix(value, "{% $"); is {
				variable = strings.TrimSuffix(variable, " %}")
				if want[name], is = variables[variable]; !is {
					t.Errorf("%s: %s is %s, which this test cannot work out", state, name, value)
				}
			}
		}
		if diff := cmp.Diff(read[map[string]any](t, strings.ToLower(state)), want); diff != "" || len(want) == 0 {
			t.Errorf("%s (-event +state machine):\n%s", state, diff)
		}
		steps++
		if kind, books := strings.CutPrefix(state, "Book"); books {
			kind = strings.ToLower(kind)
			id := fmt.Sprint(trip["input"].(map[string]any)[kind].(map[string]any)["id"])
			results[kind] = map[string]any{"confirmation": tripTask + "-1-" + id, "item": id, "quantity": 1.0}
			if !strings.Contains(string(apptest.Sample(t, "stock")), `"`+id+`"`) {
				t.Errorf("stock.json has no %s", id)
			}
		}
	}
	invokes := 0
	for _, state := range states {
		if strings.HasSuffix(state.Resource, ":lambda:invoke") {
			invokes++
		}
	}
	if steps != invokes {
		t.Errorf("the state machine calls %d functions, %d have an event", invokes, steps)
	}
}

// Ids of tasks carry the time at which the story has them begin; nothing is of
// another account or region; no secret looks like a real one.
func TestStory(t *testing.T) {
	t.Parallel()
	for id, at := range map[string]string{webhookTask: "2026-07-01T09:30:00Z", tripTask: "2026-07-01T09:31:00Z", abortedTask: "2026-07-01T09:40:00Z"} {
		if made := ulid.Time(ulid.MustParseStrict(id).Time()).UTC().Format(time.RFC3339); made != at {
			t.Errorf("%s was made at %s, want %s", id, made, at)
		}
	}
	files, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	taskID := regexp.MustCompile(`\b01[0-9A-HJKMNP-TV-Z]{24}\b`)
	arn := regexp.MustCompile(`arn:[a-z-]+:[a-z0-9]+:([a-z0-9-]*):([0-9]*):`)
	key := regexp.MustCompile(`\b(A[KS]IA|AROA|AIDA)[A-Z0-9]{16,}\b`)
	url := regexp.MustCompile(`https?://[^/"\\]+`)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range taskID.FindAllString(string(content), -1) {
			if id != webhookTask && id != tripTask && id != abortedTask {
				t.Errorf("%s: task %s", file, id)
			}
		}
		for _, m := range arn.FindAllStringSubmatch(string(content), -1) {
			if m[2] != account || m[1] != "us-east-1" && m[1] != "" {
				t.Errorf("%s: %s", file, m[0])
			}
		}
		for _, k := range key.FindAllString(string(content), -1) {
			if !strings.Contains(k, "EXAMPLE") {
				t.Errorf("%s: %s", file, k)
			}
		}
		for _, u := range url.FindAllString(string(content), -1) {
			if !strings.HasSuffix(u, ".example") { // RFC 2606: nobody's
				t.Errorf("%s: %s", file, u)
			}
		}
		// As the formatter of this repository's JSON leaves it.
		var short, long bytes.Buffer
		if err := json.Compact(&short, content); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := json.Indent(&long, short.Bytes(), "", "  "); err != nil {
			t.Fatal(err)
		}
		long.WriteByte('\n')
		if !bytes.Equal(long.Bytes(), content) {
			t.Errorf("%s is not indented by two spaces", file)
		}
	}
	if handle := read[lambdaevents.SQSEvent](t, "worker").Records[0].ReceiptHandle; !strings.HasSuffix(handle, "EXAMPLE") {
		if _, err := base64.StdEncoding.DecodeString(handle); err == nil {
			t.Errorf("receipt handle %s may be a real one", handle)
		}
	}
}
