package tasktabletest

import (
	"math/big"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type item = map[string]types.AttributeValue

const (
	keyName   = "id"
	shardName = "tenant_shard" // which rows have, and other items have not

	maxItemSize = 400 << 10
)

// keyOf is the key in an item or in a request's Key.
func keyOf(key item) string {
	s, ok := key[keyName].(*types.AttributeValueMemberS)
	if !ok {
		fail("The provided key element does not match the schema")
	}
	if s.Value == "" {
		fail("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", keyName)
	}
	return s.Value
}

// decimal reads a number; not ok for anything else.
func decimal(v types.AttributeValue) (*big.Rat, bool) {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(n.Value)
	if !ok {
		fail("The parameter cannot be converted to a numeric value: %s", n.Value)
	}
	return r, true
}

// sum is a + sign·b.
func sum(a, b types.AttributeValue, sign int64) types.AttributeValue {
	if a == nil || b == nil {
		fail("The provided expression refers to an attribute that does not exist in the item")
	}
	x, ok := decimal(a)
	y, ok2 := decimal(b)
	if !ok || !ok2 {
		fail("An operand in the update expression has an incorrect data type")
	}
	z := x.Add(x, y.Mul(y, big.NewRat(sign, 1)))
	if z.IsInt() {
		return &types.AttributeValueMemberN{Value: z.Num().String()}
	}
	return &types.AttributeValueMemberN{Value: strings.TrimRight(z.FloatString(38), "0")}
}

// holds compares two strings or two numbers. Anything else, and what is not
// there, compares as false.
func holds(op string, a, b types.AttributeValue) bool {
	var c int
	x, ok := decimal(a)
	y, ok2 := decimal(b)
	if ok && ok2 {
		c = x.Cmp(y)
	} else {
		s, ok := a.(*types.AttributeValueMemberS)
		t, ok2 := b.(*types.AttributeValueMemberS)
		if !ok || !ok2 {
			return false
		}
		c = strings.Compare(s.Value, t.Value)
	}
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	default:
		return c == 0
	}
}

// begins reports whether a string begins with another one.
func begins(v, prefix types.AttributeValue) bool {
	s, ok := v.(*types.AttributeValueMemberS)
	p, ok2 := prefix.(*types.AttributeValueMemberS)
	return ok && ok2 && strings.HasPrefix(s.Value, p.Value)
}

// checkSize refuses an item beyond DynamoDB's limit.
func checkSize(it item) {
	total := 0
	for name, v := range it {
		total += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			total += len(v.Value)
		case *types.AttributeValueMemberN:
			total += (len(v.Value)+1)/2 + 1
		case *types.AttributeValueMemberB:
			total += len(v.Value)
		default:
			total++
		}
	}
	if total > maxItemSize {
		fail("Item size has exceeded the maximum allowed size")
	}
}
