package rescue_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/rescue"
)

// documents are the recorded ones, by file.
func documents(tb testing.TB) map[string][]byte {
	tb.Helper()
	names, err := filepath.Glob("testdata/documents/*.json")
	if err != nil || len(names) == 0 {
		tb.Fatal(names, err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".json")] = text
	}
	return all
}

func utc(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func TestParseFailureDocument(t *testing.T) {
	t.Parallel()
	want := map[string]rescue.Range{
		"aws-dynamodb": {
			Source: "aws:dynamodb", StreamARN: "arn:aws:dynamodb:us-east-2:123456789012:table/mytable/stream/2019-11-14T00:04:06.388",
			ShardID: "shardId-00000001573689847184-864758bb", First: "800000000003126276362", Last: "800000000003126276362", Records: 1,
			FirstAt: utc("2019-11-14T00:13:19Z"), LastAt: utc("2019-11-14T00:13:19Z"), Function: "myfunction", Condition: "RetryAttemptsExhausted",
			FunctionError: "Unhandled", Attempts: 1, RequestID: "316aa6d0-8154-4c8a-9af7-85d5f4a6bc81", FailedAt: utc("2019-11-14T00:13:49.717Z"),
		},
		"aws-kinesis": {
			Source: "aws:kinesis", StreamARN: "arn:aws:kinesis:us-east-2:123456789012:stream/mystream", ShardID: "shardId-000000000001",
			First: "49601189658422359378836298521827638475320189012309704722", Last: "49601189658422359378836298522902373528957594348623495186", Records: 500,
			FirstAt: utc("2019-11-14T00:38:04.835Z"), LastAt: utc("2019-11-14T00:38:05.580Z"), Function: "myfunction", Condition: "RetryAttemptsExhausted",
			FunctionError: "Unhandled", Attempts: 3, RequestID: "c9b8fa9f-5a7f-4d8c-af9c-0c604cde93a5", FailedAt: utc("2019-11-14T00:38:06.021Z"),
		},
		"aws-partial-response": {
			Source: "aws:dynamodb", StreamARN: "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-06-11T12:00:01.002",
			ShardID: "shardId-00000001782898100104-1f0b8ab4", First: "1459700000000051282219473", Last: "1459700000000051282219511", Records: 3,
			FirstAt: utc("2026-07-01T09:29:31Z"), LastAt: utc("2026-07-01T09:29:40Z"), Function: "orders", Condition: "RetryAttemptsExhausted",
			Attempts: 6, RequestID: "6a7d40b8-58f4-4e0f-9a9c-fdf2ce8d9a0e", FailedAt: utc("2026-07-01T09:30:00.104Z"),
		},
		"aws-enhanced-fan-out": {
			Source: "aws:kinesis", StreamARN: "arn:aws:kinesis:eu-central-1:123456789012:stream/clicks", ShardID: "shardId-000000000000",
			First: "49647060812288014558888668248263847763900017820167045122", Last: "49647060812288014558888668248268683467178536947444350978", Records: 2,
			FirstAt: utc("2026-07-01T03:29:58.120Z"), LastAt: utc("2026-07-01T03:29:59Z"), Function: "clicks", Condition: "RecordAgeExceeded",
			Attempts: 12, RequestID: "0f9c1b52-6a7b-4f4b-8a60-1f6f3e6f3a10", FailedAt: utc("2026-07-01T09:30:00.104Z"),
		},
	}
	all := documents(t)
	for name, r := range want {
		got, err := rescue.ParseFailureDocument(all[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(got, r); diff != "" {
			t.Errorf("%s (-got +want):\n%s", name, diff)
		}
	}
	for name, text := range all {
		if r, err := rescue.ParseFailureDocument(text); err != nil || r.Function == "" || r.Condition == "" || r.FirstAt.IsZero() || r.FailedAt.IsZero() {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// What only describes the failure may be missing: that is no reason to lose
// records.
func TestParseFailureDocumentIsLenient(t *testing.T) {
	t.Parallel()
	tests := []struct{ old, now string }{
		{`"requestContext":`, `"x":`},
		{`"responseContext":`, `"x":`},
		{`"timestamp":"2026-07-01T09:30:00.104Z"`, `"timestamp":"soon"`},
		{`"approximateArrivalOfFirstRecord":"2026-07-01T09:29:31Z"`, `"approximateArrivalOfFirstRecord":"2026-07-01T09:29:31+00:00Z"`},
		{`"approximateArrivalOfFirstRecord":"2026-07-01T09:29:31Z",`, ``},
		{`"batchSize":4`, `"batchSize":-1`},
		{`"approximateInvokeCount":3`, `"approximateInvokeCount":null`},
		{`"startSequenceNumber":"3"`, `"startSequenceNumber":"0000000000000000003"`},
		{`"version":"1.0"`, `"version":"2.0","payload":{"Records":[]}`},
	}
	for _, tt := range tests {
		text := documentOf(3, 6)
		if !strings.Contains(text, tt.old) {
			t.Fatal(tt.old)
		}
		r, err := rescue.ParseFailureDocument([]byte(strings.Replace(text, tt.old, tt.now, 1)))
		if err != nil || r.Stream() != "orders" || r.Last != "6" {
			t.Errorf("%s: %+v, %v", tt.now, r, err)
		}
	}
}

// What only describes the failure is cut where it is longer than AWS writes it.
func TestParseFailureDocumentIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	text := strings.NewReplacer(`"requestId":"r"`, `"requestId":"`+long+`"`, ":function:orders", ":function:"+long,
		`"RetryAttemptsExhausted"`, `"`+long+`\u0000"`, `"Unhandled"`, `"\u0000`+long+`"`).Replace(documentOf(3, 6))
	r, err := rescue.ParseFailureDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{r.Function, r.Condition, r.FunctionError, r.RequestID} {
		if len(s) > 256 || len(s) < 150 || strings.ContainsRune(s, 0) {
			t.Errorf("%d bytes: %q", len(s), s)
		}
	}
}

func TestParseFailureDocumentRefuses(t *testing.T) {
	t.Parallel()
	doc := documentOf(3, 6)
	change := func(old, now string) string {
		if !strings.Contains(doc, old) {
			t.Fatal(old)
		}
		return strings.Replace(doc, old, now, 1)
	}
	tests := []struct{ text, says string }{
		{``, "EOF"},
		{`null`, "neither"},
		{`[]`, "array"},
		{`{}`, "neither"},
		{`{"Records":[]}`, "neither"},
		{doc + "{}", "more"},
		{doc[:len(doc)-1], "EOF"},
		{change(`"DDBStreamBatchInfo"`, `"KinesisBatchInfo":{},"DDBStreamBatchInfo"`), "both"},
		{change(`"DDBStreamBatchInfo"`, `"KinesisBatchInfo"`), "streamArn"},
		{change(`"shardId":"`, `"shardID_":"`), "shardId is missing"},
		{change(`"startSequenceNumber":"3"`, `"startSequenceNumber":""`), "startSequenceNumber is missing"},
		{change(`"startSequenceNumber":"3"`, `"startSequenceNumber":3`), "startSequenceNumber"},
		{change(`"startSequenceNumber":"3"`, `"startSequenceNumber":"3a"`), "3a"},
		{change(`"startSequenceNumber":"3"`, `"startSequenceNumber":"7"`), "behind"},
		{change(`"endSequenceNumber":"6"`, `"endSequenceNumber":"-6"`), "-6"},
		{change(`"endSequenceNumber":"6"`, `"endSequenceNumber":"`+strings.Repeat("6", 200)+`"`), "sequence number"},
		{change(`"endSequenceNumber":"6"`, `"endSequenceNumber":"`+strings.Repeat("9", 129)+`"`), "sequence number"},
		{change(`"batchSize":4`, `"batchSize":"four"`), "batchSize"},
		{change(streamARN, "arn:aws:sqs:eu-central-1:123456789012:queue"), "streamArn"},
		{change(streamARN, "arn:aws:dynamodb:eu-central-1:123456789012:stream/x"), "streamArn"},
		{change(streamARN, "orders"), "streamArn"},
		{change(streamARN, ""), "streamArn is missing"},
		{change(streamARN, streamARN+strings.Repeat("x", 3000)), "characters"},
	}
	for _, tt := range tests {
		_, err := rescue.ParseFailureDocument([]byte(tt.text))
		if !errors.Is(err, rescue.ErrMalformed) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s\n%v, want it to say %q", tt.text, err, tt.says)
		}
	}
}

func FuzzParseFailureDocument(f *testing.F) {
	for _, text := range documents(f) {
		f.Add(text)
	}
	f.Add([]byte(documentOf(1, 2)))
	f.Add([]byte(`{"DDBStreamBatchInfo":{"streamArn":"arn:aws:dynamodb:::table/t/stream/x","shardId":"s","startSequenceNumber":"0","endSequenceNumber":"00"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := rescue.ParseFailureDocument(body)
		if err != nil {
			if !errors.Is(err, rescue.ErrMalformed) || len(err.Error()) > 10_000 {
				t.Errorf("%v", err)
			}
			return
		}
		switch {
		case r.StreamARN == "" || r.ShardID == "" || r.First == "" || r.Last == "" || r.Stream() == "":
			t.Errorf("a range that cannot be read again: %+v", r)
		case r.Source != "aws:dynamodb" && r.Source != "aws:kinesis":
			t.Errorf("source %q", r.Source)
		case r.Records < 0 || r.Attempts < 0 || len(r.Function)+len(r.Condition)+len(r.FunctionError)+len(r.RequestID) > 1000:
			t.Errorf("%+v", r)
		case !json.Valid(body):
			t.Errorf("%s is no JSON", body)
		}
	})
}
