package awsproxy_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/awsproxy"
)

// The gate decides which of two writers is first.
func TestGateBefore(t *testing.T) {
	f := start(t, 1, nil)
	ctx := within(t)
	g := f.Block("dynamodb", "BatchExecuteStatement", awsproxy.Before,
		func(c *awsproxy.Call) bool { return strings.Contains(string(c.Request), "slow") })
	done := make(chan error)
	go func() {
		_, err := f.execute(ctx, "slow")
		done <- err
	}()
	held, err := g.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if held.Call.Statements != 1 || held.Call.Forwarded {
		t.Errorf("held %+v", held.Call)
	}
	if _, err := f.execute(ctx, "quick"); err != nil {
		t.Fatal(err)
	}
	held.Release()
	held.Release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.back.effects, []string{"statement quick", "statement slow"}); diff != "" {
		t.Error(diff)
	}
}

// The effect is there while the answer is held, and a fault may replace it.
func TestGateAfter(t *testing.T) {
	f := start(t, 1, nil)
	ctx := within(t)
	f.Inject(awsproxy.Fault{Operation: "SendMessage", When: awsproxy.After, Error: awsproxy.Reset})
	g := f.Block("sqs", "", awsproxy.After)
	done := make(chan error)
	go func() { done <- f.send(ctx) }()
	if _, err := g.Next(ctx); err != nil {
		t.Fatal(err)
	}
	if got := f.back.count("message"); got != 1 {
		t.Errorf("got %d messages", got)
	}
	g.Open()
	g.Open()
	if err := <-done; err == nil {
		t.Error("call succeeded")
	}
	c := f.Calls()[0]
	if got, want := c.String(), "#1 sqs.SendMessage by AKIDCALLER: connection cut, injected after"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Calls nobody asked for by Next go on when the gate opens.
func TestGateOpensForAll(t *testing.T) {
	f := start(t, 1, nil)
	ctx := within(t)
	g := f.Block("", "", awsproxy.Before)
	done := make(chan error)
	for range 3 {
		go func() { done <- f.send(ctx) }()
	}
	if _, err := g.Next(ctx); err != nil {
		t.Fatal(err)
	}
	g.Open()
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := f.send(ctx); err != nil {
		t.Error(err)
	}
}

// A client that gives up at the gate leaves without effect.
func TestGateClientGivesUp(t *testing.T) {
	f := start(t, 1, nil)
	g := f.Block("sqs", "SendMessage", awsproxy.Before)
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan error)
	go func() { done <- f.send(ctx) }()
	if _, err := g.Next(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	f.stop()
	if f.back.count("message") != 0 || f.Snapshot().Of("sqs", "").Forwarded != 0 {
		t.Error("the call took effect")
	}
}

func TestGateNextEndsWithContext(t *testing.T) {
	f := start(t, 1, nil)
	g := f.Block("sqs", "", awsproxy.Before)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
