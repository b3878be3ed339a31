package probe_test

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/integration/probe"
)

var update = flag.Bool("update", false, "write what is found to testdata, or the tables to docs/targets.md")

// finding is a file in testdata: what a target was found to do.
type finding struct {
	Target  string         `json:"target"`
	Version string         `json:"version"`
	Results []probe.Result `json:"results"`
}

// targets are those with a file, in the order of the tables.
var targets = []string{"ministack", "ministack-auth", "localstack"}

func file(target string) string { return filepath.Join("testdata", target+".json") }

func read(t *testing.T, target string) finding {
	t.Helper()
	text, err := os.ReadFile(file(target))
	if err != nil {
		t.Fatal(err)
	}
	var f finding
	if err := json.Unmarshal(text, &f); err != nil || f.Target != target {
		t.Fatalf("%s is of %q (%v)", file(target), f.Target, err)
	}
	return f
}

// results are all files'.
func results(t *testing.T) (found map[string][]probe.Result, title map[string]string) {
	t.Helper()
	found, title = map[string][]probe.Result{}, map[string]string{}
	for _, target := range targets {
		f := read(t, target)
		found[target] = f.Results
		title[target] = map[string]string{
			"ministack": "MiniStack " + f.Version, "ministack-auth": "MiniStack with AUTH", "localstack": "LocalStack " + f.Version,
		}[target]
	}
	return found, title
}

// Every target was asked for every feature.
func TestFilesAreComplete(t *testing.T) {
	t.Parallel()
	var want []probe.ID
	for _, f := range probe.Features() {
		want = append(want, f.ID)
	}
	found, _ := results(t)
	for target, results := range found {
		var got []probe.ID
		for _, r := range results {
			got = append(got, r.Feature)
			if !slices.Contains([]probe.Verdict{probe.AsOnAWS, probe.Differs, probe.Missing, probe.Unknown}, r.Verdict) {
				t.Errorf("%s: %s is %q", target, r.Feature, r.Verdict)
			}
			if (r.Verdict == probe.AsOnAWS) != (r.Detail == "") {
				t.Errorf("%s: %s is %q, with %q", target, r.Feature, r.Verdict, r.Detail)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the features are\n%v, want\n%v", target, got, want)
		}
	}
}

const document = "../../docs/targets.md"

var region = regexp.MustCompile(`(?s)(<!-- probe: tables -->\n)(.*)(<!-- probe: end -->\n)`)

// The tables in the document are those of the files:
// go test ./integration/probe -args -update
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	parts := region.FindSubmatch(text)
	if parts == nil {
		t.Fatal("no region for the tables")
	}
	found, title := results(t)
	want := "\n" + probe.Markdown(targets, title, found) + "\n"
	if string(parts[2]) == want {
		return
	}
	if !*update {
		t.Fatalf("the tables in %s are not those of testdata: go test ./integration/probe -args -update", document)
	}
	written := region.ReplaceAllFunc(text, func([]byte) []byte { return slices.Concat(parts[1], []byte(want), parts[3]) })
	if err := os.WriteFile(document, written, 0o644); err != nil {
		t.Fatal(err)
	}
}

var nowhere = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|")

// What no target shows is listed, with what is relied on instead.
func TestDocumentListsWhatOnlyAWSShows(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## What only AWS shows\n")
	got := map[string]bool{}
	for _, m := range nowhere.FindAllStringSubmatch(section, -1) {
		got[m[1]] = true
	}
	found, _ := results(t)
	want := map[string]bool{}
	for _, f := range probe.Nowhere(found) {
		want[string(f.ID)] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("listed are\n%v, want\n%v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}
