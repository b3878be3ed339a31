package archivetest

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

// The keys of the table, both of them strings.
const (
	hashKey  = "pk"
	rangeKey = "sk"
)

// Item is a stored item.
type Item = ddbfake.Item

// Key is what an item is found by.
type Key struct{ PK, SK string }

// Spec is a table of this name with the keys pk and sk and a TTL on expires_at,
// as the control table has them.
func Spec(name string) ddbfake.Spec {
	return ddbfake.Spec{Name: name, Hash: ddbfake.Key{Name: hashKey}, Range: ddbfake.Key{Name: rangeKey}, TTL: "expires_at"}
}

// Table is an in-memory DynamoDB with one table, which has the hash key pk and
// the range key sk and answers to every table name. It is as strict as AWS:
// conditions, keys, sizes, batches, transactions and pages have AWS's limits.
// Reads are consistent at once, and nothing fails unless [Table.Inject] makes
// it. Safe for concurrent use.
type Table struct{ *ddbfake.DB }

// NewTable returns an empty table.
func NewTable() *Table {
	db := ddbfake.New(nil)
	db.CreateTable(Spec(""))
	return &Table{db}
}

// Item returns the stored item with this key as it is; nil if there is none.
func (t *Table) Item(pk, sk string) Item { return t.DB.Item("", Key{pk, sk}.item()) }

// Keys are the keys of all items, in order.
func (t *Table) Keys() []Key {
	var all []Key
	for _, it := range t.Items("") {
		all = append(all, keyOf(it))
	}
	slices.SortFunc(all, func(a, b Key) int { return cmp.Or(cmp.Compare(a.PK, b.PK), cmp.Compare(a.SK, b.SK)) })
	return all
}

// Remove removes an item, as TTL does in the end.
func (t *Table) Remove(pk, sk string) { t.DB.Remove("", Key{pk, sk}.item()) }

// Inject calls f before every call and does what it says. f runs without a
// lock: it may use the table itself, and so put something between a decision
// and its write. It must be safe for concurrent use. nil ends it.
func (t *Table) Inject(f func(Call) Fault) {
	if f == nil {
		t.DB.Inject(nil)
		return
	}
	t.DB.Inject(func(c ddbfake.Call) ddbfake.Fault {
		var keys []Key
		for _, key := range c.Keys {
			keys = append(keys, keyOf(key))
		}
		fault := f(Call{Operation: c.Operation, N: c.N, Keys: keys})
		return ddbfake.Fault{Err: fault.Err, AfterEffect: fault.AfterEffect, Unprocessed: fault.Unprocessed, Stale: fault.Stale}
	})
}

func (k Key) item() Item {
	return Item{hashKey: &types.AttributeValueMemberS{Value: k.PK}, rangeKey: &types.AttributeValueMemberS{Value: k.SK}}
}

func keyOf(it Item) Key {
	text := func(name string) string {
		s, _ := it[name].(*types.AttributeValueMemberS) // nil in a broken statement
		if s == nil {
			return ""
		}
		return s.Value
	}
	return Key{text(hashKey), text(rangeKey)}
}
