package task_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/task"
)

func TestTimeRoundTrip(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{time.UTC, time.FixedZone("east", 5*3600+1800), time.FixedZone("west", -9*3600)}
	rapid.Check(t, func(t *rapid.T) {
		// Years 1 to 9998, so that no zone leads out of four digits.
		ms := rapid.Int64Range(-62135596800000, 253370764800000).Draw(t, "ms")
		ns := rapid.IntRange(0, 999_999).Draw(t, "ns")
		in := task.At(time.UnixMilli(ms).Add(time.Duration(ns)).In(rapid.SampledFrom(zones).Draw(t, "zone")))
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) != len(`"2006-01-02T15:04:05.000Z"`) || string(b) != `"`+in.String()+`"` {
			t.Fatalf("%s: one length and UTC are promised", b)
		}
		var out task.Time
		if err := json.Unmarshal(b, &out); err != nil || !out.Equal(in.Time) || out.UnixMilli() != ms {
			t.Fatalf("%s became %s, %v", in, out, err)
		}
		later := task.AtMilli(ms + 1)
		if in.String() >= later.String() {
			t.Fatalf("%s does not sort before %s", in, later)
		}
	})
}

func TestTimeReads(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"2026-01-31T12:00:00Z"`:                "2026-01-31T12:00:00.000Z",
		`"2026-01-31T12:00:00.123456789Z"`:      "2026-01-31T12:00:00.123Z",
		`"2026-01-31T12:00:00.999999999+01:30"`: "2026-01-31T10:30:00.999Z",
	} {
		var got task.Time
		if err := json.Unmarshal([]byte(in), &got); err != nil || got.String() != want {
			t.Errorf("%s = %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{`""`, `"2026-01-31"`, `"2026-01-31T12:00:00"`, `"2026-02-30T12:00:00Z"`, `1769860800`, `{}`, `"soon"`, `true`} {
		var got task.Time
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s = %s, want an error", in, got)
		}
	}
}

func TestTimeOutsideOfRFC3339(t *testing.T) {
	t.Parallel()
	for _, year := range []int{-1, 10000} {
		if b, err := json.Marshal(task.At(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))); err == nil {
			t.Errorf("year %d = %s, want an error", year, b)
		}
	}
}

func TestTaskJSON(t *testing.T) {
	t.Parallel()
	at := task.AtMilli(1767225600123)
	b, err := json.Marshal(task.Task{ID: "a", Type: "x", Status: task.Queued, Tenant: "t", Priority: task.Normal, CreatedAt: at, Deadline: at})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"a","type":"x","status":"queued","tenant":"t","priority":"normal",` +
		`"created_at":"2026-01-01T00:00:00.123Z","deadline":"2026-01-01T00:00:00.123Z","attempts":0}`
	if string(b) != want {
		t.Errorf("what does not apply is absent:\n%s, want\n%s", b, want)
	}
	full := task.Task{
		ID: "a", StartedAt: &at, FinishedAt: &at, Progress: &task.Advance{}, Result: json.RawMessage(`null`),
		Error: &task.Failure{}, CancelRequested: true,
	}
	if b, err = json.Marshal(full); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"started_at"`, `"finished_at"`, `"progress":{"done":0,"total":0}`, `"result":null`, `"retryable":false`, `"cancel_requested":true`} {
		if !strings.Contains(string(b), part) {
			t.Errorf("%s lacks %s", b, part)
		}
	}
}
