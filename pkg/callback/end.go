package callback

import (
	"errors"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// endOf returns the row as a change left it if the change is an end that
// somebody is to be told of, else nil.
func endOf(change *event.Change) (*tasktable.Row, error) {
	if change.Kind == event.Remove { // by TTL or by hand: no state that a task ends in
		return nil, nil
	}
	now, err := rowOf(change.New)
	if err != nil || now == nil || now.CallbackURL == "" || !now.Status.Finished() {
		return nil, err
	}
	before, err := rowOf(change.Old)
	if err != nil {
		return nil, err
	}
	if before != nil && before.Status == now.Status && before.Run == now.Run {
		return nil, nil // it had ended this way before
	}
	return now, nil
}

// rowOf reads an image; nil if it is not a task's.
func rowOf(image event.Image) (*tasktable.Row, error) {
	row, err := tasktable.FromImage(image)
	if errors.Is(err, tasktable.ErrNotFound) {
		return nil, nil
	}
	return row, err
}
