package ddbfake

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// view is a table's items in the order of a key: those of the table itself,
// those of a replica that reads may ask, or those of an index.
type view struct {
	index   string // empty: the table
	hash    Key
	rng     Key
	keys    []string // names of the keys of view and table
	project func(Item) Item
	entries []*entry // in order; pointers, which are quick to move

	pending []change // not seen yet, in the order of the writes
	due     map[string]time.Time
}

type entry struct {
	at   place
	item Item
}

// place is where an item lies in a view. A partition is found by its hash, as
// on AWS: a Scan sees partitions in an order that says nothing.
type place struct {
	partition uint64
	hash      string
	rng       string
	id        string // of the item in its table
}

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.partition, other.partition), strings.Compare(p.hash, other.hash), strings.Compare(p.rng, other.rng), strings.Compare(p.id, other.id))
}

// change is a write that a view does not show yet.
type change struct {
	id       string
	old, now Item
	at       time.Time
}

// newView returns the view of an index, or of the table itself.
func newView(s *Spec, x Index) *view {
	v := &view{index: x.Name, hash: x.Hash, rng: x.Range, keys: names(x.Hash, x.Range, s.Hash, s.Range), due: map[string]time.Time{}}
	projected := slices.Concat(v.keys, x.Include)
	if x.Projection != "" && x.Projection != types.ProjectionTypeAll {
		v.project = func(it Item) Item {
			part := Item{}
			for _, name := range projected {
				if value := it[name]; value != nil {
					part[name] = value
				}
			}
			return part
		}
	}
	return v
}

// place returns where an item lies, and whether it lies here at all: an index
// has only items with its keys.
func (v *view) place(id string, it Item) (place, bool) {
	if it == nil || it[v.hash.Name] == nil || v.rng.Name != "" && it[v.rng.Name] == nil {
		return place{}, false
	}
	at := place{hash: expr.Sortable(it[v.hash.Name])}
	at.partition = partitionOf(at.hash)
	if v.rng.Name != "" {
		at.rng = expr.Sortable(it[v.rng.Name])
	}
	if v.index != "" {
		at.id = id
	}
	return at, true
}

func partitionOf(hash string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(hash)) // never fails
	return h.Sum64()
}

// entry is what the view has of an item; nil if it has none of it.
func (v *view) entry(it Item) Item {
	if _, here := v.place("", it); !here {
		return nil
	}
	if v.project != nil {
		return v.project(it)
	}
	return it
}

// keysOf are the keys of view and table in an item.
func (v *view) keysOf(it Item) Item {
	keys := make(Item, len(v.keys))
	for _, name := range v.keys {
		keys[name] = it[name]
	}
	return keys
}

func (v *view) find(at place) (int, bool) {
	return slices.BinarySearchFunc(v.entries, at, func(e *entry, at place) int { return e.at.compare(at) })
}

func (v *view) get(at place) Item {
	if i, found := v.find(at); found {
		return v.entries[i].item
	}
	return nil
}

// show makes a write visible.
func (v *view) show(id string, old, now Item) {
	was, wasHere := v.place(id, old)
	is, isHere := v.place(id, now)
	if wasHere && (!isHere || was != is) {
		if i, found := v.find(was); found {
			v.entries = slices.Delete(v.entries, i, i+1)
		}
	}
	if !isHere {
		return
	}
	e := &entry{is, v.entry(now)}
	if i, found := v.find(is); found {
		v.entries[i] = e
	} else {
		v.entries = slices.Insert(v.entries, i, e)
	}
}

// delay makes a write visible at a time, or later: after earlier writes of the
// same item. Writes of different items may become visible in any order.
func (v *view) delay(c change) {
	if last := v.due[c.id]; c.at.Before(last) {
		c.at = last
	}
	v.due[c.id] = c.at
	v.pending = append(v.pending, c)
}

// settle shows the writes whose time has come.
func (v *view) settle(now time.Time) {
	if len(v.pending) == 0 {
		return
	}
	v.pending = slices.DeleteFunc(v.pending, func(c change) bool {
		if c.at.After(now) {
			return false
		}
		v.show(c.id, c.old, c.now)
		return true
	})
	maps.DeleteFunc(v.due, func(_ string, at time.Time) bool { return !at.After(now) })
}

// walk calls each for the entries of one partition, or of all if hash is nil,
// in order and from behind a place on, until it returns false.
func (v *view) walk(hash *string, after *place, forward bool, each func(Item) bool) {
	first, last := 0, len(v.entries) // [first, last)
	if hash != nil {
		at := place{partition: partitionOf(*hash), hash: *hash}
		first, _ = v.find(at)
		last = first + sort.Search(len(v.entries)-first, func(i int) bool { return v.entries[first+i].at.hash != *hash })
	}
	if after != nil {
		i, found := v.find(*after)
		switch {
		case !forward:
			last = min(last, i)
		case found:
			first = max(first, i+1)
		default:
			first = max(first, i)
		}
	}
	for n := range max(last-first, 0) {
		i := first + n
		if !forward {
			i = last - 1 - n
		}
		if !each(v.entries[i].item) {
			return
		}
	}
}
