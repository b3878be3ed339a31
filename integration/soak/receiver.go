package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// receiver is the other side of the deliveries. It can hold them for a moment,
// so that workers are certainly in the middle of one.
type receiver struct {
	ledger *ledger
	base   string // URL; the number of the task follows
	server *http.Server

	mu    sync.Mutex
	gate  chan struct{} // closed when deliveries may go on; nil when none is held
	held  int
	lost  int // held deliveries whose worker went away
	alien int // requests that are for no task
}

// listen starts a receiver on loopback.
func listen(ctx context.Context, l *ledger) (*receiver, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}
	r := &receiver{ledger: l, base: "http://" + ln.Addr().String() + "/"}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{task}", r.serve)
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(ln) }() // its end is ours
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	at := time.Now()
	i, err := strconv.Atoi(req.PathValue("task"))
	if err != nil || i < 0 || i >= len(r.ledger.entries) {
		r.mu.Lock()
		r.alien++
		r.mu.Unlock()
		http.NotFound(w, req)
		return
	}
	// The server notices a client that goes away only when the body was read.
	_, _ = io.Copy(io.Discard, io.LimitReader(req.Body, 1<<20))
	number := r.ledger.deliver(i, delivery{id: req.Header.Get("Webhook-Id"), at: at})
	if r.pass(req.Context()) {
		w.WriteHeader(r.ledger.answer(i, number))
	}
}

// pass waits while deliveries are held. It reports false when the worker went
// away meanwhile.
func (r *receiver) pass(ctx context.Context) bool {
	r.mu.Lock()
	gate := r.gate
	if gate == nil {
		r.mu.Unlock()
		return true
	}
	r.held++
	r.mu.Unlock()
	ok := true
	select {
	case <-gate:
	case <-ctx.Done():
		ok = false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held--
	if !ok {
		r.lost++
	}
	return ok
}

// hold lets deliveries wait until release is called.
func (r *receiver) hold() (release func()) {
	gate := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate = gate
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.gate = nil
		close(gate)
	}
}

// state returns how many deliveries are held, and how many were lost while
// they were.
func (r *receiver) state() (held, lost int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held, r.lost
}

// until polls a condition for at most d.
func until(ctx context.Context, d time.Duration, holds func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, errors.New("it did not happen within "+d.String()))
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}
