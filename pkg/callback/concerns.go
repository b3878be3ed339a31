package callback

import (
	"encoding/json"

	"github.com/spillway-go/spillway/pkg/event"
)

// Concerns reports whether a [Notifier] is to see a record of the stream, as the
// filter of its mapping does: one that leaves a task with a callback URL in a
// state that it ends in. It is true as well for whatever cannot be read, or is
// no change of a task table, so that nothing is lost by asking. It is made for
// rescue.Options.Keep.
func Concerns(rec *event.StreamRecord) bool {
	changes, err := event.DynamoDB([]byte(`{"Records":[` + rec.JSON + `]}`))
	if err != nil || len(changes) != 1 || !hasTaskKey(&changes[0]) {
		return true
	}
	change := &changes[0]
	if change.Kind == event.Remove || change.New == "" {
		return change.Kind != event.Remove
	}
	now, err := rowOf(change.New)
	return err != nil || now != nil && now.CallbackURL != "" && now.Status.Finished()
}

// hasTaskKey reports whether a change is of an item as a task table has them.
func hasTaskKey(change *event.Change) bool {
	var key map[string]json.RawMessage
	return json.Unmarshal([]byte(change.Keys), &key) == nil && len(key) == 1 && key["id"] != nil
}
