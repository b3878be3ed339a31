package awsproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/spillway-go/spillway/internal/awsproxy"
)

func do(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// Requests that are no JSON or query calls pass untouched.
func TestForwardsOtherRequestsUntouched(t *testing.T) {
	f := start(t, 1, nil)
	auth := "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-a, Signature=00"
	body := strings.Repeat("0123456789", 200_000)
	path := "/bucket//a%2Fb%20c/%E6%BC%A2?partNumber=1&empty=&flag&q=a%20b"
	req := httptest.NewRequest(http.MethodPut, f.url+path, strings.NewReader(body))
	req.RequestURI = ""
	req.Host = "bucket.s3.localhost:4566"
	req.Header.Set("Authorization", auth)
	req.Header.Set("X-Amz-Meta-Name", "kept")
	req.Header.Set("Accept-Encoding", "br")
	resp, got := do(t, req)

	if resp.StatusCode != http.StatusAccepted || got != body {
		t.Errorf("got %d with %d bytes", resp.StatusCode, len(got))
	}
	if diff := cmp.Diff(resp.Header.Get("X-Echo"), "PUT "+path+" bucket.s3.localhost:4566"); diff != "" {
		t.Error(diff)
	}
	seen := f.back.last().Header
	for name, want := range map[string]string{
		"Authorization": auth, "X-Amz-Meta-Name": "kept", "Accept-Encoding": "br", "X-Forwarded-For": "", "Via": "",
	} {
		if got := seen.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	c := f.Calls()[0]
	if c.Service != "s3" || c.Operation != "PUT" || c.Caller != "AKID" || c.Status != http.StatusAccepted || !c.Forwarded {
		t.Errorf("got %+v", c)
	}
}

func TestForwardsHead(t *testing.T) {
	f := start(t, 1, nil)
	req := httptest.NewRequest(http.MethodHead, f.url+"/restapis/x/prod/_user_request_/tasks", nil)
	req.RequestURI = ""
	if resp, body := do(t, req); resp.StatusCode != http.StatusAccepted || body != "" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
	if got := f.Count("execute-api", "HEAD"); got != 1 {
		t.Errorf("got %d calls", got)
	}
}

// The Host that the SDK signed reaches the target, and so does the body.
func TestForwardsSignedCall(t *testing.T) {
	f := start(t, 1, &awsproxy.Options{KeepBodies: true})
	if err := f.send(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := f.back.last()
	if want := strings.TrimPrefix(f.url, "http://"); seen.Host != want {
		t.Errorf("host: got %q, want %q", seen.Host, want)
	}
	if got := seen.Header.Get("Authorization"); !strings.Contains(got, "/us-east-1/sqs/aws4_request") {
		t.Errorf("authorization: got %q", got)
	}
	if got := f.back.count("message hello <&> 漢"); got != 1 {
		t.Errorf("got %d messages", got)
	}
	c := f.Calls()[0]
	if !bytes.Contains(c.Request, []byte("MessageBody")) || !bytes.Contains(c.Response, []byte("MD5OfMessageBody")) {
		t.Errorf("bodies not kept: %q %q", c.Request, c.Response)
	}
	if !strings.Contains(c.UserAgent, "api/sqs") || c.Duration <= 0 {
		t.Errorf("got %+v", c)
	}
}

func TestReadsCompressedAnswers(t *testing.T) {
	f := start(t, 1, nil)
	f.back.gzip = true
	req := httptest.NewRequest(http.MethodPost, f.url, strings.NewReader(`{"Statements":[{"Statement":"refused"}]}`))
	req.RequestURI = ""
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810.BatchExecuteStatement")
	req.Header.Set("Accept-Encoding", "gzip")
	resp, _ := do(t, req)
	if got := resp.Header.Get("Content-Encoding"); got != "gzip" {
		t.Errorf("encoding: got %q", got)
	}
	if got := f.back.last().Header.Get("Accept-Encoding"); got != "identity" {
		t.Errorf("asked for %q", got)
	}
	if got := f.Snapshot().Of("dynamodb", "").ConditionsFailed; got != 1 {
		t.Errorf("got %d failed conditions", got)
	}
}

func TestBodyLimit(t *testing.T) {
	f := start(t, 1, &awsproxy.Options{MaxBody: 100})
	req := httptest.NewRequest(http.MethodPost, f.url, strings.NewReader(strings.Repeat(" ", 101)))
	req.RequestURI = ""
	req.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
	if resp, _ := do(t, req); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("request: got %d", resp.StatusCode)
	}
	// the answer carries the message's id and checksum
	req = httptest.NewRequest(http.MethodPost, f.url, strings.NewReader(`{"Statements":[{"Statement":"`+strings.Repeat("x", 60)+`"}]}`))
	req.RequestURI = ""
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810.BatchExecuteStatement")
	if resp, body := do(t, req); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("answer: got %d %s", resp.StatusCode, body)
	}
}

func TestTargetDown(t *testing.T) {
	p := awsproxy.New(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, nil)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
	r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
	p.ServeHTTP(w, r)
	if w.Code != http.StatusBadGateway || p.Calls()[0].Forwarded {
		t.Errorf("got %d, %v", w.Code, p.Calls())
	}
}

// A client that goes away does not take back what it sent.
func TestAbandonedCallTakesEffect(t *testing.T) {
	f := start(t, 1, nil)
	f.back.entered, f.back.proceed = make(chan string), make(chan struct{})
	g := f.Block("sqs", "SendMessage", awsproxy.After)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- f.send(ctx) }()
	<-f.back.entered
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(f.back.proceed)
	g.Open()
	f.stop() // waits for the call
	if got := f.back.count("message"); got != 1 {
		t.Errorf("got %d messages", got)
	}
	if got := f.Count("sqs", "SendMessage", func(c *awsproxy.Call) bool { return c.Forwarded }); got != 1 {
		t.Errorf("got %d calls", got)
	}
}

// Stopping ends polls and held calls, and leaves no goroutine behind.
func TestStopEndsWaitingCalls(t *testing.T) {
	before := goleak.IgnoreCurrent()
	f := start(t, 1, nil)
	g := f.Block("dynamodb", "", awsproxy.Before)
	f.back.entered, f.back.proceed = make(chan string), make(chan struct{})
	results := make(chan error)
	go func() { results <- f.update(within(t), "") }()
	if _, err := g.Next(within(t)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := f.sqs.ReceiveMessage(within(t), &sqs.ReceiveMessageInput{QueueUrl: aws.String(queueURL)})
		results <- err
	}()
	<-f.back.entered
	f.stop()
	for range 2 {
		if err := <-results; err == nil {
			t.Error("call succeeded")
		}
	}
	close(f.back.proceed)
	f.stop()
	if got := f.back.count("UpdateItem"); got != 0 {
		t.Errorf("got %d updates", got)
	}
	f.client.CloseIdleConnections()
	f.server.Close()
	goleak.VerifyNone(t, before)
}

// A fault after a streamed call replaces its answer.
func TestFaultAfterStreamedCall(t *testing.T) {
	f := start(t, 1, nil)
	f.Inject(awsproxy.Fault{Service: "execute-api", When: awsproxy.After, Times: 1})
	for _, want := range []int{http.StatusInternalServerError, http.StatusAccepted} {
		req := httptest.NewRequest(http.MethodPost, f.url+"/restapis/x/prod/_user_request_/tasks", strings.NewReader("{}"))
		req.RequestURI = ""
		if resp, body := do(t, req); resp.StatusCode != want {
			t.Errorf("got %d %s, want %d", resp.StatusCode, body, want)
		}
	}
	if got := f.Snapshot().Of("execute-api", "POST"); got.Forwarded != 2 || got.Injected != 1 || got.Failed != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestStartFailsOnUsedAddress(t *testing.T) {
	f := start(t, 1, nil)
	p := awsproxy.New(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, &awsproxy.Options{Addr: strings.TrimPrefix(f.url, "http://")})
	if _, _, err := p.Start(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := awsproxy.New(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, nil)
	if _, stop, err := p.Start(ctx); err != nil {
		t.Fatal(err)
	} else {
		cancel()
		stop()
	}
}
