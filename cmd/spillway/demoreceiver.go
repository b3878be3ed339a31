package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// receiver is the other side of the demonstration's deliveries. It counts by
// itself what reaches it, so that the pipeline's own account can be checked.
type receiver struct {
	base string // URL of everything that is for this run
	stop func() // ends the receiver and its open requests
	slow time.Duration

	mu        sync.Mutex
	expected  map[int]*kind
	seen      map[int]*deliveries
	delivered map[string]struct{} // webhook-ids that were taken
	requests  int
	unsigned  int
}

// deliveries are the requests for one task.
type deliveries struct{ requests, taken int }

// listenFunc serves HTTP on addr until stop is called. url is the server's.
type listenFunc func(ctx context.Context, addr string, h http.Handler) (url string, stop func(), err error)

func listenHTTP(ctx context.Context, addr string, h http.Handler) (url string, stop func(), err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	go func() { _ = srv.Serve(ln) }() // ends with stop
	return "http://" + ln.Addr().String(), func() { _ = srv.Close() }, nil
}

// startReceiver listens on addr. publicURL is how the stack reaches it; empty
// means by addr.
func startReceiver(ctx context.Context, listen listenFunc, addr, publicURL string, slow time.Duration) (*receiver, error) {
	// The token keeps deliveries of an earlier run, and strangers where the
	// address is public, out of this run's count.
	token := strings.ToLower(rand.Text()[:10])
	r := &receiver{
		slow:      slow,
		expected:  map[int]*kind{},
		seen:      map[int]*deliveries{},
		delivered: map[string]struct{}{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /"+token+"/{kind}/{n}", r.receive)
	url, stop, err := listen(ctx, addr, mux)
	if err != nil {
		return nil, fmt.Errorf("start the webhook receiver: %w", err)
	}
	r.base, r.stop = strings.TrimRight(cmp.Or(publicURL, url), "/")+"/"+token, stop
	return r, nil
}

// expect announces task n and returns where to deliver it.
func (r *receiver) expect(n int, k *kind) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expected[n] = k
	return fmt.Sprintf("%s/%s/%d", r.base, k.name, n)
}

func (r *receiver) receive(w http.ResponseWriter, req *http.Request) {
	_, err := io.Copy(io.Discard, http.MaxBytesReader(w, req.Body, 1<<20))
	if err != nil {
		http.Error(w, "body", http.StatusBadRequest)
		return
	}
	n, err := strconv.Atoi(req.PathValue("n"))
	if err != nil {
		http.NotFound(w, req)
		return
	}
	// The secret is the stack's; here it only counts that each delivery is signed.
	id := req.Header.Get("webhook-id")
	signed := id != "" && req.Header.Get("webhook-timestamp") != "" && req.Header.Get("webhook-signature") != ""
	k, nth := r.note(n, signed)
	switch {
	case k == nil:
		http.NotFound(w, req)
		return
	case !signed:
		http.Error(w, "no signature", http.StatusUnauthorized)
		return
	}
	if k.slow {
		wait := time.NewTimer(r.slow)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-req.Context().Done():
			return // the sender gave up, so nothing was delivered
		}
	}
	status := k.answer(nth)
	if status == http.StatusOK {
		r.took(n, id)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
}

// note counts a request for task n and returns which one it is.
func (r *receiver) note(n int, signed bool) (*kind, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.expected[n]
	if k == nil {
		return nil, 0
	}
	r.requests++
	if !signed {
		r.unsigned++
	}
	d := r.seen[n]
	if d == nil {
		d = &deliveries{}
		r.seen[n] = d
	}
	d.requests++
	return k, d.requests
}

// took counts a delivery before it is answered, so that no task can be reported
// as succeeded and be missing here.
func (r *receiver) took(n int, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[n].taken++
	r.delivered[id] = struct{}{}
}

// of returns what was received for task n.
func (r *receiver) of(n int) deliveries {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.seen[n]; d != nil {
		return *d
	}
	return deliveries{}
}

// totals returns all requests, those without signature, and the distinct
// webhook-ids that were taken.
func (r *receiver) totals() (requests, unsigned, ids int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests, r.unsigned, len(r.delivered)
}
