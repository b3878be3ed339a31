package archive

import (
	"errors"
	"time"
)

// Conditions that callers meet.
var (
	// ErrNotFound: no such item, or its time is over.
	ErrNotFound = errors.New("no such item")
	// ErrTooLarge: more than an item can hold, without a bucket for it.
	ErrTooLarge = errors.New("too large to archive")
	// ErrNoData: the item is there, but S3 does not have its data, or does not
	// give it: to a role without s3:ListBucket it denies what it does not have.
	ErrNoData = errors.New("its data cannot be read")
)

const (
	// maxData is how much data an item can hold beside its meta; DynamoDB's limit
	// for the item is 400 KB.
	maxData = 390_000
	// maxBatch is the most items of one BatchWriteItem.
	maxBatch = 25
)

// Item is what is kept.
type Item struct {
	Group string
	ID    string
	// Meta says what the data is. It is read by List, and changed by SetMeta.
	Meta map[string]string
	// Data is whatever it is. List leaves it out.
	Data []byte
	// ExpiresAt is when the item may be forgotten, to the second; never when it
	// is zero.
	ExpiresAt time.Time
	// StoredAt is when it was stored, to the millisecond. Set it to store
	// another time than now.
	StoredAt time.Time
	// Size is the length of the data, also when it is left out. It is set by the
	// archive.
	Size int
}

// Options tunes an [Archive]. The zero value is ready to use.
type Options struct {
	// InlineBytes is up to how much data an item holds itself. More goes to S3,
	// which costs a call more, but less for each byte. Defaults to 300 KiB.
	InlineBytes int
	// Prefix begins the key of every object. Defaults to "archive/".
	Prefix string
	// Attempts is how often an entry of a batch is tried that DynamoDB leaves
	// over inside of a success, with a pause of up to 50 ms, doubling. Defaults
	// to 5.
	Attempts int
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.InlineBytes <= 0 {
		d.InlineBytes = 300 << 10
	}
	d.InlineBytes = min(d.InlineBytes, maxData)
	if d.Prefix == "" {
		d.Prefix = "archive/"
	}
	if d.Attempts <= 0 {
		d.Attempts = 5
	}
	return d
}

// Archive keeps items in one table and one bucket.
type Archive struct {
	tables  API
	table   string
	objects ObjectAPI
	bucket  string
	opts    Options
}

// New returns the archive in a table and, for what is too large for it, in a
// bucket. objects may be nil: then there is no bucket, and what an item cannot
// hold is [ErrTooLarge]. Nil opts are defaults.
func New(tables API, table string, objects ObjectAPI, bucket string, opts *Options) *Archive {
	return &Archive{tables: tables, table: table, objects: objects, bucket: bucket, opts: opts.withDefaults()}
}
