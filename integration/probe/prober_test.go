package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// fakeAWS answers calls by their operation, and remembers them.
type fakeAWS struct {
	answer func(operation string, in object) (status int, out any)

	mu    sync.Mutex
	calls []string // "CreateQueue", in order
}

func (f *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if operation == "" {
		operation = r.URL.Path
	}
	f.mu.Lock()
	f.calls = append(f.calls, operation)
	f.mu.Unlock()
	in := object{}
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, &in)
	status, out := f.answer(operation, in)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

func (f *fakeAWS) count(operation string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c == operation {
			n++
		}
	}
	return n
}

// sqs is a queue that refuses delays if it is told to.
func sqs(refuses bool) func(string, object) (int, any) {
	return func(operation string, in object) (int, any) {
		switch operation {
		case "CreateQueue":
			return http.StatusOK, object{"QueueUrl": "http://queues/" + text(in, "QueueName")}
		case "GetQueueAttributes":
			return http.StatusOK, object{"Attributes": object{"QueueArn": "arn:aws:sqs:us-east-1:000000000000:q"}}
		case "SendMessage":
			if refuses {
				return http.StatusBadRequest, object{"__type": "com.amazonaws.sqs#InvalidParameterValue", "message": "too late"}
			}
			return http.StatusOK, object{"MessageId": "1"}
		case "DeleteQueue":
			return http.StatusOK, object{}
		default:
			return http.StatusNotFound, "nothing"
		}
	}
}

func newFake(t *testing.T, answer func(string, object) (int, any)) (*fakeAWS, *Prober) {
	t.Helper()
	f := &fakeAWS{answer: answer}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, nil)
}

func TestProbeTriesOnce(t *testing.T) {
	t.Parallel()
	for refuses, want := range map[bool]Verdict{true: AsOnAWS, false: Missing} {
		f, p := newFake(t, sqs(refuses))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				r, err := p.Probe(t.Context(), DelayLimit)
				if err != nil || r.Verdict != want || r.Feature != DelayLimit {
					t.Errorf("got %+v (%v), want %s", r, err, want)
				}
			})
		}
		all.Wait()
		if n := f.count("CreateQueue"); n != 1 {
			t.Errorf("it was tried %d times", n)
		}
		if err := p.Close(t.Context()); err != nil || f.count("DeleteQueue") != 1 {
			t.Errorf("%d queues were removed (%v)", f.count("DeleteQueue"), err)
		}
	}
}

// What kept a feature from being tried is no verdict, and the next one who asks
// tries again.
func TestProbeTriesAgainAfterAnError(t *testing.T) {
	t.Parallel()
	denied := true
	works := sqs(true)
	_, p := newFake(t, func(operation string, in object) (int, any) {
		if denied {
			return http.StatusForbidden, object{"__type": "AccessDeniedException"}
		}
		return works(operation, in)
	})
	r, err := p.Probe(t.Context(), DelayLimit)
	if refusal(err) != "AccessDeniedException" || r.Verdict != "" {
		t.Errorf("got %+v (%v)", r, err)
	}
	denied = false
	if r, err := p.Probe(t.Context(), DelayLimit); err != nil || r.Verdict != AsOnAWS {
		t.Errorf("got %+v (%v)", r, err)
	}
	if _, err := p.Probe(t.Context(), "no-such"); err == nil {
		t.Error("a feature that there is not was tried")
	}
}

// An operation that the endpoint does not know is missing, and one that breaks
// there differs. AWS breaks for other reasons.
func TestProbeOfWhatTheEndpointLacks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		answer any
		want   Verdict
	}{
		{http.StatusNotImplemented, object{"__type": "InternalFailure"}, Missing},
		{http.StatusBadRequest, object{"__type": "UnknownOperationException"}, Missing},
		{http.StatusBadRequest, object{"__type": "InvalidAction"}, Missing},
		{http.StatusInternalServerError, object{"__type": "InternalError"}, Differs},
	} {
		_, p := newFake(t, func(string, object) (int, any) { return tt.status, tt.answer })
		if r, err := p.Probe(t.Context(), DelayLimit); err != nil || r.Verdict != tt.want || r.Detail == "" {
			t.Errorf("%v: got %+v (%v), want %s", tt.answer, r, err, tt.want)
		}
	}
}

// What a call makes that was under way at the interruption is removed as well.
func TestInterruptedProbeLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	works := sqs(true)
	f, p := newFake(t, func(operation string, in object) (int, any) {
		if operation == "CreateQueue" {
			interrupt()
		}
		return works(operation, in)
	})
	if _, err := p.Probe(ctx, DelayLimit); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := p.Close(t.Context()); err != nil || f.count("DeleteQueue") != 1 || f.count("SendMessage") != 0 {
		t.Errorf("calls were %v (%v)", f.calls, err)
	}
}

func TestCloseSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	works := sqs(true)
	_, p := newFake(t, func(operation string, in object) (int, any) {
		if operation == "DeleteQueue" {
			return http.StatusForbidden, object{"__type": "AccessDeniedException"}
		}
		return works(operation, in)
	})
	if _, err := p.Probe(t.Context(), DelayLimit); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err == nil || !strings.Contains(err.Error(), p.prefix) {
		t.Errorf("got %v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// All goes on after an error, keeps the order, and tells what it does.
func TestAll(t *testing.T) {
	t.Parallel()
	works := sqs(true)
	_, p := newFake(t, func(operation string, in object) (int, any) {
		if strings.HasSuffix(text(in, "QueueName"), string(VisibilityLimit)) {
			return http.StatusForbidden, object{"__type": "AccessDeniedException"}
		}
		return works(operation, in)
	})
	told := map[ID]string{}
	results, err := p.All(t.Context(), []ID{VisibilityLimit, DelayLimit, "no-such"}, func(f Feature, r *Result, err error) {
		told[f.ID] += fmt.Sprintf("%t %t;", r != nil, err != nil)
	})
	if got := []Verdict{results[0].Verdict, results[1].Verdict, results[2].Verdict}; !slices.Equal(got, []Verdict{"", AsOnAWS, ""}) {
		t.Errorf("verdicts %q", got)
	}
	if err == nil || !strings.Contains(err.Error(), "no-such") || !strings.Contains(err.Error(), string(VisibilityLimit)) {
		t.Errorf("got %v", err)
	}
	want := map[ID]string{VisibilityLimit: "false false;true true;", DelayLimit: "false false;true false;", "no-such": "false false;true true;"}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// What could not be found out is tried once more, under another name.
func TestAllTriesTheUnknownAgain(t *testing.T) {
	t.Parallel()
	f, p := newFake(t, func(string, object) (int, any) { return http.StatusBadRequest, object{"code": "Busy"} })
	results, err := p.All(t.Context(), []ID{DeletionPolicy}, nil)
	if err != nil || results[0].Verdict != Unknown {
		t.Errorf("got %+v (%v)", results, err)
	}
	if n := f.count("/"); n != 2 {
		t.Errorf("%d stacks were tried", n)
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path          string
		name, version string
	}{
		{"/_localstack/health", "localstack", "4"},
		{"/_ministack/health", "ministack", "4"},
		{"/", "unknown", ""},
	} {
		_, p := newFake(t, func(operation string, _ object) (int, any) {
			if operation == tt.path {
				return http.StatusOK, object{"version": "4"}
			}
			return http.StatusNotFound, object{}
		})
		if name, version := p.Endpoint(t.Context()); name != tt.name || version != tt.version {
			t.Errorf("%s: got %s %s", tt.path, name, version)
		}
	}
	if name, _ := New(aws.Config{}, nil).Endpoint(t.Context()); name != "aws" {
		t.Errorf("got %s", name)
	}
}

func TestFeatures(t *testing.T) {
	t.Parallel()
	seen := map[ID]bool{}
	for _, f := range Features() {
		u, err := url.Parse(f.Source)
		if err != nil || u.Scheme != "https" || u.Host != "docs.aws.amazon.com" {
			t.Errorf("%s: its source is %q", f.ID, f.Source)
		}
		if seen[f.ID] || f.Area == "" || f.Name == "" || f.AWS == "" || f.try == nil {
			t.Errorf("%+v is repeated, or not complete", f)
		}
		seen[f.ID] = true
		// The longest name is that of a role, which may have 64 characters.
		if name := "spillway-probe-12345678-" + string(f.ID) + "-machine"; len(name) > 64 {
			t.Errorf("%s makes names of %d characters", f.ID, len(name))
		}
	}
	for _, id := range slow {
		if !seen[id] {
			t.Errorf("%s is slow, and no feature", id)
		}
	}
}

// Services give their errors in different forms.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header, body string
		want         apiError
	}{
		{"", `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no queue"}`, apiError{Code: "QueueDoesNotExist", Message: "no queue"}},
		{"TooManyRequestsException:http://internal.amazon.com/", `{"Message":"slower"}`, apiError{Code: "TooManyRequestsException", Message: "slower"}},
		{"", `{"code":"NotFoundException"}`, apiError{Code: "NotFoundException"}},
		{"", `<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>no role</Message></Error></ErrorResponse>`, apiError{Code: "NoSuchEntity", Message: "no role"}},
		{"", "Bad Gateway", apiError{}},
	} {
		got := refusalOf(reply{http.StatusBadRequest, http.Header{"X-Amzn-Errortype": {tt.header}}, []byte(tt.body)})
		if got.Code != tt.want.Code || got.Message != tt.want.Message || !bytes.Equal(got.Body, []byte(tt.body)) {
			t.Errorf("%s: got %+v", tt.body, got)
		}
	}
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	for want, lines := range [][]string{
		{"batch 1"},
		{"span 100 200", "span 200 300"},
		{"span 100 200", "seen ok", "span 150 300", "span 250 300"},
		{"span 1 9", "span 2 3", "span 4 9", "span 5 6"},
	} {
		if got := overlap(lines); got != want {
			t.Errorf("%v: got %d, want %d", lines, got, want)
		}
	}
}

func TestNamesOfFunctions(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"arn:aws:lambda:us-east-1:000000000000:function:f": "f ", "arn:aws:lambda:us-east-1:000000000000:function:f:live": "f live", "f": "f ", "f:live": "f live",
	} {
		if name, qualifier := nameOf(arn); name+" "+qualifier != want {
			t.Errorf("%s: got %s %s", arn, name, qualifier)
		}
	}
}

// The function is built without anything but Go's own library, as on a machine
// without this checkout.
func TestBuildFunction(t *testing.T) {
	t.Parallel()
	code, err := buildFunction(t.Context(), "arm64")
	if err != nil {
		t.Fatal(err)
	}
	if len(code) < 1<<20 || !bytes.HasPrefix(code, []byte("PK")) {
		t.Errorf("%d bytes", len(code))
	}
}
