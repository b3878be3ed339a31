package workqueue

import (
	"errors"
	"fmt"
)

// ErrNewerVersion is wrapped by the error for a message whose version this
// program does not know yet. It is one of ours: hand it back (see [Copy]), so
// that a deployment can roll.
var ErrNewerVersion = errors.New("the message has a newer version")

// ErrTooManyHops is wrapped by the error of [Copy] for a message that has been
// copied [MaxHops] times. Reject it.
var ErrTooManyHops = errors.New("the message was passed on too often")

// ErrReceiptGone is wrapped by the outcome of a change of visibility whose
// receipt handle no longer holds: the message was deleted, or became visible
// and was received by another worker. Nothing is left to do with it.
var ErrReceiptGone = errors.New("the receipt handle no longer holds")

// ErrNoOutcome is wrapped by the outcome of an entry that the answer to its
// batch names neither as successful nor as failed. It may have taken effect.
var ErrNoOutcome = errors.New("the answer does not name this entry")

// ForeignError says why a message is not one of ours: malformed, or never
// meant for this queue. No retry mends it; see [DeadLetter].
type ForeignError struct {
	Reason string // for people; free of the message's content beyond short names
}

func (e *ForeignError) Error() string { return "not a task message: " + e.Reason }

// EntryError is why SQS refused one entry of a batch.
type EntryError struct {
	Code        string
	Message     string
	SenderFault bool // true: repeating the same entry cannot help, throttling aside
}

func (e *EntryError) Error() string { return fmt.Sprintf("entry refused: %s: %s", e.Code, e.Message) }

// TooLargeError is the outcome of a message that no queue takes.
type TooLargeError struct {
	Size, Limit int // bytes: body and attributes' names, types and values
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the message has %d bytes, at most %d are accepted", e.Size, e.Limit)
}

// InvalidError is the outcome of a message that SQS is sure to refuse. It is
// found before anything is sent, so it never spoils its neighbours' batch.
type InvalidError struct {
	Reason string
}

func (e *InvalidError) Error() string { return "not a valid message: " + e.Reason }
