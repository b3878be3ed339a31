package ddbfake

import (
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// Item is a stored item, or a key. Items that a [DB] returns share their values
// with it, which must not be changed.
type Item = expr.Item

// Options tunes a [DB]. The zero value is ready to use: nothing lags, and
// nothing fails at random.
type Options struct {
	// Seed of what happens at random. The same calls at the same times meet the
	// same accidents.
	Seed uint64
	// Lag is how late an index, and a read that is not strongly consistent,
	// may see a write: each sees it after a random part of Lag, and the writes
	// of one item in their order. On AWS that is usually less than a second.
	Lag time.Duration
	// FreshReads keeps Lag from reads of tables: only indexes lag.
	FreshReads bool
	// Throttles is the rate of requests, and of entries of batches and
	// transactions, that are throttled.
	Throttles float64
	// Conflicts is the rate of transactions, and of other writes of items that
	// were written by transactions, which meet another transaction.
	Conflicts float64
	// Unprocessed is the rate of entries that a BatchGetItem or BatchWriteItem
	// leaves over.
	Unprocessed float64
	// PartitionLimits throttles what exceeds 1,000 write units or 3,000 read
	// units a second with one hash key, in a table or an index.
	PartitionLimits bool
}

// AsOnAWS returns the options that leave out nothing that DynamoDB may do:
// indexes and reads lag by up to a second, one request in a hundred is
// throttled, one transaction in fifty meets another one, and one entry of a
// batch in fifty is left over.
func AsOnAWS(seed uint64) Options {
	return Options{Seed: seed, Lag: time.Second, Throttles: 0.01, Conflicts: 0.02, Unprocessed: 0.02, PartitionLimits: true}
}

// DB is a DynamoDB in memory. Safe for concurrent use.
type DB struct {
	mu     sync.Mutex
	opts   Options
	random *rand.Rand
	tables map[string]*table
	tokens map[string]token // of transactions
	calls  map[string]int
	inject func(Call) Fault
	watch  func(Change)
}

// table is one table. The fields are guarded by the lock of the DB.
type table struct {
	Spec

	name    string
	main    *view
	replica *view   // what reads that are not strongly consistent may see; nil if nothing lags
	indexes []*view // of which each lags behind main
	stream  *stream // nil: none
	mixed   map[string]bool
	units   map[string]Units // by index
	buckets map[string]*bucket
}

// New returns a DB without tables. Nil opts are defaults.
func New(opts *Options) *DB {
	d := &DB{tables: map[string]*table{}, tokens: map[string]token{}, calls: map[string]int{}}
	if opts != nil {
		d.opts = *opts
	}
	d.random = rand.New(rand.NewPCG(d.opts.Seed, d.opts.Seed))
	return d
}

// CreateTable adds an empty table, in place of one that has the same name.
func (d *DB) CreateTable(s Spec) {
	t := &table{Spec: s, name: s.Name, mixed: map[string]bool{}, units: map[string]Units{}, buckets: map[string]*bucket{}}
	all := Index{Hash: s.Hash, Range: s.Range}
	t.main = newView(&s, all)
	if d.opts.Lag > 0 && !d.opts.FreshReads {
		t.replica = newView(&s, all)
	}
	for _, x := range s.Indexes {
		t.indexes = append(t.indexes, newView(&s, x))
	}
	if s.Stream != "" {
		t.stream = newStream(s.Name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tables[s.Name] = t
}

// table finds a table by its name or ARN; mu must not be held.
func (d *DB) table(name *string) *table {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tables[aws.ToString(name)]
	if t == nil {
		t = d.tables[""]
	}
	switch {
	case t == nil && aws.ToString(name) == "":
		expr.Fail("Value null at 'tableName' failed to satisfy constraint: Member must not be null")
	case t == nil:
		panic(refusal{&types.ResourceNotFoundException{Message: aws.String("Requested resource not found")}})
	}
	return t
}

// refusal is an error that a call panics with, see guard.
type refusal struct{ err error }

// guard makes an error of what a call panicked with. Defer it.
func guard(err *error) {
	switch r := recover().(type) {
	case nil:
	case refusal:
		*err = r.err
	default:
		func() {
			defer expr.Guard(err)
			panic(r)
		}()
	}
}

// attempt calls f and returns what it panicked with as an error.
func attempt(f func()) (err error) {
	defer guard(&err)
	f()
	return nil
}

// Item returns the stored item with this key as it is; nil if there is none.
func (d *DB) Item(table string, key Item) Item {
	t := d.table(&table)
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(t.item(key))
}

// item is [DB.Item]; mu must be held.
func (t *table) item(key Item) Item {
	at, _ := t.main.place("", expr.Canonical(key))
	return t.main.get(at)
}

// Items returns all items of a table, in the order of a Scan.
func (d *DB) Items(table string) []Item {
	t := d.table(&table)
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]Item, len(t.main.entries))
	for i, e := range t.main.entries {
		all[i] = maps.Clone(e.item)
	}
	return all
}

// Change is a write as [DB.Watch] tells of it.
type Change struct {
	Table    string
	Old, New Item // nil: there is none
	// Item reads another item of the table, as it is at this moment.
	Item func(key Item) Item
}

// Watch calls f with every write from now on, after it and before the next
// one. f must not use the DB. nil ends it.
func (d *DB) Watch(f func(Change)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch = f
}

// commit stores an item, or removes it if now is nil, and passes it on to
// indexes, stream and watcher. mu must be held.
func (d *DB) commit(t *table, id string, old, now Item, by *streams.Identity) {
	t.main.show(id, old, now)
	behind := t.indexes
	if t.replica != nil {
		behind = append(behind[:len(behind):len(behind)], t.replica)
	}
	for _, v := range behind {
		if d.opts.Lag <= 0 {
			v.show(id, old, now)
			continue
		}
		v.delay(change{id, old, now, time.Now().Add(time.Duration(d.random.Int64N(int64(d.opts.Lag) + 1)))})
	}
	if t.stream != nil {
		t.stream.add(t, old, now, by)
	}
	if d.watch != nil {
		d.watch(Change{Table: t.name, Old: old, New: now, Item: t.item})
	}
}

// chance reports whether something that happens at a rate happens now. mu must
// be held.
func (d *DB) chance(rate float64) bool { return rate > 0 && d.random.Float64() < rate }

// View calls f, which may read a table's items as they are at one moment. f
// must not use the DB otherwise.
func (d *DB) View(table string, f func(read func(key Item) Item)) {
	t := d.table(&table)
	d.mu.Lock()
	defer d.mu.Unlock()
	f(func(key Item) Item { return maps.Clone(t.item(key)) })
}
