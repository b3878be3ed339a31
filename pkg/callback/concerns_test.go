package callback_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/callback"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// inStream is a change as the stream's record.
func inStream(tb testing.TB, c *event.Change) *event.StreamRecord {
	tb.Helper()
	body := map[string]any{"SequenceNumber": c.SequenceNumber}
	for name, image := range map[string]event.Image{"Keys": c.Keys, "NewImage": c.New, "OldImage": c.Old} {
		if image != "" {
			body[name] = json.RawMessage(image)
		}
	}
	text, err := json.Marshal(map[string]any{"eventSource": "aws:dynamodb", "eventName": c.Kind, "dynamodb": body})
	if err != nil {
		tb.Fatal(err)
	}
	return &event.StreamRecord{Source: "aws:dynamodb", JSON: string(text)}
}

// Whatever is told concerns the notifier, and nothing else does that a mapping
// with the filter leaves out.
func TestConcerns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, status := range ends {
		f.end(f.create(), status)
		f.end(f.create(func(d *tasktable.Draft) { d.CallbackURL = "" }), status)
	}
	f.settle(tasktable.Retry(f.claim(f.create()), unlucky, time.Now()))
	f.create(func(d *tasktable.Draft) { d.Input = text(2000) }) // in an item of its own
	told := 0
	for _, c := range f.stream() {
		before := len(f.deliveries())
		if err := f.Handle(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		tells := len(f.deliveries()) > before
		if callback.Concerns(inStream(t, c)) != tells {
			t.Errorf("told %t: %s", tells, c.New)
		}
		if tells {
			told++
		}
		removed := &event.Change{Kind: event.Remove, Keys: c.Keys, Old: c.New}
		if callback.Concerns(inStream(t, removed)) {
			t.Errorf("removed: %s", c.New)
		}
	}
	if told != len(ends) {
		t.Errorf("%d ends are told", told)
	}
}

// Nothing is left out because it cannot be read.
func TestConcernsInDoubt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.end(f.create(func(d *tasktable.Draft) { d.CallbackURL = "" }), task.Succeeded)
	changes := f.stream()
	last := inStream(t, changes[len(changes)-1])
	if callback.Concerns(last) {
		t.Fatal(last.JSON)
	}
	for name, text := range map[string]string{
		"empty":                "",
		"no JSON":              last.JSON[1:],
		"two records":          last.JSON + "," + last.JSON,
		"of another kind":      strings.Replace(last.JSON, "aws:dynamodb", "aws:kinesis", 1),
		"of another table":     strings.Replace(last.JSON, `"Keys":{"id"`, `"Keys":{"key"`, 1),
		"without keys":         strings.Replace(last.JSON, `"Keys"`, `"keys"`, 1),
		"without images":       strings.Replace(last.JSON, `"NewImage"`, `"newImage"`, 1),
		"a string as a number": strings.Replace(last.JSON, `"run":{"N":"1"}`, `"run":{"N":1}`, 1),
	} {
		if text == last.JSON {
			t.Fatalf("%s: nothing was changed", name)
		}
		if !callback.Concerns(&event.StreamRecord{Source: "aws:dynamodb", JSON: text}) {
			t.Errorf("%s is left out", name)
		}
	}
}
