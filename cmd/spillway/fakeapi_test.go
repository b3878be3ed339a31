package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// fakeAPI is a small model of a stack: it accepts tasks, delivers webhooks with
// five attempts and no backoff, lists, waits and cancels.
type fakeAPI struct {
	url string

	// A test may set these before the first request.
	refuse   func(r *http.Request) (status int, code string) // zero lets it through
	accepted func(n int)                                     // after the nth task was accepted
	trip     func(*client.Task, json.RawMessage)             // ends a trip that was accepted
	unsigned bool                                            // deliveries lack their signature
	twist    func(*client.Task)                              // spoils a task when it is answered

	hide func(*client.Task) bool // from the list

	mu       sync.Mutex
	tasks    []*client.Task // oldest first
	bodies   []submitBody
	keys     map[string]string
	changed  chan struct{} // closed and replaced at every change
	requests []*http.Request
	work     sync.WaitGroup
}

type submitBody struct {
	Type        string          `json:"type"`
	Input       json.RawMessage `json:"input"`
	Priority    client.Priority `json:"priority"`
	Deadline    time.Time       `json:"deadline"`
	TTL         string          `json:"ttl"`
	Delay       string          `json:"delay"`
	CallbackURL string          `json:"callback_url"`
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{keys: map[string]string{}, changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /live/tasks", f.submit)
	mux.HandleFunc("GET /live/tasks", f.list)
	mux.HandleFunc("GET /live/tasks/{id}", f.get)
	mux.HandleFunc("DELETE /live/tasks/{id}", f.cancel)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Only once the body is read does a server notice that its client left.
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.mu.Lock()
		f.requests = append(f.requests, r.Clone(r.Context()))
		f.mu.Unlock()
		if f.refuse != nil {
			if status, code := f.refuse(r); status != 0 {
				problem(w, status, code)
				return
			}
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		srv.Close()
		f.work.Wait()
	})
	f.url = srv.URL + "/live"
	return f
}

func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "status": status, "code": code, "detail": "the fake says " + code})
}

// add puts a task there without working on it.
func (f *fakeAPI) add(t *client.Task) *client.Task {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.ID = fmt.Sprintf("01J%023d", len(f.tasks)+1)
	if t.Type == "" {
		t.Type = "webhook.deliver"
	}
	if t.Status == "" {
		t.Status = client.Queued
	}
	t.CreatedAt = time.Now()
	f.tasks = append(f.tasks, t)
	return t
}

// update changes a task unless it has finished, and wakes who waits.
func (f *fakeAPI) update(t *client.Task, change func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.Status.Finished() {
		return false
	}
	change()
	if t.Status.Finished() {
		t.FinishedAt = time.Now()
	}
	close(f.changed)
	f.changed = make(chan struct{})
	return true
}

func (f *fakeAPI) find(id string) *client.Task {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tasks {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// answer copies the task under the lock.
func (f *fakeAPI) answer(w http.ResponseWriter, status int, t *client.Task) {
	f.mu.Lock()
	out := *t
	f.mu.Unlock()
	if f.twist != nil {
		f.twist(&out)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

func (f *fakeAPI) submit(w http.ResponseWriter, r *http.Request) {
	var b submitBody
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		problem(w, http.StatusBadRequest, "invalid_request")
		return
	}
	if !slices.Contains([]string{"webhook.deliver", "noop", "trip.book"}, b.Type) {
		problem(w, http.StatusBadRequest, "unknown_task_type")
		return
	}
	key := r.Header.Get("Idempotency-Key")
	f.mu.Lock()
	known := f.keys[key]
	f.bodies = append(f.bodies, b)
	f.mu.Unlock()
	if t := f.find(known); t != nil {
		f.answer(w, http.StatusOK, t)
		return
	}
	t := f.add(&client.Task{Type: b.Type, Priority: b.Priority})
	f.mu.Lock()
	f.keys[key] = t.ID
	n := len(f.tasks)
	f.mu.Unlock()
	f.answer(w, http.StatusAccepted, t)
	f.begin(t, b)
	if f.accepted != nil {
		f.accepted(n)
	}
}

// begin works on a task as far as its times let it.
func (f *fakeAPI) begin(t *client.Task, b submitBody) {
	switch {
	case b.Type == "trip.book":
		f.update(t, func() { f.trip(t, b.Input) })
	case b.TTL != "" && b.Delay != "": // as the demonstration's late ones
		f.update(t, func() { t.Status = client.Expired })
	case b.Delay != "": // waits to be canceled
	case b.Type == "noop":
		f.update(t, func() { t.Status, t.Attempts, t.Result = client.Succeeded, 1, b.Input })
	default:
		f.work.Go(func() { f.deliver(t, b.Input) })
	}
}

func (f *fakeAPI) deliver(t *client.Task, input json.RawMessage) {
	var in webhookInput
	_ = json.Unmarshal(input, &in)
	for attempt := 1; attempt <= 5; attempt++ {
		if !f.update(t, func() { t.Status, t.Attempts = client.Running, attempt }) {
			return
		}
		status := f.post(in, t.ID)
		switch {
		case status == http.StatusOK:
			f.update(t, func() {
				t.Status, t.Result = client.Succeeded, json.RawMessage(`{"status":200}`)
			})
			return
		case status >= 400 && status < 500:
			f.update(t, func() {
				t.Status, t.Error = client.Failed, &client.TaskError{Code: "http_status", Message: strconv.Itoa(status)}
			})
			return
		}
	}
	f.update(t, func() {
		t.Status = client.DeadLettered
		t.Error = &client.TaskError{Code: "http_status", Message: "POST " + in.URL + ": 500", Retryable: true}
	})
}

func (f *fakeAPI) post(in webhookInput, id string) int {
	req, err := http.NewRequest(http.MethodPost, in.URL, bytes.NewReader(in.Payload))
	if err != nil {
		return 0
	}
	req.Header.Set("webhook-id", "msg_"+id)
	req.Header.Set("webhook-timestamp", "1")
	if !f.unsigned {
		req.Header.Set("webhook-signature", "v1,x")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (f *fakeAPI) get(w http.ResponseWriter, r *http.Request) {
	t := f.find(r.PathValue("id"))
	if t == nil {
		problem(w, http.StatusNotFound, "not_found")
		return
	}
	if wait, err := time.ParseDuration(r.URL.Query().Get("wait")); err == nil {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		for {
			f.mu.Lock()
			changed, finished := f.changed, t.Status.Finished()
			f.mu.Unlock()
			if finished {
				break
			}
			select {
			case <-changed:
				continue
			case <-timer.C:
			case <-r.Context().Done():
			}
			break
		}
	}
	f.answer(w, http.StatusOK, t)
}

func (f *fakeAPI) cancel(w http.ResponseWriter, r *http.Request) {
	t := f.find(r.PathValue("id"))
	switch {
	case t == nil:
		problem(w, http.StatusNotFound, "not_found")
	case !f.update(t, func() { t.Status = client.Canceled }):
		problem(w, http.StatusConflict, "task_finished")
	default:
		f.answer(w, http.StatusOK, t)
	}
}

// list examines at most limit tasks a page, so that a page with a filter may be
// short or empty and still carry a cursor, as the API's may.
func (f *fakeAPI) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if q.Get("limit") == "" {
		limit, err = 25, nil
	}
	if err != nil || limit < 1 || limit > 100 {
		problem(w, http.StatusBadRequest, "invalid_request")
		return
	}
	page := client.Page{Tasks: []*client.Task{}}
	f.mu.Lock()
	all := slices.Clone(f.tasks)
	slices.Reverse(all)
	for i, t := range all {
		if c := q.Get("cursor"); c != "" && strings.Compare(t.ID, c) >= 0 {
			continue
		}
		if limit == 0 {
			page.Cursor = all[i-1].ID
			break
		}
		limit--
		if f.hide != nil && f.hide(t) {
			continue
		}
		if (q.Get("type") == "" || t.Type == q.Get("type")) && (q.Get("status") == "" || string(t.Status) == q.Get("status")) {
			out := *t
			if f.twist != nil {
				f.twist(&out)
			}
			page.Tasks = append(page.Tasks, &out)
		}
	}
	f.mu.Unlock()
	_ = json.NewEncoder(w).Encode(page)
}
