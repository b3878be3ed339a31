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
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spillway-go/spillway/integration/probe"
	"github.com/spillway-go/spillway/internal/localaws"
)

// endpoints are the targets to try out here: the one named in the environment,
// or MiniStack, without and with the policies of roles enforced.
var endpoints = map[string]string{}

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
	if endpoint := os.Getenv("SPILLWAY_TEST_ENDPOINT"); endpoint != "" {
		endpoints[""] = endpoint
		return m.Run(), nil
	}
	checkout, err := localaws.Open(nil)
	if err != nil {
		return 0, err
	}
	var instances []*localaws.Instance
	stop := func() error {
		var errs []error
		for _, i := range instances {
			errs = append(errs, i.Stop())
		}
		return errors.Join(errs...)
	}
	defer func() { err = errors.Join(err, stop()) }()
	for target, auth := range map[string]bool{"ministack": false, "ministack-auth": true} {
		instance, err := checkout.Start(ctx, localaws.Server{Auth: auth})
		if err != nil {
			return 0, err
		}
		instances = append(instances, instance)
		endpoints[target] = instance.Endpoint
	}
	done := context.AfterFunc(ctx, func() { _ = stop(); os.Exit(130) })
	defer done()
	return m.Run(), nil
}

// chosen are the features to try out: all, or those in SPILLWAY_PROBE.
func chosen(t *testing.T) (ids []probe.ID) {
	t.Helper()
	names := strings.Fields(os.Getenv("SPILLWAY_PROBE"))
	for _, f := range probe.Features() {
		if len(names) == 0 || slices.Contains(names, string(f.ID)) {
			ids = append(ids, f.ID)
		}
	}
	if len(names) > 0 && (len(ids) != len(names) || *update) {
		t.Fatalf("SPILLWAY_PROBE names %q, of which %q are features; all of them are needed to update what is committed", names, ids)
	}
	return ids
}

// What an endpoint does is what is committed. Details may differ: they tell of
// numbers and times.
func TestFindings(t *testing.T) {
	t.Parallel()
	for want, endpoint := range endpoints {
		t.Run(cmp.Or(want, "endpoint"), func(t *testing.T) {
			t.Parallel()
			compare(t, want, endpoint)
		})
	}
}

func compare(t *testing.T, name, endpoint string) {
	t.Helper()
	p := probe.New(localaws.Config(endpoint), nil)
	t.Cleanup(func() {
		if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	target, err := p.Target(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if name != "" && target != name {
		t.Fatalf("this is %s", target)
	}
	ids := chosen(t)
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
