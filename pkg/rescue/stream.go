package rescue

import (
	"context"
	"errors"

	"github.com/spillway-go/spillway/pkg/event"
)

// Conditions of streams, which the SDKs name differently.
var (
	// ErrTrimmed: the stream does not have what was asked for, most likely
	// because it has dropped it.
	ErrTrimmed = errors.New("the stream does not have it any more")
	// ErrGone: there is no such stream or shard any more.
	ErrGone = errors.New("the stream or the shard is gone")
	// ErrIterator: the iterator is too old to be used.
	ErrIterator = errors.New("the iterator has expired")
)

// Stream reads a kind of streams again. [DynamoDB] and [Kinesis] make one.
type Stream interface {
	// Source is the eventSource of the records, such as aws:dynamodb.
	Source() string
	// Iterator returns an iterator over a range's shard: from the record with
	// this sequence number on, from behind it, or from the oldest one that there
	// still is. The error wraps ErrTrimmed or ErrGone if that is what it means.
	Iterator(ctx context.Context, r *Range, from From, sequence string) (string, error)
	// Read returns the next records of the range's shard. The error wraps
	// ErrTrimmed, ErrGone or ErrIterator if that is what it means.
	Read(ctx context.Context, r *Range, iterator string) (Page, error)
}

// From is where an iterator begins.
type From int

// Where an iterator can begin.
const (
	At     From = iota // at a sequence number
	After              // behind a sequence number
	Oldest             // at the oldest record that the stream still has
)

// Page is what one call reads.
type Page struct {
	// Records are as Lambda would have delivered them, in their order.
	Records []event.StreamRecord
	// Next continues; empty at the end of a closed shard.
	Next string
	// Newest says that there is nothing behind this page yet.
	Newest bool
}
