package workqueue_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

var update = flag.Bool("update", false, "write the bodies of this version into testdata anew")

// kept are messages whose bodies lie in testdata, one folder for each version:
// what lies there may lie in somebody's queue. The folders of older versions
// are never written again.
func kept() map[string]workqueue.Message {
	first := example()
	first.Run, first.ReplayedAt, first.Replays = 1, time.Time{}, 0
	replayed := example()
	byRef := example()
	byRef.Input, byRef.InputRef = nil, taskID+"#input"
	text := example()
	text.Tenant = `a"b\c<d>`
	text.Input = []byte(`{"text":"é \u2028 < & \ufffe"}`)
	return map[string]workqueue.Message{"first-run": first, "replayed": replayed, "input-elsewhere": byRef, "odd-text": text}
}

func bodyFile(version int, name string) string {
	return filepath.Join("testdata", fmt.Sprintf("v%d", version), name+".json")
}

// A change of the format that shows here needs a new Version: the workers that
// are deployed now could read it wrong.
func TestFormatOfThisVersion(t *testing.T) {
	t.Parallel()
	for name, m := range kept() {
		body := encode(t, m).Body
		if *update {
			if err := os.WriteFile(bodyFile(workqueue.Version, name), []byte(body), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(bodyFile(workqueue.Version, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), body); diff != "" {
			t.Errorf("%s, -want +got:\n%s", name, diff)
		}
	}
}

// A deployment rolls while messages of the version before wait.
func TestUnderstandsTheVersionBefore(t *testing.T) {
	t.Parallel()
	for version := max(workqueue.Version-1, 1); version <= workqueue.Version; version++ {
		for name, want := range kept() {
			body, err := os.ReadFile(bodyFile(version, name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := workqueue.Decode(string(body), encode(t, want).Attributes)
			if err != nil {
				t.Fatalf("%s of version %d: %v", name, version, err)
			}
			want.Version = version
			want.Input, got.Input = nil, nil // its spelling may differ
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s of version %d, -want +got:\n%s", name, version, diff)
			}
		}
	}
}

// What a program makes of every version, now and after the next releases: one
// back is understood, what is newer is left for a newer program.
func TestVersions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		known, version int
		want           string
	}{
		{1, 0, "foreign"},
		{1, 1, "understood"},
		{1, 2, "newer"},
		{1, 1000, "newer"},
		{1, 1001, "foreign"},
		{1, -1, "foreign"},
		{2, 0, "foreign"},
		{2, 1, "understood"},
		{2, 2, "understood"},
		{2, 3, "newer"},
		{3, 1, "foreign"},
		{3, 2, "understood"},
		{3, 3, "understood"},
		{3, 4, "newer"},
	}
	for _, tt := range tests {
		body := strings.Replace(valid, `"v":1`, fmt.Sprintf(`"v":%d`, tt.version), 1)
		m, err := workqueue.DecodeAs(body, tt.known)
		_, foreign := errors.AsType[*workqueue.ForeignError](err)
		got := map[bool]string{true: "foreign"}[foreign]
		switch {
		case errors.Is(err, workqueue.ErrNewerVersion):
			got += "newer"
		case err == nil && m.Version == tt.version && m.TaskID != "":
			got += "understood"
		}
		if got != tt.want {
			t.Errorf("a program of version %d finds a message of version %d %s, want it %s (%v)", tt.known, tt.version, got, tt.want, err)
		}
	}
}

// A newer message is known by its version alone, whatever else has changed.
func TestNewerVersionOfAnyForm(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"v":2}`, `{"v":2,"task_id":7,"run":{},"created_at":0}`, `{"task":{},"v":2}`, `{"v":2,"input":null,"deadline":"soon"}`,
	} {
		if _, err := workqueue.Decode(body, nil); !errors.Is(err, workqueue.ErrNewerVersion) {
			t.Errorf("%s: %v", body, err)
		}
	}
}
