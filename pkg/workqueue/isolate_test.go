package workqueue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

const streamARN = "arn:aws:kinesis:us-east-2:123456789012:stream/orders"

func streamRecord() *event.StreamRecord {
	return &event.StreamRecord{
		Source: "aws:kinesis", StreamARN: streamARN, ShardID: "shardId-7", SequenceNumber: "4959", EventID: "shardId-7:4959",
		Key: "customer-1", Attempts: 3, JSON: `{"eventID": "shardId-7:4959", "kinesis":{"data":"QQ=="}}`,
	}
}

func TestIsolate(t *testing.T) {
	t.Parallel()
	fake := &fakeSQS{}
	q := workqueue.New(fake, queueURL, nil)
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "req-1"})
	if err := q.Isolate(ctx, streamRecord(), task.Permanent(task.Code("gone", errors.New("no such\x00order")))); err != nil {
		t.Fatal(err)
	}
	change := &event.StreamRecord{
		Source: "aws:dynamodb", StreamARN: "arn:aws:dynamodb:us-east-1:1:table/prices/stream/2015-06-27T00:48:05.899",
		SequenceNumber: "11", EventID: "e", Key: `{"id":{"S":"<a>"}}`, JSON: "{\"x\":\"\uFFFE\uFFFF<&>\"}",
	}
	if err := q.Isolate(ctx, change, &task.PanicError{Value: "boom", Stack: []byte("secret.go:17")}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		body, origin, code, failure string
	}{
		{
			`{"v":1,"source":"aws:kinesis","stream_arn":"` + streamARN + `","shard_id":"shardId-7","sequence_number":"4959",` +
				`"event_id":"shardId-7:4959","key":"customer-1","record":{"eventID":"shardId-7:4959","kinesis":{"data":"QQ=="}}}`,
			"orders", "gone", `{"code":"gone","message":"no such` + "\uFFFD" + `order","retryable":false,"attempts":3,`,
		},
		{
			`{"v":1,"source":"aws:dynamodb","stream_arn":"` + change.StreamARN + `","sequence_number":"11","event_id":"e",` +
				`"key":"{\"id\":{\"S\":\"<a>\"}}","record":{"x":"\ufffe\uffff<&>"}}`,
			"prices", "panic", `{"code":"panic","message":"panic: boom","retryable":true,"attempts":0,`,
		},
	} {
		got := fake.sent[i]
		if diff := cmp.Diff(want.body, *got.MessageBody); diff != "" {
			t.Errorf("body %d (-want +got):\n%s", i, diff)
		}
		attributes := plain(got.MessageAttributes)
		if attributes["origin"] != "String="+want.origin || attributes["error_code"] != "String="+want.code ||
			!strings.HasPrefix(attributes["failure"], "String="+want.failure) || !strings.Contains(attributes["failure"], `"request_id":"req-1"`) || len(attributes) != 3 {
			t.Errorf("attributes %d: %v", i, attributes)
		}
		failure, err := workqueue.ParseFailure(*got.MessageAttributes["failure"].StringValue)
		if err != nil || time.Since(failure.FailedAt.Time) > time.Minute {
			t.Errorf("failure %d: %+v, %v", i, failure, err)
		}
		if got.MessageGroupId != nil || got.DelaySeconds != 0 {
			t.Errorf("%d: group %v, delay %d", i, got.MessageGroupId, got.DelaySeconds)
		}
		if _, err := workqueue.Decode(*got.MessageBody, got.MessageAttributes); err == nil {
			t.Errorf("%d: a worker would take it for a task", i)
		}
	}
}

func TestIsolateReturnsWhatSQSSays(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	q := workqueue.New(&fakeSQS{whole: func(int) error { return down }}, queueURL, nil)
	err := q.Isolate(t.Context(), streamRecord(), errors.New("no luck"))
	if !errors.Is(err, down) || !strings.Contains(err.Error(), "4959 of orders") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := workqueue.New(&fakeSQS{}, queueURL, nil).Isolate(ctx, streamRecord(), errors.New("no luck")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Whatever a record holds, its message is one that SQS takes, and it holds the
// record if that fits.
func TestIsolateAlwaysFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fake := &fakeSQS{}
		limit := rapid.SampledFrom([]int{16 << 10, workqueue.MaxBytes}).Draw(t, "limit")
		q := workqueue.New(fake, queueURL, &workqueue.Options{MaxBytes: limit})
		odd := rapid.SampledFrom([]string{"", "x", "\x00", "\xff", "\uFFFE", "\uFFFF", "\u2028", `"`, "😀", "<"})
		rec := streamRecord()
		rec.Key += odd.Draw(t, "key")
		rec.EventID += odd.Draw(t, "event id")
		rec.StreamARN += odd.Draw(t, "stream")
		rec.SequenceNumber += odd.Draw(t, "sequence number")
		quoted, err := json.Marshal(odd.Draw(t, "text"))
		if err != nil {
			t.Fatal(err)
		}
		rec.JSON = fmt.Sprintf(`{"a":%s,"b":"%s"}`, quoted, odd.Filter(func(s string) bool { return s != `"` && s != "\x00" }).Draw(t, "raw text"))
		rec.JSON += strings.Repeat(" ", rapid.IntRange(0, 1).Draw(t, "space"))
		broken := rapid.IntRange(0, 9).Draw(t, "broken") == 0
		if broken {
			rec.JSON = rec.JSON[1:]
		} else {
			near := rapid.IntRange(-4200, 4200).Draw(t, "near the limit")
			rec.JSON = `{"pad":"` + strings.Repeat("p", max(limit-2000+near, 0)) + `","r":` + rec.JSON + `}`
		}
		cause := errors.New(strings.Repeat(odd.Draw(t, "cause"), 2000) + ".")
		if err := q.Isolate(context.Background(), rec, cause); err != nil {
			t.Fatal(err)
		}
		sent := fake.sent[0]
		out := workqueue.Outgoing{Body: *sent.MessageBody, Attributes: sent.MessageAttributes}
		var body struct {
			V             int
			Key           string
			Record        json.RawMessage
			RecordOmitted bool `json:"record_omitted"`
		}
		if err := json.Unmarshal([]byte(out.Body), &body); err != nil || body.V != 1 || body.Key != strings.ToValidUTF8(rec.Key, "\uFFFD") {
			t.Fatalf("%v: %+v", err, body)
		}
		if body.RecordOmitted != (body.Record == nil) {
			t.Fatal("the record is neither there nor omitted")
		}
		// Compact, a record is no longer than it was, but for some escapes.
		room := limit - out.Size() - len(rec.JSON) - 100
		if body.RecordOmitted && !broken && room > 0 {
			t.Fatalf("omitted although there was room for %d bytes more", room)
		}
		if body.Record == nil {
			return
		}
		var got, want any
		if err := errors.Join(json.Unmarshal(body.Record, &got), json.Unmarshal([]byte(rec.JSON), &want)); err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(got, want) {
			t.Fatal("the record has changed")
		}
	})
}

func ExampleQueue_Isolate() {
	fake := &fakeSQS{}
	isolated := workqueue.New(fake, "https://sqs.eu-central-1.amazonaws.com/123456789012/orders-isolated", nil)
	err := isolated.Isolate(context.Background(), &event.StreamRecord{
		Source: "aws:kinesis", StreamARN: "arn:aws:kinesis:eu-central-1:123456789012:stream/orders",
		ShardID: "shardId-000000000000", SequenceNumber: "4959", EventID: "shardId-000000000000:4959", Key: "customer-7",
		JSON: `{"kinesis":{"data":"QQ=="}}`,
	}, task.Code("no_such_customer", errors.New("404 Not Found")))
	fmt.Println(*fake.sent[0].MessageAttributes["error_code"].StringValue, err)
	fmt.Println(*fake.sent[0].MessageBody)
	// Output:
	// no_such_customer <nil>
	// {"v":1,"source":"aws:kinesis","stream_arn":"arn:aws:kinesis:eu-central-1:123456789012:stream/orders","shard_id":"shardId-000000000000","sequence_number":"4959","event_id":"shardId-000000000000:4959","key":"customer-7","record":{"kinesis":{"data":"QQ=="}}}
}
