//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/spillway-go/spillway/integration/probe"
)

// features is what the endpoint under test was found to do, and which tests
// were skipped for what it does not.
var features struct {
	prober *probe.Prober
	target string // which endpoint it is; a key of testdata/skips.json

	mu    sync.Mutex
	skips map[string]probe.ID // by test
}

// startProbing finds out which endpoint it is, and is ready to find out more.
func startProbing(ctx context.Context) (stop func() error, err error) {
	features.skips = map[string]probe.ID{}
	features.prober = probe.New(stack.cfg, nil)
	features.target, err = features.prober.Target(ctx)
	return func() error { return features.prober.Close(context.WithoutCancel(ctx)) }, err
}

// has tries out whether the endpoint does something as AWS does.
func has(t *testing.T, id probe.ID) bool {
	t.Helper()
	r, err := features.prober.Probe(t.Context(), id)
	if err != nil || r.Verdict == probe.Unknown {
		t.Fatalf("probe %s: %s (%v)", id, r.Detail, err)
	}
	return r.Verdict == probe.AsOnAWS
}

// needs skips a test that shows nothing on an endpoint without a feature. This
// and [tooLong] are the only ways to skip one: what was skipped has to be in
// testdata/skips.json.
func needs(t *testing.T, id probe.ID) {
	t.Helper()
	if has(t, id) {
		return
	}
	skip(t, id, "the endpoint was tried out and lacks "+string(id))
}

// tooLong skips a test that would take much too long on an endpoint with a
// feature.
func tooLong(t *testing.T, id probe.ID) {
	t.Helper()
	if !has(t, id) {
		return
	}
	skip(t, id, "this takes too long where there is "+string(id))
}

func skip(t *testing.T, id probe.ID, why string) {
	t.Helper()
	features.mu.Lock()
	features.skips[t.Name()] = id
	features.mu.Unlock()
	t.Skip(why)
}

// skipsFile lists by target which tests are skipped, and for which feature.
var skipsFile = filepath.Join("testdata", "skips.json")

// selection says which tests this run was asked for. Where that depends on the
// names of subtests, it is none.
func selection() (func(test string) bool, error) {
	run, skip := flag.Lookup("test.run").Value.String(), flag.Lookup("test.skip").Value.String()
	if strings.Contains(run+skip, "/") {
		return func(string) bool { return false }, nil
	}
	wanted, err := regexp.Compile(run)
	if err != nil {
		return nil, err
	}
	unwanted, err := regexp.Compile(skip)
	return func(test string) bool {
		name, _, _ := strings.Cut(test, "/")
		return wanted.MatchString(name) && (skip == "" || !unwanted.MatchString(name))
	}, err
}

// checkSkips compares what was skipped with what had to be, of the tests that
// were run.
func checkSkips() error {
	text, err := os.ReadFile(skipsFile)
	if err != nil {
		return err
	}
	var all map[string]map[string]probe.ID
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("%s: %w", skipsFile, err)
	}
	want, known := all[features.target]
	if !known {
		return fmt.Errorf("%s says nothing of %s", skipsFile, features.target)
	}
	selected, err := selection()
	if err != nil {
		return err
	}
	var wrong []string
	for _, test := range slices.Sorted(maps.Keys(features.skips)) {
		if want[test] != features.skips[test] {
			wrong = append(wrong, fmt.Sprintf("%s was skipped for lack of %s", test, features.skips[test]))
		}
	}
	for _, test := range slices.Sorted(maps.Keys(want)) {
		if _, skipped := features.skips[test]; !skipped && selected(test) {
			wrong = append(wrong, test+" was not skipped")
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("on %s, other than %s has it:\n  %s", features.target, skipsFile, strings.Join(wrong, "\n  "))
	}
	return nil
}

// fallbacks are resources of the template that an endpoint may report as made
// although it did not make them. None are.
var fallbacks = []string{}

// checkFallbacks fails for resources of the stack that were not really made:
// LocalStack says so only in the reason.
func checkFallbacks(ctx context.Context) error {
	resources, err := resourcesOf(ctx, stack.name)
	if err != nil {
		return err
	}
	var made []string
	for _, r := range resources {
		if strings.Contains(aws.ToString(r.ResourceStatusReason), "fallback") {
			made = append(made, aws.ToString(r.LogicalResourceId))
		}
	}
	slices.Sort(made)
	if !slices.Equal(made, fallbacks) {
		return fmt.Errorf("deployed as a fallback, which means not at all: %v, want %v", made, fallbacks)
	}
	return nil
}

var skipCall = regexp.MustCompile(`\bt\.Skip(f|Now)?\(`)

// A skip that nothing confirms would hide what an endpoint cannot show.
func TestSkipsAskTheProbe(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(skipCall.FindAll(text, -1)); n != map[string]int{"features_test.go": 1}[file] {
			t.Errorf("%s skips %d times by itself: call needs", file, n)
		}
	}
}
