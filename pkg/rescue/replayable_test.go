package rescue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
)

func TestReplayable(t *testing.T) {
	t.Parallel()
	answer := func(name string) batch.Handler {
		return func(_ context.Context, payload []byte) ([]byte, error) {
			return append([]byte(name+" "), payload...), nil
		}
	}
	handler := rescue.Replayable(answer("live"), answer("replayed"))
	for payload, want := range map[string]string{
		`{"Records":[]}`:                                    "live",
		`{"Records":[],"replay":true}`:                      "replayed",
		`{"replay" : true,"Records":[]}`:                    "replayed",
		`{"Records":[],"replay":false}`:                     "live",
		`{"Records":[{"replay":true}]}`:                     "live",
		`{"Records":[{"replay":{"S":"a"}}],"replay":true}`:  "replayed",
		`{"Records":[],"replay":"true"}`:                    "live",
		`{"Records":[],"replay":true`:                       "live",
		``:                                                  "live",
		`{"Records":[{"text":"\"replay\":true"}],"x":"\""}`: "live",
	} {
		got, err := handler.Invoke(t.Context(), []byte(payload))
		if err != nil || string(got) != want+" "+payload {
			t.Errorf("%s went to %s, %v", payload, got, err)
		}
	}
}

// archiving stands for an [rescue.Isolator].
type archiving struct{}

func (archiving) Isolate(_ context.Context, rec *event.StreamRecord, cause error) error {
	fmt.Println("archived", rec.SequenceNumber, "-", cause)
	return nil
}

// What fails is archived when the stream delivers it, and reported when it is
// replayed.
func ExampleReplayable() {
	index := func(context.Context, *event.Change) error { return errors.New("the index does not answer") }
	quiet := slog.New(slog.DiscardHandler)
	handler := rescue.Replayable(
		batch.DynamoDB(index, &batch.Options{Isolate: archiving{}, IsolateAfter: 1, Logger: quiet}),
		batch.DynamoDB(index, &batch.Options{Logger: quiet}),
	)
	const record = `{"eventSource":"aws:dynamodb","eventName":"INSERT","dynamodb":{"Keys":{"id":{"S":"a"}},"SequenceNumber":"101"}}`
	for _, payload := range []string{`{"Records":[` + record + `]}`, `{"Records":[` + record + `],"replay":true}`} {
		answer, err := handler.Invoke(context.Background(), []byte(payload))
		fmt.Println(string(answer), err)
	}
	// Output:
	// archived 101 - the index does not answer
	// {"batchItemFailures":[]} <nil>
	// {"batchItemFailures":[{"itemIdentifier":"101"}]} <nil>
}
