// Command function is the Lambda function that features are tried with. It does
// what its events say, and logs each of them, which is how the prober learns
// what was delivered. Standard library only: it is built wherever the prober
// runs.
//
// A record is an SQS message, whose body says what to do, the same as data of
// Kinesis, or a record of DynamoDB Streams, whose attribute "do" says it. What
// there is to do:
//
//	ok        nothing
//	report    the record is reported as failed
//	fail      the whole batch fails
//	sleep N   N milliseconds pass
//
// An event that is no batch is an object with "do": ok, fail, sleep for "ms"
// milliseconds, or queues, which lists queues with the function's own role. One
// from API Gateway is answered.
package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

type event struct {
	Do         string   `json:"do"`
	MS         int      `json:"ms"`
	HTTPMethod string   `json:"httpMethod"`
	Records    []record `json:"Records"`
}

type record struct {
	MessageID string `json:"messageId"`
	Body      string `json:"body"`
	EventName string `json:"eventName"`
	Kinesis   *struct {
		Data           []byte `json:"data"`
		SequenceNumber string `json:"sequenceNumber"`
	} `json:"kinesis"`
	DynamoDB struct {
		SequenceNumber string
		NewImage       struct{ Do, ID struct{ S string } }
	} `json:"dynamodb"`
}

// what is what a record says to do, and under which id it is reported.
func (r record) what() (do, id string) {
	switch {
	case r.MessageID != "":
		return r.Body, r.MessageID
	case r.Kinesis != nil:
		return string(r.Kinesis.Data), r.Kinesis.SequenceNumber
	default:
		return r.DynamoDB.NewImage.Do.S, r.DynamoDB.SequenceNumber
	}
}

// say writes a line to the log.
func say(format string, values ...any) { _, _ = fmt.Fprintf(os.Stdout, format, values...) }

func main() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		if err := serve(api); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func serve(api string) error {
	header, body, err := call(http.MethodGet, api+"next", nil, nil)
	if err != nil {
		return err
	}
	id := header.Get("Lambda-Runtime-Aws-Request-Id")
	answer, failure := handle(body)
	path, payload := "/response", answer
	if failure != nil {
		path, payload = "/error", map[string]string{"errorType": "Probe", "errorMessage": failure.Error()}
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	_, _, err = call(http.MethodPost, api+id+path, http.Header{"Content-Type": {"application/json"}}, text)
	return err
}

// call sends a request to who Lambda, or the emulator, says.
func call(method, url string, header http.Header, body []byte) (http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body)) //nolint:gosec // that is its purpose
	if err != nil {
		return nil, nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req) //nolint:gosec // that is its purpose
	if err != nil {
		return nil, nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 10<<20))
	_ = resp.Body.Close()
	resp.Header.Set("Status", strconv.Itoa(resp.StatusCode))
	return resp.Header, answer, err
}

func handle(body []byte) (any, error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	if e.Records != nil {
		return batch(e.Records)
	}
	say("probe event %s\n", e.Do)
	switch {
	case e.HTTPMethod != "":
		return map[string]any{"statusCode": http.StatusOK, "body": "probe"}, nil
	case e.Do == "fail":
		return nil, errors.New("asked to fail")
	case e.Do == "sleep":
		<-time.After(time.Duration(e.MS) * time.Millisecond)
		say("probe slept\n")
	case e.Do == "queues":
		return queues()
	}
	return map[string]string{"did": e.Do}, nil
}

func batch(records []record) (answer any, err error) {
	say("probe batch %d\n", len(records))
	began := time.Now().UnixMilli()
	failures := []map[string]string{}
	for _, r := range records {
		do, id := r.what()
		say("probe seen %s %s %s\n", do, id, r.EventName)
		ms := 0
		if _, err := fmt.Sscanf(do, "sleep %d", &ms); err == nil {
			<-time.After(time.Duration(ms) * time.Millisecond)
		}
		switch do {
		case "report":
			failures = append(failures, map[string]string{"itemIdentifier": id})
		case "fail":
			err = errors.New("asked to fail")
		}
	}
	say("probe span %d %d\n", began, time.Now().UnixMilli())
	if err != nil {
		return nil, err
	}
	return map[string]any{"batchItemFailures": failures}, nil
}

// queues asks SQS for its queues as what the function is, and returns the status
// of the answer: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func queues() (any, error) {
	region := os.Getenv("AWS_REGION")
	address := cmp.Or(os.Getenv("AWS_ENDPOINT_URL"), "https://sqs."+region+".amazonaws.com")
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	body := `{"QueueNamePrefix":"spillway-probe-"}`
	header := http.Header{}
	now := time.Now().UTC()
	headers := [][2]string{ // in the order of their names
		{"content-type", "application/x-amz-json-1.0"},
		{"host", u.Host},
		{"x-amz-date", now.Format("20060102T150405Z")},
	}
	if token := os.Getenv("AWS_SESSION_TOKEN"); token != "" {
		headers = append(headers, [2]string{"x-amz-security-token", token})
	}
	headers = append(headers, [2]string{"x-amz-target", "AmazonSQS.ListQueues"})
	var lines, names []string
	for _, h := range headers {
		header.Set(h[0], h[1])
		lines, names = append(lines, h[0]+":"+h[1]+"\n"), append(names, h[0])
	}
	signed := strings.Join(names, ";")
	sum := func(text string) string { s := sha256.Sum256([]byte(text)); return hex.EncodeToString(s[:]) }
	scope := now.Format("20060102") + "/" + region + "/sqs/aws4_request"
	request := "POST\n/\n\n" + strings.Join(lines, "") + "\n" + signed + "\n" + sum(body)
	toSign := "AWS4-HMAC-SHA256\n" + now.Format("20060102T150405Z") + "\n" + scope + "\n" + sum(request)
	key := []byte("AWS4" + os.Getenv("AWS_SECRET_ACCESS_KEY"))
	for _, part := range append(strings.Split(scope, "/"), toSign) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+os.Getenv("AWS_ACCESS_KEY_ID")+"/"+scope+
		", SignedHeaders="+signed+", Signature="+hex.EncodeToString(key))
	got, answer, err := call(http.MethodPost, strings.TrimRight(address, "/")+"/", header, []byte(body))
	if err != nil {
		return nil, err
	}
	status, err := strconv.Atoi(got.Get("Status"))
	return map[string]any{"status": status, "answer": string(answer)}, err
}
