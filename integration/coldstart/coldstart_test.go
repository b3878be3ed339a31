//go:build integration

package coldstart

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/localaws"
)

const (
	// maxZip is the bound for what is uploaded for a function, in bytes, and
	// maxZipAside that for one that has more of the SDK's clients and that no task
	// waits for. It is for x86-64; zips for arm64 are a tenth smaller.
	maxZip      = 4_000_000
	maxZipAside = 5_000_000
	// maxResident is the bound for a function's memory after
	// [warmInvocations], in bytes, and maxResidentAside that for one with more
	// clients.
	maxResident      = 20 << 20
	maxResidentAside = 24 << 20
	warmInvocations  = 1000
	// maxOverBare is how much later than bare a function may answer its first
	// invocation. The goal is 10 ms on an idle machine, which the table shows;
	// this bound only notices a disaster on a busy one.
	maxOverBare = 250 * time.Millisecond
)

func TestZip(t *testing.T) {
	for _, f := range functions {
		size := zipped(t, binary(t, f.name))
		t.Logf("%-8s%9d bytes", f.name, size)
		bound := int64(maxZip)
		if f.aside {
			bound = maxZipAside
		}
		if size > bound {
			t.Errorf("the zip of %s has %d bytes, more than %d", f.name, size, bound)
		}
	}
}

// What is measured is what `make build` and `make deploy` build.
func TestBuildFlags(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "\nFUNCTION_BUILD := CGO_ENABLED=0 GOFLAGS='" + localaws.BuildFlags + "'\n"; !strings.Contains(string(makefile), want) {
		t.Errorf("the Makefile has no line %q", strings.TrimSpace(want))
	}
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// zipped returns how big a zip is that holds file as bootstrap.
func zipped(tb testing.TB, file string) int64 {
	tb.Helper()
	in, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer in.Close()
	var size counter
	archive := zip.NewWriter(&size)
	out, err := archive.Create("bootstrap")
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		tb.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		tb.Fatal(err)
	}
	return int64(size)
}

// A warm invocation makes the calls that the protocol needs, each once, and
// memory stays small.
func TestWarm(t *testing.T) {
	for _, f := range append(slices.Clone(functions), fullBatch) {
		t.Run(strings.TrimSpace(f.name+" "+f.load), func(t *testing.T) {
			s := newStage(t, f)
			p := start(t, binary(t, f.name), s.env)
			invoke := func(n int) (calls map[string]int) {
				t.Helper()
				for range n {
					a, err := p.invoke(t.Context(), f.event(s))
					if err != nil || !strings.Contains(a.body, f.want) {
						t.Fatalf("response %s, %v, want %s", a.body, err, f.want)
					}
				}
				calls, wrong := s.count()
				if len(wrong) > 0 {
					t.Errorf("%d of these, first: %s", len(wrong), wrong[0])
				}
				return calls
			}
			want := map[string]int{}
			for operation, n := range f.calls {
				want[operation] += n
			}
			for operation, n := range f.cold {
				want[operation] += n
			}
			if diff := cmp.Diff(invoke(1), want); diff != "" {
				t.Errorf("calls of the first invocation (-got +want):\n%s", diff)
			}
			want = map[string]int{}
			for operation, n := range f.calls {
				want[operation] = n * (warmInvocations - 1)
			}
			if diff := cmp.Diff(invoke(warmInvocations-1), want); diff != "" {
				t.Errorf("calls of the others (-got +want):\n%s", diff)
			}
			size, ok := p.resident()
			if !ok {
				t.Log("resident memory is not known: no /proc on this system")
				return
			}
			t.Logf("%.1f MiB resident after %d invocations", float64(size)/(1<<20), warmInvocations)
			bound := int64(maxResident)
			if f.aside {
				bound = maxResidentAside
			}
			if size > bound {
				t.Errorf("%d bytes resident after %d invocations, more than %d", size, warmInvocations, bound)
			}
		})
	}
}

// sample is one cold start.
type sample struct {
	wall time.Duration // from just before exec to the first response
	cpu  time.Duration // of the process until then, user and system
}

// TestColdStart prints what a cold start takes beside bare's: medians of
// alternating runs, SPILLWAY_COLDSTARTS of each (5).
func TestColdStart(t *testing.T) {
	rounds := 5
	if text := os.Getenv("SPILLWAY_COLDSTARTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("SPILLWAY_COLDSTARTS is %q, not a number of runs", text)
		}
		rounds = n
	}
	all := append([]function{bare}, functions...)
	stages, samples := map[string]*stage{}, map[string][]sample{}
	for _, f := range all {
		stages[f.name] = newStage(t, f)
	}
	for range rounds {
		for _, f := range all {
			samples[f.name] = append(samples[f.name], coldStart(t, f, stages[f.name]))
		}
	}

	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "function\tzip MB\tfirst response ms\tover bare ms\tCPU ms\t")
	least := median(samples[bare.name], func(s sample) time.Duration { return s.wall })
	for _, f := range all {
		wall := median(samples[f.name], func(s sample) time.Duration { return s.wall })
		cpu := median(samples[f.name], func(s sample) time.Duration { return s.cpu })
		zip := float64(zipped(t, binary(t, f.name))) / 1e6
		fmt.Fprintf(w, "%s\t%.2f\t%.1f\t%.1f\t%.1f\t\n", f.name, zip, ms(wall), ms(wall-least), ms(cpu))
		if wall-least > maxOverBare {
			t.Errorf("%s answers %s after bare does", f.name, wall-least)
		}
	}
	_ = w.Flush() // a Builder takes everything
	t.Logf("medians of %d cold starts each:\n%s", rounds, table.String())
}

// bare is the function that the others are compared with.
var bare = function{name: "bare", event: func(*stage) []byte { return []byte("{}") }, want: `"ok"`}

// coldStart starts a function, waits for its first response and ends it.
func coldStart(t *testing.T, f function, s *stage) sample {
	t.Helper()
	event := f.event(s)
	p := start(t, binary(t, f.name), s.env)
	a, err := p.invoke(t.Context(), event)
	if err != nil || !strings.Contains(a.body, f.want) {
		t.Fatalf("response %s, %v, want %s", a.body, err, f.want)
	}
	p.kill()
	usage := p.cmd.ProcessState
	return sample{wall: a.at.Sub(p.started), cpu: usage.UserTime() + usage.SystemTime()}
}

func median(samples []sample, of func(sample) time.Duration) time.Duration {
	var all []time.Duration
	for _, s := range samples {
		all = append(all, of(s))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
