package expr_test

import (
	"cmp"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// decimals are numbers as a request may write them.
func decimals() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		digits := rapid.StringMatching(`0{0,3}[0-9]{1,20}`).Draw(t, "digits")
		if rapid.Bool().Draw(t, "fraction") {
			digits += "." + rapid.StringMatching(`[0-9]{0,15}0{0,3}`).Draw(t, "fraction")
		}
		if rapid.Bool().Draw(t, "exponent") {
			digits += fmt.Sprint("E", rapid.IntRange(-90, 90).Draw(t, "exponent"))
		}
		return rapid.SampledFrom([]string{"", "-", "+"}).Draw(t, "sign") + digits
	})
}

func stored(text string) (types.AttributeValue, *big.Rat) {
	v := expr.CanonicalValue(num(text))
	r, _ := new(big.Rat).SetString(v.(*types.AttributeValueMemberN).Value)
	return v, r
}

// A stored number is the number that was written, without needless zeros, and
// as a key it sorts as a number.
func TestStoredNumbers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		texts := []string{decimals().Draw(t, "a"), decimals().Draw(t, "b")}
		var keys [2]string
		var rats [2]*big.Rat
		for i, text := range texts {
			v, got := stored(text)
			want, _ := new(big.Rat).SetString(text)
			if got.Cmp(want) != 0 {
				t.Fatalf("%s is stored as %s", text, got)
			}
			plain := v.(*types.AttributeValueMemberN).Value
			if strings.ContainsAny(plain, "eE+") || strings.Contains(plain, ".") && strings.HasSuffix(plain, "0") || len(plain) > 1 && plain[0] == '0' && plain[1] != '.' {
				t.Fatalf("%s is stored as %s", text, plain)
			}
			keys[i], rats[i] = expr.Sortable(v), got
		}
		if strings.Compare(keys[0], keys[1]) != rats[0].Cmp(rats[1]) {
			t.Fatalf("%s and %s compare as %d, want %d", texts[0], texts[1], cmp.Compare(keys[0], keys[1]), rats[0].Cmp(rats[1]))
		}
	})
}

// Sizes as AWS counts them
// (https://github.com/paritysuite/dynamodb-conformance, tests/tier3/limits/numberByteSize.test.ts,
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).
func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"0": 1, "1": 2, "-1": 3, "1E125": 2, "123456": 4, "3.14159": 5, "1000": 2, "0.5": 2, "-12.5": 4} {
		if got := expr.ValueSize(num(text)); got != want {
			t.Errorf("%s has %d bytes, want %d", text, got, want)
		}
	}
	for _, tt := range []struct {
		v    types.AttributeValue
		want int
	}{
		{str("é"), 2},
		{&types.AttributeValueMemberNULL{Value: true}, 1},
		{&types.AttributeValueMemberBOOL{}, 1},
		{list(), 3},
		{list(str("ab"), num("1")), 3 + 3 + 3},
		{set("a", "bc"), 3},
		{&types.AttributeValueMemberNS{Value: []string{"1", "-1"}}, 5},
		{&types.AttributeValueMemberBS{Value: [][]byte{{1}, {2, 3}}}, 3},
		{&types.AttributeValueMemberM{Value: expr.Item{"name": str("ab")}}, 3 + 4 + 2 + 1},
	} {
		if got := expr.ValueSize(tt.v); got != tt.want {
			t.Errorf("%v has %d bytes, want %d", tt.v, got, tt.want)
		}
	}
}
