package admin

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

func TestStatus(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := append(f.dead("shop.order", errFlaky, "1"), f.dead("shop.order", errFlaky, "2")...)
		time.Sleep(time.Minute)
		other := f.dead("shop.note", errFlaky, "3")
		f.queues.ResetCalls()
		for _, payload := range []string{`{"command":"dlq.status"}`, `{"command":"dlq.status","queue":"tasks"}`} {
			f.is(f.ok(payload), map[string]string{"T1": ids[0], "T2": ids[1], "T3": other[0]}, `{
				"ok": true, "queue": "tasks", "name": "spillway-dead-letter", "depth": 3, "in_flight": 0, "delayed": 0, "oldest_age": "AGE",
				"groups": [
					{"fingerprint": "7f339f3c37e0dc0d", "type": "shop.order", "code": "handler_error", "message": "the shop answers 503 after 17 ms",
					 "count": 2, "first_seen": "TIME", "last_seen": "TIME", "moved_by": "worker", "sample": {"task_id": "T2"}},
					{"fingerprint": "7c705e68ae92871f", "type": "shop.note", "code": "handler_error", "message": "the shop answers 503 after 17 ms",
					 "count": 1, "first_seen": "TIME", "last_seen": "TIME", "moved_by": "worker", "sample": {"task_id": "T3"}}
				],
				"indexed": 3, "complete": true}`)
		}
		if n := f.queues.Calls()["ReceiveMessage"]; n > 0 {
			f.Errorf("the index knows all, and the queue was read %d times", n)
		}
		if got := f.ok(`{"command":"dlq.status"}`).text("oldest_age"); got != "1m0.002s" {
			f.Errorf("the oldest is %s old", got)
		}
	})
}

func TestStatusOfNothing(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.is(f.ok(`{"command":"dlq.status"}`), nil, `{"ok": true, "queue": "tasks", "name": "spillway-dead-letter", "depth": 0, "in_flight": 0,
			"delayed": 0, "oldest_age": "", "groups": [], "indexed": 0, "complete": true}`)
	})
}

// What SQS moved itself, or anybody put there, is in no index; the answer says
// who brought it.
func TestStatusOfOthers(t *testing.T) {
	bubble(t, func(f *fixture) {
		id := f.crashed("1")
		f.foreign(deadQueue, "hello")
		f.is(f.ok(`{"command":"dlq.status"}`), map[string]string{"T1": id}, `{
			"ok": true, "queue": "tasks", "name": "spillway-dead-letter", "depth": 2, "in_flight": 0, "delayed": 0, "oldest_age": "AGE",
			"groups": [
				{"fingerprint": "d25df5e71686a74f", "type": "", "code": "unexplained",
				 "message": "the message does not say why it is here: it was sent to this queue as it is",
				 "count": 1, "first_seen": "TIME", "last_seen": "TIME", "moved_by": "sender", "sample": {"message_id": "M2"}},
				{"fingerprint": "d6ee654082dce0f6", "type": "shop.order", "code": "moved_by_sqs",
				 "message": "SQS moved the message after its last receive: the consumer crashed, timed out or was throttled each time",
				 "count": 1, "first_seen": "TIME", "last_seen": "TIME", "moved_by": "sqs", "sample": {"task_id": "T1", "message_id": "M1"}}
			],
			"indexed": 0, "complete": true}`)
		f.holds(deadQueue, 2)
	})
}

// Of a queue that somebody else has received from, the answer says so.
func TestStatusWhileOthersHold(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.foreign(deadQueue, "hello")
		if got := f.queues.Receive(deadQueue, 1); len(got) != 1 {
			f.Fatal(got)
		}
		a := f.ok(`{"command":"dlq.status"}`)
		if a["complete"] != false || a.number("in_flight") != 1 || !strings.Contains(a.text("note"), "others hold") {
			f.Errorf("answer %v", a)
		}
		a = f.ok(`{"command":"dlq.list","queue":"tasks"}`)
		if a["complete"] != false || a.text("note") != "1 messages are held by another process at the moment and were not seen" {
			f.Errorf("answer %v", a)
		}
	})
}

func TestStatusOfStream(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.foreign(streamQueue, `{"requestContext":{}}`)
		f.is(f.ok(`{"command":"dlq.status","queue":"stream"}`), nil, `{
			"ok": true, "queue": "stream", "name": "spillway-stream-failures", "depth": 1, "in_flight": 0, "delayed": 0, "oldest_age": "AGE",
			"groups": [{"fingerprint": "d25df5e71686a74f", "type": "", "code": "unexplained",
				"message": "the message does not say why it is here: it was sent to this queue as it is",
				"count": 1, "first_seen": "TIME", "last_seen": "TIME", "moved_by": "sender", "sample": {"message_id": "M1"}}],
			"indexed": 0, "complete": true}`)
	})
}

func TestList(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1")
		time.Sleep(time.Minute)
		f.is(f.ok(`{"command":"dlq.list"}`), map[string]string{"T1": ids[0]}, `{"ok": true, "queue": "tasks", "complete": true, "messages": [{
			"message_id": "M2", "task_id": "T1", "type": "shop.order", "tenant": "AROAEXAMPLE", "receive_count": 1, "sent_at": "TIME", "age": "AGE",
			"error": {
				"code": "handler_error", "message": "the shop answers 503 after 17 ms", "retryable": true, "attempts": 1, "failed_at": "TIME",
				"queue": "spillway-tasks", "message_id": "M1", "fingerprint": "7f339f3c37e0dc0d",
				"history": [{"attempt": 1, "at": "TIME", "code": "handler_error"}]
			},
			"moved_by": "worker", "origin": "spillway-tasks", "run": 2, "replays": 0,
			"body": "{\"v\":1,\"task_id\":\"T1\",\"run\":2,\"type\":\"shop.order\",\"tenant\":\"AROAEXAMPLE\",\"created_at\":\"2000-01-01T00:00:00.000Z\",\"deadline\":\"2000-01-08T00:00:00.000Z\",\"input\":{\"n\":\"1\"}}"
		}]}`)
		f.holds(deadQueue, 1) // visible again
		f.is(f.ok(`{"command":"dlq.list","queue":"stream"}`), nil, `{"ok": true, "queue": "stream", "messages": [], "complete": true}`)
	})
}

func TestListFilters(t *testing.T) {
	bubble(t, func(f *fixture) {
		first := f.dead("shop.order", errFlaky, "1", "2")
		time.Sleep(time.Hour)
		second := f.dead("shop.note", task.Code("card_declined", errors.New("no <credit>")), "3")
		f.foreign(deadQueue, "hello")
		everything := 4
		for filter, want := range map[string]int{
			``: everything, `{}`: everything, `null`: everything, `{"type":"shop.order"}`: 2, `{"type":"shop.note","error_contains":"CREDIT"}`: 1,
			`{"error_contains":"card_declined: no <credit>"}`: 1, `{"older_than":"30m"}`: 2, `{"newer_than":"30m"}`: 2, `{"older_than":"2h"}`: 0,
			`{"newer_than":"90m","older_than":"30m"}`: 2, `{"tenant":"` + tenant + `"}`: 3, `{"tenant":"other"}`: 0,
			`{"ids":["` + first[0] + `","` + second[0] + `"]}`: 2, `{"ids":["00000000-0000-4000-8000-000000000003"]}`: 1, `{"ids":["x"]}`: 0, `{"ids":[]}`: everything,
			`{"ids":["` + strings.Repeat("x", 128) + `"]}`: 0, `{"type":"` + strings.Repeat("x", 256) + `"}`: 0, `{"tenant":"` + strings.Repeat("x", 256) + `"}`: 0,
			`{"error_contains":"` + strings.Repeat("é", 128) + `"}`: 0,
		} {
			payload := `{"command":"dlq.list","filter":` + filter + `}`
			if filter == "" {
				payload = `{"command":"dlq.list"}`
			}
			a := f.ok(payload)
			if found := a["messages"].([]any); len(found) != want || a["complete"] != true {
				f.Errorf("%s finds %d, want %d", payload, len(found), want)
			}
		}
		for filter, want := range map[string]string{
			`{"x":1}`:                                               `filter: unknown field "x": it has type, tenant, error_contains, older_than, newer_than, ids and, for task.retry, status`,
			`{"older_than":"soon"}`:                                 "filter: older_than is not a duration above 0 such as 90s or 15m",
			`{"newer_than":"-1s"}`:                                  "filter: newer_than is not a duration above 0 such as 90s or 15m",
			`{"older_than":"2h","newer_than":"1h"}`:                 "no message is older than 2h0m0s and newer than 1h0m0s",
			`{"ids":[""]}`:                                          "the filter has an id that is empty or longer than 128 bytes",
			`{"ids":["` + strings.Repeat("x", 129) + `"]}`:          "the filter has an id that is empty or longer than 128 bytes",
			`{"type":"` + strings.Repeat("x", 257) + `"}`:           "a text of the filter is longer than 256 bytes",
			`{"tenant":"` + strings.Repeat("x", 257) + `"}`:         "a text of the filter is longer than 256 bytes",
			`{"error_contains":"` + strings.Repeat("é", 129) + `"}`: "a text of the filter is longer than 256 bytes",
			`{"status":"failed"}`:                                   "status is for task.retry only",
			`[]`:                                                    "filter: ",
			`"all"`:                                                 "filter: ",
			`{"ids":"x"}`:                                           "filter: ",
			`{"ids":[` + repeated(`"x"`, 1001) + `]}`:               "the filter has 1001 ids, at most 1000 are taken",
		} {
			if got := f.refused(`{"command":"dlq.list","filter":`+filter+`}`, adminapi.CodeInvalid); !strings.Contains(got, want) {
				f.Errorf("%.100s: %s, want %s", filter, got, want)
			}
		}
		f.holds(deadQueue, everything)
	})
}

func repeated(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }

func TestListMax(t *testing.T) {
	bubble(t, func(f *fixture) {
		for range 120 {
			f.foreign(deadQueue, "hello")
		}
		for max, want := range map[string]int{"": 100, `,"max":0`: 100, `,"max":1`: 1, `,"max":110`: 110, `,"max":1000`: 120} {
			if found := f.ok(`{"command":"dlq.list"` + max + `}`)["messages"].([]any); len(found) != want {
				f.Errorf("%s: %d messages, want %d", max, len(found), want)
			}
		}
		f.holds(deadQueue, 120)
		for max, want := range map[string]string{"-1": "max is -1: it is between 1 and 1000", "1001": "max is 1001: it is between 1 and 1000"} {
			if got := f.refused(`{"command":"dlq.list","max":`+max+`}`, adminapi.CodeInvalid); got != want {
				f.Errorf("max %s: %s", max, got)
			}
		}
	})
}

// Lambda takes answers of 6 MB, and a message may have one.
func TestListFitsIntoAnAnswer(t *testing.T) {
	for name, body := range map[string]string{
		"quotes":       strings.Repeat(`"`, 1<<19),
		"tags":         strings.Repeat(`<>&`, 1<<18),
		"not so large": strings.Repeat(`\"`, 4000),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				n := 8
				if len(body) < 10_000 {
					n = 900
				}
				for range n {
					f.foreign(deadQueue, body)
				}
				out, err := f.invoke(`{"command":"dlq.list","max":1000}`)
				if err != nil || len(out) > 6<<20 {
					f.Fatalf("an answer of %d bytes, %v", len(out), err)
				}
				var a answer
				if err := json.Unmarshal([]byte(out), &a); err != nil {
					f.Fatal(err)
				}
				found := a["messages"].([]any)
				if len(found) == 0 || found[0].(map[string]any)["body"] != body {
					f.Errorf("%d messages", len(found))
				}
				if whole := len(found) == n; (a["complete"] == true) != whole || strings.Contains(a.text("note"), "there are more") == whole {
					f.Errorf("%d of %d messages, complete %v, %q", len(found), n, a["complete"], a.text("note"))
				}
				f.holds(deadQueue, n)
			})
		})
	}
}

// crashed makes a dead letter of a task whose worker vanished each time, and
// returns the task's id.
func (f *fixture) crashed(n string) string {
	f.Helper()
	id := f.submit("shop.order", n)[0]
	for range 3 {
		if got := f.queues.Receive(tasksQueue, 1); len(got) != 1 {
			f.Fatalf("received %d messages", len(got))
		}
		if claim := f.table.Claim(f.Context(), "w", time.Now().Add(time.Minute), []string{id})[0]; claim.Row == nil {
			f.Fatalf("claimed: %+v", claim)
		}
		time.Sleep(751 * time.Second)
	}
	if got := f.queues.Receive(tasksQueue, 1); len(got) > 0 {
		f.Fatal("it is still in its queue")
	}
	return id
}

// foreign sends a message that is no task's.
func (f *fixture) foreign(queue, body string) {
	f.Helper()
	url := "https://sqs.eu-central-1.amazonaws.com/123456789012/" + queue
	if _, err := f.queues.SendMessage(f.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
		f.Fatal(err)
	}
}

// typed sends a message to the dead-letter queue that says of itself which type
// of task it is about, and nothing else.
func (f *fixture) typed(taskType string) {
	f.Helper()
	err := f.queue(deadQueue).Send(f.Context(), workqueue.Outgoing{
		Body: "hello", Attributes: map[string]types.MessageAttributeValue{workqueue.AttrType: {DataType: aws.String("String"), StringValue: &taskType}},
	})
	if err != nil {
		f.Fatal(err)
	}
}
