package rescue

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/spillway-go/spillway/pkg/batch"
)

// Replayable returns the handler of a function that serves a mapping and a
// [Replayer]: live gets what the mapping delivers, replayed what is marked
// with {"Records":[…],"replay":true}. The two differ in
// [batch.Options.Isolate], which replayed should not have: its records are in
// the archive already, and the replay has to see which of them have failed.
func Replayable(live, replayed batch.Handler) batch.Handler {
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		if isReplay(payload) {
			return replayed(ctx, payload)
		}
		return live(ctx, payload)
	}
}

// isReplay reports whether an event carries a replay's mark. Records are not
// decoded for it unless they hold the word.
func isReplay(payload []byte) bool {
	if !bytes.Contains(payload, []byte(`"replay"`)) {
		return false
	}
	var mark struct {
		Replay bool `json:"replay"`
	}
	return json.Unmarshal(payload, &mark) == nil && mark.Replay // live says what is wrong with what is no JSON
}
