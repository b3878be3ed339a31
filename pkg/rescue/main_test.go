package rescue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"

	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	streamARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-06-11T12:00:01.002"
	shardID   = "shardId-00000001782898100104-1f0b8ab4"
)

var (
	errService = errors.New("the service does not answer")
	errDenied  = fmt.Errorf("operation error: %w", &smithy.GenericAPIError{
		Code: "AccessDeniedException", Message: "User: arn:aws:sts::123456789012:assumed-role/rescue is not authorized",
	})
	quiet = &rescue.Options{Logger: slog.New(slog.DiscardHandler)}
)

// changeOf is the JSON of a change of the item key, as Lambda delivers it.
func changeOf(key string, sequence int) string {
	return fmt.Sprintf(`{"eventID":"e%d","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-central-1",`+
		`"dynamodb":{"ApproximateCreationDateTime":1782898171,"Keys":{"id":{"S":%q}},"NewImage":{"id":{"S":%q},"n":{"N":"%d"}},"SequenceNumber":"%d",`+
		`"SizeBytes":20,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":%q}`, sequence, key, key, sequence, sequence, streamARN)
}

// eventOf is a batch of changes.
func eventOf(records ...string) []byte {
	raw := make([]json.RawMessage, len(records))
	for i, r := range records {
		raw[i] = json.RawMessage(r)
	}
	text, err := json.Marshal(map[string]any{"Records": raw})
	if err != nil {
		panic(err)
	}
	return text
}

// recordOf is a change as a stream's record.
func recordOf(key string, sequence int) event.StreamRecord {
	changes, err := event.DynamoDB(eventOf(changeOf(key, sequence)))
	if err != nil {
		panic(err)
	}
	return changes[0].StreamRecord()
}

// fixture is an archive and positions in memory.
type fixture struct {
	table     *archivetest.Table
	jobs      *archivetest.Table
	bucket    *archivetest.Bucket
	kept      *archive.Archive
	positions *rescue.Positions
}

func newFixture() *fixture {
	f := &fixture{table: archivetest.NewTable(), jobs: archivetest.NewTable(), bucket: archivetest.NewBucket()}
	f.kept = archive.New(f.table, "control", f.bucket, "bucket", nil)
	f.positions = rescue.NewPositions(f.table, "control", quiet)
	return f
}

// isolate archives a change as a handler does.
func (f *fixture) isolate(t *testing.T, key string, sequence int) {
	t.Helper()
	rec := recordOf(key, sequence)
	if err := rescue.NewIsolator(f.kept, quiet).Isolate(t.Context(), &rec, errors.New("poison")); err != nil {
		t.Fatal(err)
	}
}

// replayer is one whose only consumer is c.
func (f *fixture) replayer(c rescue.Consumer) *rescue.Replayer {
	return rescue.NewReplayer(f.jobs, "control", f.kept, f.positions, func(string) rescue.Consumer { return c }, quiet)
}

// list are the archived records by sequence number.
func (f *fixture) list(t *testing.T) map[string]rescue.Record {
	t.Helper()
	all, err := f.replayer(nil).List(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]rescue.Record{}
	for _, r := range all {
		by[r.SequenceNumber] = r
	}
	return by
}

// consumer is a function that fails, or crashes, on some sequence numbers.
type consumer struct {
	mu     sync.Mutex
	fails  map[string]bool
	crash  map[string]bool
	err    error
	calls  [][]string
	worked []string
}

func (c *consumer) Consume(_ context.Context, records []json.RawMessage) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for _, r := range records {
		changes, err := event.DynamoDB(eventOf(string(r)))
		if err != nil {
			return nil, err
		}
		ids = append(ids, changes[0].SequenceNumber)
	}
	c.calls = append(c.calls, ids)
	if c.err != nil {
		return nil, c.err
	}
	for _, id := range ids { // in order, like a mapping's function
		switch {
		case c.crash[id]:
			return nil, &rescue.FunctionError{Function: "orders", Kind: "Unhandled", Message: "exit status 3"}
		case c.fails[id]:
			return []string{id}, nil
		}
		c.worked = append(c.worked, id)
	}
	return nil, nil
}

// shard is a shard of a stream in memory.
type shard struct {
	records []event.StreamRecord
	trimmed int  // so many of them are gone
	closed  bool // nothing is written to it any more
	page    int  // records of a page; defaults to 2
	empty   int  // pages without a record before every other one

	fail func(operation string, n int) error
	n    map[string]int
}

func (s *shard) Source() string { return "aws:dynamodb" }

func (s *shard) enter(operation string) error {
	if s.n == nil {
		s.n = map[string]int{}
	}
	s.n[operation]++
	if s.fail == nil {
		return nil
	}
	return s.fail(operation, s.n[operation])
}

func (s *shard) Iterator(_ context.Context, _ *rescue.Range, from rescue.From, sequence string) (string, error) {
	if err := s.enter("Iterator"); err != nil {
		return "", err
	}
	at := s.trimmed
	if from != rescue.Oldest {
		at = -1
		for i := range s.records {
			if s.records[i].SequenceNumber == sequence {
				at = i
			}
		}
		if at < s.trimmed {
			return "", fmt.Errorf("%s: %w", sequence, rescue.ErrTrimmed)
		}
		if from == rescue.After {
			at++
		}
	}
	return strconv.Itoa(at) + " 0", nil
}

func (s *shard) Read(_ context.Context, _ *rescue.Range, iterator string) (page rescue.Page, err error) {
	if err := s.enter("Read"); err != nil {
		return page, err
	}
	var at, empty int
	if _, err := fmt.Sscan(iterator, &at, &empty); err != nil {
		return page, err
	}
	if at < s.trimmed {
		return page, rescue.ErrTrimmed
	}
	end := min(at+max(s.page, 2), len(s.records))
	if empty < s.empty {
		end = at
	} else {
		empty = -1
	}
	page.Records = s.records[at:end]
	if end < len(s.records) || !s.closed {
		page.Next = fmt.Sprint(end, empty+1)
	}
	return page, nil
}

// newShard has the records 1 to n, of as many items.
func newShard(n int) *shard {
	s := &shard{}
	for i := range n {
		s.records = append(s.records, recordOf(fmt.Sprintf("k%d", i+1), i+1))
	}
	return s
}

// rangeOf is a part of a shard.
func rangeOf(first, last int) rescue.Range {
	return rescue.Range{
		Source: "aws:dynamodb", StreamARN: streamARN, ShardID: shardID, First: strconv.Itoa(first), Last: strconv.Itoa(last),
		Records: last - first + 1, Condition: "RetryAttemptsExhausted", Function: "orders",
	}
}

// documentOf is what Lambda says about a range that it has given up.
func documentOf(first, last int) string {
	return fmt.Sprintf(`{"requestContext":{"requestId":"r","functionArn":"arn:aws:lambda:eu-central-1:123456789012:function:orders","condition":"RetryAttemptsExhausted",`+
		`"approximateInvokeCount":3},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"version":"1.0",`+
		`"timestamp":"2026-07-01T09:30:00.104Z","DDBStreamBatchInfo":{"shardId":%q,"startSequenceNumber":"%d","endSequenceNumber":"%d",`+
		`"approximateArrivalOfFirstRecord":"2026-07-01T09:29:31Z","approximateArrivalOfLastRecord":"2026-07-01T09:29:40Z","batchSize":%d,"streamArn":%q}}`,
		shardID, first, last, last-first+1, streamARN)
}

// again is a handler of changes as a consumer.
type again func(context.Context, *event.Change) error

func (a again) Consume(ctx context.Context, records []json.RawMessage) (failed []string, err error) {
	for _, r := range records {
		changes, err := event.DynamoDB(eventOf(string(r)))
		if err != nil {
			return nil, err
		}
		if a(ctx, &changes[0]) != nil {
			failed = append(failed, changes[0].SequenceNumber)
		}
	}
	return failed, nil
}
