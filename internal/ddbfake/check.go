package ddbfake

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// Limits of items and keys in bytes
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
const (
	maxItem  = 400 << 10
	maxHash  = 2048
	maxRange = 1024
)

// parser returns a parser of a request's expressions.
func parser(names map[string]string, values Item) *expr.Parser {
	if names != nil && len(names) == 0 {
		expr.Fail("ExpressionAttributeNames must not be empty")
	}
	if values != nil && len(values) == 0 {
		expr.Fail("ExpressionAttributeValues must not be empty")
	}
	return expr.NewParser(names, expr.Canonical(values))
}

// idOf is what an item's key is in maps.
func idOf(t *table, key Item) string {
	hash := expr.Sortable(key[t.Hash.Name])
	if t.Range.Name == "" {
		return hash
	}
	return strconv.Itoa(len(hash)) + ":" + hash + expr.Sortable(key[t.Range.Name])
}

// checkKey returns the canonical form of a request's key, and refuses one that
// is not just the key.
func (t *table) checkKey(key Item) Item {
	key = expr.Canonical(key)
	if len(key) != len(t.keyNames()) {
		expr.Fail("The provided key element does not match the schema")
	}
	for _, k := range []Key{t.Hash, t.Range} {
		if k.Name != "" && kindOf(key[k.Name]) != k.kind() {
			expr.Fail("The provided key element does not match the schema")
		}
	}
	t.checkKeyValues(key)
	return key
}

// checkItem refuses an item that cannot be stored. It has to be canonical.
func (t *table) checkItem(it Item) {
	for _, k := range []Key{t.Hash, t.Range} {
		switch v := it[k.Name]; {
		case k.Name == "":
		case v == nil:
			expr.Fail("One or more parameter values were invalid: Missing the key %s in the item", k.Name)
		case kindOf(v) != k.kind():
			expr.Fail("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", k.Name, k.kind(), kindOf(v))
		}
	}
	t.checkKeyValues(it)
	for _, x := range t.Indexes {
		for i, k := range []Key{x.Hash, x.Range} {
			switch v := it[k.Name]; {
			case v == nil: // the index is sparse
			case kindOf(v) != k.kind():
				expr.Fail("One or more parameter values were invalid: Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", k.Name, k.kind(), kindOf(v), x.Name)
			case expr.ValueSize(v) == 0:
				expr.Fail("One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: %s, IndexKey: %s", x.Name, k.Name)
			default:
				checkKeySize(v, i == 0)
			}
		}
	}
}

// checkSize refuses an item that is too large.
func checkSize(it Item, what string) {
	if expr.Size(it) > maxItem {
		expr.Fail("Item size%s has exceeded the maximum allowed size", what)
	}
}

// checkKeyValues refuses values of the table's keys that are empty or too long.
func (t *table) checkKeyValues(it Item) {
	for i, k := range []Key{t.Hash, t.Range} {
		if k.Name == "" {
			continue
		}
		if expr.ValueSize(it[k.Name]) == 0 {
			expr.Fail("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", k.Name)
		}
		checkKeySize(it[k.Name], i == 0)
	}
}

func checkKeySize(v types.AttributeValue, hash bool) {
	switch n := expr.ValueSize(v); {
	case hash && n > maxHash:
		expr.Fail("One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes")
	case !hash && n > maxRange:
		expr.Fail("One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
	}
}

// kindOf is the type of a value that a key can have; another one is empty.
func kindOf(v types.AttributeValue) types.ScalarAttributeType {
	switch v.(type) {
	case *types.AttributeValueMemberS:
		return types.ScalarAttributeTypeS
	case *types.AttributeValueMemberN:
		return types.ScalarAttributeTypeN
	case *types.AttributeValueMemberB:
		return types.ScalarAttributeTypeB
	default:
		return ""
	}
}
