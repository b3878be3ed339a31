package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What handlers return, and what they panic with, by the event.
func breaking(_ context.Context, event string) (string, error) {
	switch event {
	case "error":
		return "", fmt.Errorf("order %s", "hunter2")
	case "panic":
		panic("hunter2 is no order")
	case "index":
		return []string{}[len(event)], errors.New("not reached")
	default:
		return event, nil
	}
}

// TestMain lets the test's program be a function: lambda.Start ends its process
// when a handler has panicked.
func TestMain(m *testing.M) {
	if os.Getenv("SPILLWAY_TEST_FUNCTION") != "" {
		Run(func(*Env) (any, error) { return breaking, nil })
		return
	}
	os.Exit(m.Run())
}

// lambda.Start prints the errors of handlers; none of what they quote gets into
// the log.
func TestRuntimeLogQuotesNothing(t *testing.T) {
	t.Parallel()
	tests := []struct{ event, answered, logged string }{
		{`"error"`, "order hunter2", `"level":"ERROR","message":"the invocation failed","type":"errorString"`},
		{`"panic"`, "hunter2 is no order", `"message":"the invocation failed","type":"string","stack":[{`},
		{`"index"`, "runtime error: index out of range [5]", `"error":"runtime error: index out of range [5] with length 0","stack":[{`},
		{`{"hunter2":1}`, "cannot unmarshal", `"type":"UnmarshalTypeError"`},
	}
	for _, tt := range tests {
		t.Run(tt.event, func(t *testing.T) {
			t.Parallel()
			answer, logged := invokeOnce(t, tt.event)
			if !strings.Contains(answer, tt.answered) {
				t.Errorf("answered %s, want %s", answer, tt.answered)
			}
			if !strings.Contains(logged, tt.logged) || strings.Contains(logged, "hunter2") {
				t.Errorf("logged %s\nwant %s, and nothing of the event", logged, tt.logged)
			}
		})
	}
}

// invokeOnce runs this program as a function, hands it one event, and returns
// what it answered and logged.
func invokeOnce(t *testing.T, event string) (answer, logged string) {
	t.Helper()
	answers := make(chan string, 1)
	var next int
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, "/invocation/next"):
			if next++; next > 1 { // the process ends on this
				w.WriteHeader(http.StatusGone)
				return
			}
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "r-1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", "4102444800000")
			io.WriteString(w, event)
		default:
			body, _ := io.ReadAll(r.Body)
			answers <- string(body)
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(api.Close)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = []string{"SPILLWAY_TEST_FUNCTION=1", "AWS_LAMBDA_LOG_FORMAT=JSON", "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://")}
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err == nil {
		t.Error("the process ended without a complaint")
	}
	return <-answers, out.String()
}

func TestRuntimeLogKeepsOtherLines(t *testing.T) {
	var out bytes.Buffer
	before, writer, flags := slog.Default(), log.Writer(), log.Flags()
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(writer)
		log.SetFlags(flags)
	})
	slog.SetDefault(slog.New(slog.NewJSONHandler(&out, nil)))
	silence()
	log.Printf("cannot reach %s", "the Runtime API")
	if got := out.String(); !strings.Contains(got, `"level":"ERROR","msg":"runtime","error":"cannot reach the Runtime API"`) {
		t.Errorf("logged %s", got)
	}
}
