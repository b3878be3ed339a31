//go:build integration

package coldstart

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

// runtimeAPI is Lambda's side of one execution environment
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html): the process
// asks for the next invocation and posts what became of it.
type runtimeAPI struct {
	addr    string // for AWS_LAMBDA_RUNTIME_API
	events  chan []byte
	answers chan answer
	stop    func() // may be called again
}

// answer is what the process posted, and when.
type answer struct {
	kind string // "response" or "error"
	body string
	at   time.Time
}

func newRuntimeAPI() *runtimeAPI {
	a := &runtimeAPI{events: make(chan []byte, 1), answers: make(chan answer, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", a.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{kind}", a.take)
	mux.HandleFunc("POST /2018-06-01/runtime/init/{kind}", a.take)
	server := httptest.NewServer(mux)
	a.addr = strings.TrimPrefix(server.URL, "http://")
	a.stop = server.Close
	return a
}

func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	var event []byte
	select {
	case event = <-a.events:
	case <-r.Context().Done(): // the process is gone
		return
	}
	h := w.Header()
	h.Set("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
	h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:"+region+":123456789012:function:f")
	h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(patience).UnixMilli(), 10))
	h.Set("Content-Type", "application/json")
	_, _ = w.Write(event)
}

func (a *runtimeAPI) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	got := answer{kind: r.PathValue("kind"), body: string(body), at: time.Now()}
	if err != nil {
		got.kind = "broken " + got.kind
	}
	a.answers <- got
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprint(w, `{"status":"OK"}`)
}
