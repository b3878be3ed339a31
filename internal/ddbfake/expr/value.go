package expr

import (
	"bytes"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Size counts an item's bytes as DynamoDB does, names included
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).
func Size(it Item) int {
	total := 0
	for name, v := range it {
		total += len(name) + ValueSize(v)
	}
	return total
}

// ValueSize counts a value's bytes.
func ValueSize(v types.AttributeValue) int {
	total := 0
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return numberSize(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberM:
		return 3 + Size(v.Value) + len(v.Value)
	case *types.AttributeValueMemberL:
		for _, e := range v.Value {
			total += ValueSize(e) + 1
		}
		return total + 3
	case *types.AttributeValueMemberSS:
		return len(strings.Join(v.Value, ""))
	case *types.AttributeValueMemberNS:
		for _, e := range v.Value {
			total += numberSize(e)
		}
		return total
	case *types.AttributeValueMemberBS:
		return len(bytes.Join(v.Value, nil))
	default:
		return 1
	}
}

// numberSize counts a number's bytes: one, one for two significant digits
// before and after the point each, and one for a sign. The documentation rounds
// another way; this is what AWS does
// (https://github.com/paritysuite/dynamodb-conformance, tests/tier3/limits/numberByteSize.test.ts).
func numberSize(text string) int {
	n := parseNumber(text)
	whole := min(max(n.exponent, 0), len(n.digits))
	size := 1 + (whole+1)/2 + (len(n.digits)-whole+1)/2
	if n.negative {
		size++
	}
	return size
}

// decimal reads a number; not ok for anything else.
func decimal(v types.AttributeValue) (*big.Rat, bool) {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(n.Value)
	if !ok {
		Fail("The parameter cannot be converted to a numeric value: %s", n.Value)
	}
	return r, true
}

// sum is a + sign·b.
func sum(a, b types.AttributeValue, sign int64) types.AttributeValue {
	if a == nil || b == nil {
		Fail("The provided expression refers to an attribute that does not exist in the item")
	}
	x, ok := decimal(a)
	y, ok2 := decimal(b)
	if !ok || !ok2 {
		Fail("An operand in the update expression has an incorrect data type")
	}
	z := x.Add(x, y.Mul(y, big.NewRat(sign, 1)))
	text := z.Num().String()
	if !z.IsInt() {
		text = z.FloatString(-minExponent + maxDigits)
	}
	return &types.AttributeValueMemberN{Value: parseNumber(text).String()}
}

// added is what ADD makes of old and v: a sum, or a union of sets of strings.
func added(old, v types.AttributeValue) types.AttributeValue {
	switch v := v.(type) {
	case *types.AttributeValueMemberN:
		if old == nil {
			return v
		}
		return sum(old, v, 1)
	case *types.AttributeValueMemberSS:
		if old == nil {
			return v
		}
		s, ok := old.(*types.AttributeValueMemberSS)
		if ok {
			all := slices.Sorted(slices.Values(slices.Concat(s.Value, v.Value)))
			return &types.AttributeValueMemberSS{Value: slices.Compact(all)}
		}
	}
	Fail("Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD")
	return nil
}

func appended(a, b types.AttributeValue) types.AttributeValue {
	x, ok := a.(*types.AttributeValueMemberL)
	y, ok2 := b.(*types.AttributeValueMemberL)
	if !ok || !ok2 {
		Fail("An operand in the update expression has an incorrect data type")
	}
	return &types.AttributeValueMemberL{Value: slices.Concat(x.Value, y.Value)}
}

func sizeOf(v types.AttributeValue) types.AttributeValue {
	var n int
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		n = len(v.Value)
	case *types.AttributeValueMemberB:
		n = len(v.Value)
	case *types.AttributeValueMemberL:
		n = len(v.Value)
	case *types.AttributeValueMemberM:
		n = len(v.Value)
	case *types.AttributeValueMemberSS:
		n = len(v.Value)
	default:
		return nil
	}
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}

// kindOf is a value's type as DynamoDB writes it.
func kindOf(v types.AttributeValue) string {
	name := reflect.TypeOf(v).Elem().Name()
	return strings.TrimPrefix(name, "AttributeValueMember")
}

// compare orders two values; not ok if there is no order between them.
func compare(a, b types.AttributeValue) (c int, ok bool) {
	x, isNumber := decimal(a)
	y, isNumber2 := decimal(b)
	if isNumber && isNumber2 {
		return x.Cmp(y), true
	}
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		if b, ok := b.(*types.AttributeValueMemberS); ok {
			return strings.Compare(a.Value, b.Value), true
		}
	case *types.AttributeValueMemberB:
		if b, ok := b.(*types.AttributeValueMemberB); ok {
			return bytes.Compare(a.Value, b.Value), true
		}
	}
	return 0, false
}

// holds compares two values. What is not there differs from everything, and
// meets no other comparison.
func holds(op string, a, b types.AttributeValue) bool {
	c, ordered := compare(a, b)
	equal := ordered && c == 0 || !ordered && a != nil && b != nil && reflect.DeepEqual(a, b)
	switch op {
	case "=":
		return equal
	case "<>":
		return !equal
	case "<":
		return ordered && c < 0
	case "<=":
		return ordered && c <= 0
	case ">":
		return ordered && c > 0
	default:
		return ordered && c >= 0
	}
}
