package workqueue_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

// doer is an HTTP client made of a function.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }

// answer is an SQS response as it comes over the wire.
type answer struct {
	status int
	header map[string]string
	body   string
	err    error
}

// realClient is the SDK's own client in front of canned answers.
func realClient(t *testing.T, answers ...answer) (*sqs.Client, *atomic.Int32) {
	t.Helper()
	var calls atomic.Int32
	client := sqs.New(sqs.Options{
		Region: "eu-central-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
		HTTPClient: doer(func(req *http.Request) (*http.Response, error) {
			n := int(calls.Add(1))
			a := answers[min(n, len(answers))-1]
			if a.err != nil {
				return nil, a.err
			}
			text := a.body
			if in, err := io.ReadAll(req.Body); err == nil && strings.Contains(text, "$MD5") {
				var sent struct{ MessageBody string }
				_ = json.Unmarshal(in, &sent)
				sum := md5.Sum([]byte(sent.MessageBody))
				text = strings.ReplaceAll(text, "$MD5", hex.EncodeToString(sum[:]))
			}
			res := &http.Response{
				StatusCode: a.status, Request: req, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
				Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)),
			}
			for k, v := range a.header {
				res.Header.Set(k, v)
			}
			return res, nil
		}),
	})
	return client, &calls
}

func TestRealClientEntryFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, calls := realClient(t,
			answer{status: 200, body: `{"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":"cfcd208495d565ef66e7dff9f98764da"}],
				"Failed":[{"Id":"1","Code":"InternalError","Message":"try later","SenderFault":false},{"Id":"2","Code":"InvalidMessageContents","SenderFault":true}]}`},
			answer{status: 200, body: `{"MessageId":"m","MD5OfMessageBody":"$MD5"}`},
		)
		errs := workqueue.New(client, queueURL, nil).SendBatch(t.Context(), numbered(4))
		if errs[0] != nil || errs[1] != nil {
			t.Errorf("confirmed ones: %v", errs[:2])
		}
		if e, ok := errors.AsType[*workqueue.EntryError](errs[2]); !ok || e.Code != "InvalidMessageContents" || !e.SenderFault {
			t.Errorf("refused: %v", errs[2])
		}
		if !errors.Is(errs[3], workqueue.ErrNoOutcome) {
			t.Errorf("absent: %v", errs[3])
		}
		if calls.Load() != 2 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}

func TestRealClientRetriesWholeCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, calls := realClient(t,
			answer{status: 503, body: `{"__type":"ServiceUnavailable"}`},
			answer{err: io.ErrUnexpectedEOF},
			answer{status: 200, body: `{"MessageId":"m","MD5OfMessageBody":"$MD5"}`},
		)
		if err := workqueue.New(client, queueURL, nil).Send(t.Context(), workqueue.Outgoing{Body: "x"}); err != nil {
			t.Error(err)
		}
		if calls.Load() != 3 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}

// A body that arrived changed is not confirmed.
func TestRealClientChecksTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, _ := realClient(t, answer{status: 200, body: `{"MessageId":"m","MD5OfMessageBody":"00000000000000000000000000000000"}`})
		if err := workqueue.New(client, queueURL, nil).Send(t.Context(), workqueue.Outgoing{Body: "x"}); err == nil {
			t.Error("confirmed")
		}
	})
}

func TestRealClientReceiptGone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer answer
		gone   bool
	}{
		"invalid": {answer{status: 400, body: `{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid","message":"The input receipt handle is invalid."}`}, true},
		"not in flight": {answer{
			status: 400, body: `{"__type":"com.amazonaws.sqs#MessageNotInflight"}`,
			header: map[string]string{"X-Amzn-Query-Error": "AWS.SimpleQueueService.MessageNotInflight;Sender"},
		}, true},
		"deleted": {answer{
			status: 400, body: `{"__type":"com.amazon.coral.service#InvalidParameterValueException","message":"Value h for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change."}`,
			header: map[string]string{"X-Amzn-Query-Error": "InvalidParameterValue;Sender"},
		}, true},
		"deleted, without the header": {answer{status: 400, body: `{"__type":"com.amazon.coral.service#InvalidParameterValueException","message":"Value h for parameter ReceiptHandle is invalid."}`}, true},
		"another value": {answer{
			status: 400, body: `{"__type":"com.amazon.coral.service#InvalidParameterValueException","message":"Value -1 for parameter VisibilityTimeout is invalid."}`,
			header: map[string]string{"X-Amzn-Query-Error": "InvalidParameterValue;Sender"},
		}, false},
		"no queue": {answer{status: 400, body: `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, calls := realClient(t, tt.answer)
				err := workqueue.New(client, queueURL, nil).ChangeVisibility(t.Context(), []workqueue.Visibility{{Receipt: "h", After: time.Second}})[0]
				if err == nil || errors.Is(err, workqueue.ErrReceiptGone) != tt.gone {
					t.Errorf("got %v", err)
				}
				if calls.Load() != 1 {
					t.Errorf("%d calls", calls.Load())
				}
			})
		})
	}
}
