package batch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"go.uber.org/goleak"

	"github.com/spillway-go/spillway/pkg/batch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer collects log lines; it is safe for concurrent use.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newLog() (*slog.Logger, *logBuffer) {
	buf := &logBuffer{}
	return slog.New(slog.NewTextHandler(buf, nil)), buf
}

var quiet = slog.New(slog.DiscardHandler)

// records returns n messages with the ids m0, m1, …
func records(n int) []events.SQSMessage {
	recs := make([]events.SQSMessage, n)
	for i := range recs {
		recs[i] = events.SQSMessage{
			MessageId: fmt.Sprintf("m%d", i), ReceiptHandle: fmt.Sprintf("r%d", i), Body: fmt.Sprint(i),
			Attributes: map[string]string{"ApproximateReceiveCount": "1"}, EventSource: "aws:sqs",
		}
	}
	return recs
}

// call makes a handler take and return aws-lambda-go's structs, by way of the
// JSON that travels.
func call(h batch.Handler) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, ev events.SQSEvent) (res events.SQSEventResponse, err error) {
		payload, err := json.Marshal(ev)
		if err != nil {
			return res, err
		}
		answer, err := h.Invoke(ctx, payload)
		if err != nil {
			return res, err
		}
		err = json.Unmarshal(answer, &res)
		return res, err
	}
}

func failures(res events.SQSEventResponse) []string {
	ids := []string{}
	for _, f := range res.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

func ignore(context.Context, int) error { return nil }
