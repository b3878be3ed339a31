package memstack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/memstack"
)

// consumer stands for notify: it notes the keys of each batch, and answers as
// it is told.
type consumer struct {
	answer func(batch []string, records []events.DynamoDBEventRecord) (failed string, err error)

	mu      sync.Mutex
	batches [][]string
}

func (c *consumer) handle(_ context.Context, payload json.RawMessage) (json.RawMessage, error) {
	var event events.DynamoDBEvent
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, err
	}
	var keys []string
	for _, r := range event.Records {
		keys = append(keys, r.Change.Keys["id"].String())
	}
	c.mu.Lock()
	c.batches = append(c.batches, keys)
	c.mu.Unlock()
	failed, err := c.answer(keys, event.Records)
	if err != nil {
		return nil, err
	}
	if failed == "" {
		return json.RawMessage(`{"batchItemFailures":[]}`), nil
	}
	return json.RawMessage(`{"batchItemFailures":[{"itemIdentifier":"` + failed + `"}]}`), nil
}

// seen are the batches so far, as text.
func (c *consumer) seen() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.batches {
		all = append(all, strings.Join(b, " "))
	}
	return all
}

// ended writes rows of tasks that have ended, or not, with a callback or not,
// while the mapping sleeps, so that they are one batch.
func ended(t *testing.T, s *memstack.Stack, rows ...string) {
	t.Helper()
	s.Pause("NotifyFunction.Ends")
	table := s.Name("TasksTable")
	for _, id := range rows {
		item := map[string]types.AttributeValue{
			"id": &types.AttributeValueMemberS{Value: id}, "status": &types.AttributeValueMemberS{Value: "succeeded"},
			"callback_url": &types.AttributeValueMemberS{Value: "https://hooks.example.com"},
		}
		switch id {
		case "running":
			item["status"] = &types.AttributeValueMemberS{Value: "running"}
		case "silent":
			delete(item, "callback_url")
		}
		if _, err := s.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	s.Resume("NotifyFunction.Ends")
}

// Records that the filter leaves out cost no invocation
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html).
func TestLimitStreamFilter(t *testing.T) {
	c := &consumer{answer: func([]string, []events.DynamoDBEventRecord) (string, error) { return "", nil }}
	inBubble(t, with("NotifyFunction", c.handle), func(t *testing.T, s *memstack.Stack) {
		ended(t, s, "running", "a", "silent", "b")
		s.Await("the batch", func() bool { return len(c.seen()) > 0 })
		if diff := cmp.Diff([]string{"a b"}, c.seen()); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	})
}

// A partial response goes on from the first record that it names, which is
// seen again, and so are those behind it
// (https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html).
func TestLimitStreamPartial(t *testing.T) {
	failures := 0
	c := &consumer{answer: func(batch []string, records []events.DynamoDBEventRecord) (string, error) {
		if i := slices.Index(batch, "b"); i >= 0 && failures < 2 {
			failures++
			return records[i].Change.SequenceNumber, nil
		}
		return "", nil
	}}
	inBubble(t, with("NotifyFunction", c.handle), func(t *testing.T, s *memstack.Stack) {
		ended(t, s, "a", "b", "c")
		s.Await("four batches", func() bool { return len(c.seen()) >= 4 })
		// The second time the first record of the batch fails, which halves it.
		if diff := cmp.Diff([]string{"a b c", "b c", "b", "c"}, c.seen()); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	})
}

// A batch that fails is halved until the record is alone that fails. It is tried
// MaximumRetryAttempts times more, and then the destination is told of it, and
// the shard goes on. An unknown identifier is a failure of all
// (https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html).
func TestLimitStreamBisect(t *testing.T) {
	for _, unknown := range []bool{false, true} {
		t.Run(fmt.Sprintf("unknown %t", unknown), func(t *testing.T) {
			c := &consumer{answer: func(batch []string, _ []events.DynamoDBEventRecord) (string, error) {
				switch {
				case !slices.Contains(batch, "bad"):
					return "", nil
				case unknown:
					return "4711", nil
				default:
					return "", errors.New("no")
				}
			}}
			opts := with("NotifyFunction", c.handle)
			opts.Paused = []string{"RescueFunction.Failures"}
			inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
				ended(t, s, "a", "b", "bad", "c")
				s.Await("the range is given up and the shard goes on", func() bool {
					return len(s.SQS.Messages(s.Name("StreamFailuresQueue"))) == 1 && slices.Contains(c.seen(), "c")
				})
				want := append([]string{"a b bad c", "a b", "bad c"}, slices.Repeat([]string{"bad"}, 6)...)
				if diff := cmp.Diff(append(want, "c"), c.seen()); diff != "" {
					t.Errorf("batches (-want +got):\n%s", diff)
				}
				body := s.SQS.Messages(s.Name("StreamFailuresQueue"))[0].Body
				for _, want := range []string{`"condition":"RetryAttemptsExhausted"`, `"batchSize":1`, `"approximateInvokeCount":6`} {
					if !strings.Contains(body, want) {
						t.Errorf("destination got %s, without %s", body, want)
					}
				}
			})
		})
	}
}

// A record that has become too old is given up without an invocation
// (https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html).
func TestLimitStreamAge(t *testing.T) {
	c := &consumer{answer: func([]string, []events.DynamoDBEventRecord) (string, error) { return "", nil }}
	opts := with("NotifyFunction", c.handle)
	opts.Parameters = map[string]string{"Size": "local"} // StreamRecordAge is 1 minute
	opts.Paused = []string{"RescueFunction.Failures"}
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		ended(t, s, "old")
		s.Pause("NotifyFunction.Ends")
		began := time.Now()
		s.Await("a minute passes", func() bool { return time.Since(began) > 2*time.Minute })
		ended(t, s, "young")
		s.Await("the young one", func() bool { return len(c.seen()) > 0 })
		if diff := cmp.Diff([]string{"young"}, c.seen()); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		if left := s.SQS.Messages(s.Name("StreamFailuresQueue")); len(left) != 1 || !strings.Contains(left[0].Body, `"condition":"RecordAgeExceeded"`) {
			t.Errorf("destination got %+v", left)
		}
	})
}
