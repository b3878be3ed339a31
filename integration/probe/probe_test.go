//go:build integration

package probe_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/spillway-go/spillway/integration/probe"
	"github.com/spillway-go/spillway/internal/localaws"
)

var cfg aws.Config

func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, m)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		code = 1
	}
	os.Exit(code)
}

func run(ctx context.Context, m *testing.M) (code int, err error) {
	endpoint := os.Getenv("SPILLWAY_TEST_ENDPOINT")
	if endpoint == "" {
		checkout, err := localaws.Open(nil)
		if err != nil {
			return 0, err
		}
		instance, err := checkout.Start(ctx, localaws.Server{Auth: os.Getenv("SPILLWAY_TEST_AUTH") == "true"})
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, instance.Stop()) }()
		endpoint = instance.Endpoint
		done := context.AfterFunc(ctx, func() { _ = instance.Stop(); os.Exit(130) })
		defer done()
	}
	cfg = localaws.Config(endpoint)
	return m.Run(), nil
}

// What the endpoint does is what is committed. Details may differ: they tell of
// numbers and times.
func TestFindings(t *testing.T) {
	p := probe.New(cfg, nil)
	t.Cleanup(func() {
		if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	target, err := p.Target(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []probe.ID
	for _, f := range probe.Features() {
		ids = append(ids, f.ID)
	}
	results, err := p.All(t.Context(), ids, func(f probe.Feature, r *probe.Result, err error) {
		if r != nil {
			t.Logf("%-25s %-10s %5.1f s  %s%v", f.ID, r.Verdict, r.Took.Seconds(), r.Detail, cmp.Or(err, errors.New("")))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	_, version := p.Endpoint(t.Context())
	if *update {
		text, err := json.MarshalIndent(finding{target, version, results}, "", "  ")
		if err := errors.Join(err, os.WriteFile(file(target), append(text, '\n'), 0o644)); err != nil {
			t.Fatal(err)
		}
		return
	}
	committed := read(t, target)
	if committed.Version != version {
		t.Logf("this is %s %s, and what is committed is of %s", target, version, committed.Version)
	}
	want := map[probe.ID]probe.Result{}
	for _, r := range committed.Results {
		want[r.Feature] = r
	}
	for _, r := range results {
		if r.Verdict != want[r.Feature].Verdict {
			t.Errorf("%s on %s: %s (%s), committed is %s (%s)", r.Feature, target, r.Verdict, r.Detail, want[r.Feature].Verdict, want[r.Feature].Detail)
		}
	}
}
