//go:build integration

package integration

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// exchange makes one signed HTTP request to the API.
func exchange(t *testing.T, method, url, body string, headers map[string]string) (status int, header http.Header, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	return roundTrip(t, req, "execute-api", []byte(body))
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	good := `{"type":"webhook.deliver","input":{"url":"http://127.0.0.1:1/","event":"e","payload":1}`
	jsonType := map[string]string{"Content-Type": "application/json"}
	withKey := func(k string) map[string]string {
		return map[string]string{"Content-Type": "application/json", "Idempotency-Key": k}
	}
	big := `{"type":"webhook.deliver","input":{"url":"http://127.0.0.1:1/","event":"e","payload":"` + strings.Repeat("x", 262_144) + `"}}`
	tests := []struct {
		name, method, path, body string
		headers                  map[string]string
		status                   int
		code                     string
	}{
		{"malformed JSON", "POST", "/tasks", `{"type":`, jsonType, 400, "invalid_request"},
		{"trailing data", "POST", "/tasks", good + "} x", jsonType, 400, "invalid_request"},
		{"wrong content type", "POST", "/tasks", good + "}", map[string]string{"Content-Type": "text/plain"}, 415, "unsupported_media_type"},
		{"too large", "POST", "/tasks", big, jsonType, 413, "input_too_large"},
		{"unknown type", "POST", "/tasks", `{"type":"no.such","input":{}}`, jsonType, 400, "unknown_task_type"},
		{"unknown field", "POST", "/tasks", good + `,"nice":1}`, jsonType, 400, "invalid_request"},
		{"unknown input field", "POST", "/tasks", `{"type":"webhook.deliver","input":{"url":"http://a/","event":"e","payload":1,"x":1}}`, jsonType, 400, "invalid_request"},
		{"input of another type", "POST", "/tasks", `{"type":"webhook.deliver","input":[1]}`, jsonType, 400, "invalid_request"},
		{"no input", "POST", "/tasks", `{"type":"webhook.deliver"}`, jsonType, 400, "invalid_request"},
		{"deadline in the past", "POST", "/tasks", good + `,"deadline":"2020-01-01T00:00:00Z"}`, jsonType, 400, "invalid_request"},
		{"deadline beyond 7 days", "POST", "/tasks", good + `,"deadline":"` + time.Now().Add(200*time.Hour).UTC().Format(time.RFC3339) + `"}`, jsonType, 400, "invalid_request"},
		{"ttl of zero", "POST", "/tasks", good + `,"ttl":"0s"}`, jsonType, 400, "invalid_request"},
		{"delay too long", "POST", "/tasks", good + `,"delay":"16m"}`, jsonType, 400, "invalid_request"},
		{"unknown priority", "POST", "/tasks", good + `,"priority":"urgent"}`, jsonType, 400, "invalid_request"},
		{"long idempotency key", "POST", "/tasks", good + "}", withKey(strings.Repeat("k", 129)), 400, "invalid_request"},
		{"idempotency key with a space", "POST", "/tasks", good + "}", withKey("a b"), 400, "invalid_request"},
		{"unknown id", "GET", "/tasks/01ARZ3NDEKTSV4RRFFQ69G5FAV", "", nil, 404, "not_found"},
		{"malformed id", "GET", "/tasks/nonsense", "", nil, 404, "not_found"},
		{"unknown id to cancel", "DELETE", "/tasks/01ARZ3NDEKTSV4RRFFQ69G5FAV", "", nil, 404, "not_found"},
		{"bad cursor", "GET", "/tasks?cursor=nonsense", "", nil, 400, "invalid_request"},
		{"bad limit", "GET", "/tasks?limit=101", "", nil, 400, "invalid_request"},
		{"unknown status", "GET", "/tasks?status=lost", "", nil, 400, "invalid_request"},
		{"wait too long", "GET", "/tasks/01ARZ3NDEKTSV4RRFFQ69G5FAV?wait=26s", "", nil, 400, "invalid_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, _, body := exchange(t, tt.method, stack.out["ApiUrl"]+tt.path, tt.body, tt.headers)
			var problem struct {
				Type, Title, Code, Detail string
				Status                    int
			}
			if err := json.Unmarshal([]byte(body), &problem); err != nil {
				t.Fatalf("%d %s: not a problem: %v", status, body, err)
			}
			if status != tt.status || problem.Status != tt.status || problem.Code != tt.code || problem.Title == "" || problem.Type == "" {
				t.Errorf("%d %s, want %d %s", status, body, tt.status, tt.code)
			}
			for _, leak := range []string{"arn:", stack.out["TasksTableName"], "goroutine"} {
				if strings.Contains(body, leak) {
					t.Errorf("the answer holds %q: %s", leak, body)
				}
			}
		})
	}
}

func TestForeignMessages(t *testing.T) {
	t.Parallel()
	url := stack.out["TasksQueueUrl"]
	// Each body holds a mark: one endpoint writes JSON bodies anew on their way
	// to the function, with other white space.
	tests := []struct {
		name, body, mark string
		attributes       map[string]types.MessageAttributeValue
	}{
		{"not JSON", "hello from " + t.Name(), "hello from " + t.Name(), nil},
		{"JSON of somebody else", `{"order":17,"test":"` + t.Name() + `"}`, `"` + t.Name() + `"`, map[string]types.MessageAttributeValue{"shop": text("x"), "n": number(3)}},
		{"a task that does not exist", `{"v":1,"task_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","run":1,"type":"webhook.deliver","tenant":"t","created_at":"` +
			time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + `","deadline":"2199-01-01T00:00:00.000Z","input":{}}`, "01ARZ3NDEKTSV4RRFFQ69G5FAV", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			send(t, url, tt.body, tt.attributes)
			m := deadLetter(t, func(m types.Message) bool { return strings.Contains(*m.Body, tt.mark) })
			if code := aws.ToString(m.MessageAttributes["error_code"].StringValue); code != "foreign_message" {
				t.Errorf("error_code %q, want foreign_message", code)
			}
			for name, v := range tt.attributes {
				if got := m.MessageAttributes[name]; aws.ToString(got.StringValue) != aws.ToString(v.StringValue) || aws.ToString(got.DataType) != aws.ToString(v.DataType) {
					t.Errorf("attribute %s became %v", name, got)
				}
			}
		})
	}
}

// A foreign message that already has all the attributes that SQS allows, of
// every kind: what does not fit beside the reason is archived.
func TestForeignMessageWithManyAttributes(t *testing.T) {
	t.Parallel()
	attributes := map[string]types.MessageAttributeValue{}
	for _, name := range strings.Split("abcdefghi", "") {
		attributes[name] = text("value of " + name)
	}
	attributes["j"] = types.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 2, 255}}
	body := "foreign with ten attributes " + t.Name()
	send(t, stack.out["TasksQueueUrl"], body, attributes)
	m := deadLetter(t, func(m types.Message) bool { return *m.Body == body })
	kept := 0
	for name, v := range attributes {
		got, ok := m.MessageAttributes[name]
		if !ok {
			continue
		}
		kept++
		if aws.ToString(got.StringValue) != aws.ToString(v.StringValue) || !bytes.Equal(got.BinaryValue, v.BinaryValue) {
			t.Errorf("attribute %s became %v", name, got)
		}
	}
	if len(m.MessageAttributes) > 10 || kept != 7 {
		t.Errorf("%d attributes, of them %d of its own, want 10 and 7", len(m.MessageAttributes), kept)
	}
}

// A message of a version that is not known yet is handed back, not rejected.
func TestNewerMessage(t *testing.T) {
	resume := pauseWorker(t)
	url := stack.out["TasksQueueUrl"]
	send(t, url, `{"v":2,"task":{"id":"new"}}`, nil)
	messages := receive(t, url, 1)
	if reported := work(t, event(url, messages)); len(reported) != 1 {
		t.Errorf("%d messages handed back, want 1", len(reported))
	}
	remove(t, url, messages)
	resume()
}
