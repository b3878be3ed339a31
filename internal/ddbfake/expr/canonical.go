package expr

import (
	"bytes"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// maxNesting is how deep a value may lie in maps and lists; one that lies in
// none is on the first level
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
const maxNesting = 32

// CheckNesting refuses an item that is nested too deeply.
func CheckNesting(it Item) {
	for _, v := range it {
		checkNesting(v, 1)
	}
}

func checkNesting(v types.AttributeValue, level int) {
	if level > maxNesting {
		Fail("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")
	}
	switch v := v.(type) {
	case *types.AttributeValueMemberM:
		for _, e := range v.Value {
			checkNesting(e, level+1)
		}
	case *types.AttributeValueMemberL:
		for _, e := range v.Value {
			checkNesting(e, level+1)
		}
	}
}

// Canonical returns a copy of an item, or of a request's values, as DynamoDB
// stores it: numbers without needless zeros, sets in order. It refuses values
// that DynamoDB does not store.
func Canonical(it Item) Item {
	if it == nil {
		return nil
	}
	all := make(Item, len(it))
	for name, v := range it {
		if name == "" {
			Fail("One or more parameter values were invalid: Attribute name must not be empty")
		}
		checkNesting(v, 1)
		all[name] = canonical(v)
	}
	return all
}

// CanonicalValue is [Canonical] for one value.
func CanonicalValue(v types.AttributeValue) types.AttributeValue {
	checkNesting(v, 1)
	return canonical(v)
}

func canonical(v types.AttributeValue) types.AttributeValue {
	switch v := v.(type) {
	case *types.AttributeValueMemberN:
		return &types.AttributeValueMemberN{Value: parseNumber(v.Value).String()}
	case *types.AttributeValueMemberM:
		inner := make(Item, len(v.Value))
		for name, e := range v.Value {
			inner[name] = canonical(e)
		}
		return &types.AttributeValueMemberM{Value: inner}
	case *types.AttributeValueMemberL:
		inner := make([]types.AttributeValue, len(v.Value))
		for i, e := range v.Value {
			inner[i] = canonical(e)
		}
		return &types.AttributeValueMemberL{Value: inner}
	case *types.AttributeValueMemberSS:
		return &types.AttributeValueMemberSS{Value: distinct(slices.Sorted(slices.Values(v.Value)), strings.Compare)}
	case *types.AttributeValueMemberNS:
		all := make([]string, len(v.Value))
		for i, e := range v.Value {
			all[i] = parseNumber(e).String()
		}
		slices.SortFunc(all, func(a, b string) int {
			return strings.Compare(parseNumber(a).sortable(), parseNumber(b).sortable())
		})
		return &types.AttributeValueMemberNS{Value: distinct(all, strings.Compare)}
	case *types.AttributeValueMemberBS:
		return &types.AttributeValueMemberBS{Value: distinct(slices.SortedFunc(slices.Values(v.Value), bytes.Compare), bytes.Compare)}
	case *types.AttributeValueMemberNULL:
		if !v.Value {
			Fail("One or more parameter values were invalid: Null attribute value types must have the value of true")
		}
	case nil:
		Fail("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	return v
}

// distinct refuses a set, in order, that is empty or has an element twice.
func distinct[E any](set []E, compare func(a, b E) int) []E {
	if len(set) == 0 {
		Fail("One or more parameter values were invalid: An set may not be empty")
	}
	for i := range set[1:] {
		if compare(set[i], set[i+1]) == 0 {
			Fail("One or more parameter values were invalid: Input collection contains duplicates")
		}
	}
	return set
}

// Sortable is a text that differs for values that differ, and sorts as the
// values do among those of their type: a string, a number or binary data, as
// keys are. Numbers have to be as DynamoDB stores them.
func Sortable(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberB:
		return string(v.Value)
	case *types.AttributeValueMemberN:
		return parseNumber(v.Value).sortable()
	default:
		Fail("One or more parameter values were invalid: a key is a string, a number or binary data")
		return ""
	}
}
