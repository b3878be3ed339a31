//go:build integration

package integration

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// delivery is one request that the receiver got.
type delivery struct {
	ID     string // webhook-id
	Header http.Header
	Body   []byte
	Remote string // address of the worker
}

// receiver is somebody else's webhook endpoint. Its paths say how it behaves:
//
//	/ok                  204
//	/status/CODE         CODE, always
//	/flaky/N/CODE        CODE for the first N deliveries of a message, then 204
//	/slow/DURATION       204 after a while
//	/closed              500 until release, then 204
//	/closed/CODE         the same with another code
//	/hold                waits until release, then 204
//	/hold/503            the same, then 503
//	/hold-once           the same for the first delivery of a message; 204 for the others
type receiver struct {
	*httptest.Server
	release chan struct{}
	held    chan delivery

	mu    sync.Mutex
	all   []delivery
	count map[string]int
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{release: make(chan struct{}), held: make(chan delivery, 100), count: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(func() {
		r.let()
		r.Close()
	})
	return r
}

// let releases what is held, now and from now on.
func (r *receiver) let() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.release:
	default:
		close(r.release)
	}
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	d := delivery{ID: req.Header.Get("Webhook-Id"), Header: req.Header.Clone(), Body: body, Remote: req.RemoteAddr}
	r.mu.Lock()
	r.all = append(r.all, d)
	r.count[d.ID]++
	n := r.count[d.ID]
	r.mu.Unlock()
	part := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	switch part[0] {
	case "status":
		code, _ := strconv.Atoi(part[1])
		w.WriteHeader(code)
		return
	case "flaky":
		fails, _ := strconv.Atoi(part[1])
		code, _ := strconv.Atoi(part[2])
		if n <= fails {
			w.WriteHeader(code)
			return
		}
	case "closed":
		code := http.StatusInternalServerError
		if len(part) > 1 {
			code, _ = strconv.Atoi(part[1])
		}
		select {
		case <-r.release:
		default:
			w.WriteHeader(code)
			return
		}
	case "slow":
		d, _ := time.ParseDuration(part[1])
		select {
		case <-time.After(d):
		case <-req.Context().Done():
		}
	case "hold", "hold-once":
		if part[0] == "hold-once" && n > 1 {
			break
		}
		r.held <- d
		select {
		case <-r.release:
		case <-req.Context().Done():
		}
		if len(part) > 1 {
			code, _ := strconv.Atoi(part[1])
			w.WriteHeader(code)
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// deliveries of one task's first run.
func (r *receiver) deliveries(taskID string) []delivery { return r.deliveriesOf(taskID, 1) }

// deliveriesOf is deliveries of another run.
func (r *receiver) deliveriesOf(taskID string, run int) []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ds []delivery
	for _, d := range r.all {
		if d.ID == taskID+"-"+strconv.Itoa(run) {
			ds = append(ds, d)
		}
	}
	return ds
}
