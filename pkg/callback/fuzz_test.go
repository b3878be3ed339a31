package callback_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
)

// FuzzHandle hands in images that no table has written. Whatever is told is a
// delivery that the worker takes, and told once; whatever is not says so in
// words that hold no URL.
func FuzzHandle(f *testing.F) {
	fix := newFixture(f)
	for _, status := range ends {
		fix.end(fix.create(), status)
	}
	for _, c := range fix.stream() {
		f.Add(string(c.Kind), string(c.Old), string(c.New))
		f.Add(string(c.Kind), "", string(c.New))
	}
	f.Add("REMOVE", "{}", "")
	f.Add("MODIFY", "{", `{"id":{"S":"a"}}`)
	f.Add("MODIFY", "", `{"id":{"S":"a"},"run":{"N":"1e400"},"status":{"S":"failed"},"callback_url":{"S":"https://s3cr3t.example"},"finished_at":{"N":"-1"}}`)
	f.Add("MODIFY", "", `{"id":{"S":"a"},"run":{"N":"1"},"status":{"S":"failed"},"callback_url":{"S":"https://s3cr3t.example"},"finished_at":{"N":"9223372036854775807"}}`)
	f.Fuzz(func(t *testing.T, kind, before, now string) {
		fix := newFixture(t)
		change := &event.Change{Kind: event.ChangeKind(kind), Old: event.Image(before), New: event.Image(now)}
		err := fix.Handle(t.Context(), change)
		again := fix.Handle(t.Context(), change)
		if err != nil {
			if !task.IsPermanent(err) || (again == nil) || strings.Contains(err.Error(), "s3cr3t") || len(fix.queue.sent) > 0 {
				t.Fatalf("%v, then %v, %d messages", err, again, len(fix.queue.sent))
			}
			return
		}
		all := fix.deliveries()
		if again != nil || len(all) > 1 {
			t.Fatalf("then %v, %d deliveries", again, len(all))
		}
		if len(all) == 0 {
			return
		}
		input, err := json.Marshal(all[0].input)
		if err != nil || len(input) > 6*intake.MaxInput || all[0].input.Validate() != nil || !strings.Contains(now, "callback_url") {
			t.Fatalf("told %s (%v)", input, err)
		}
	})
}
