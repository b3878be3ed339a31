package expr

import (
	"strconv"
	"strings"
)

// Limits of a number: its significant digits, and its magnitude, which is
// between 1E-130 and 9.99…E+125
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html).
const (
	maxDigits   = 38
	maxExponent = 126
	minExponent = -129
)

// number is 0.digits × 10^exponent; digits neither begin nor end with 0. The
// zero value is 0.
type number struct {
	negative bool
	digits   string
	exponent int
}

// parseNumber reads a number and refuses one that DynamoDB does not store.
func parseNumber(text string) number {
	refuse := func() { Fail("The parameter cannot be converted to a numeric value: %s", text) }
	mantissa, exponent := strings.TrimSpace(text), 0
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		e, err := strconv.Atoi(mantissa[i+1:])
		if err != nil || e > 1000 || e < -1000 {
			refuse()
		}
		mantissa, exponent = mantissa[:i], e
	}
	n := number{negative: strings.HasPrefix(mantissa, "-")}
	whole, fraction, _ := strings.Cut(strings.TrimLeft(mantissa, "+-"), ".")
	digits := whole + fraction
	if digits == "" || len(mantissa)-len(strings.TrimLeft(mantissa, "+-")) > 1 || strings.Trim(digits, "0123456789") != "" {
		refuse()
	}
	trimmed := strings.TrimLeft(digits, "0")
	n.exponent = exponent + len(whole) - (len(digits) - len(trimmed))
	n.digits = strings.TrimRight(trimmed, "0")
	switch {
	case n.digits == "":
		return number{}
	case len(n.digits) > maxDigits:
		Fail("Attempting to store more than 38 significant digits in a Number")
	case n.exponent > maxExponent:
		Fail("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case n.exponent < minExponent:
		Fail("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return n
}

// String is the number as DynamoDB returns it: without an exponent, and without
// zeros that say nothing.
func (n number) String() string {
	if n.digits == "" {
		return "0"
	}
	sign := ""
	if n.negative {
		sign = "-"
	}
	switch {
	case n.exponent <= 0:
		return sign + "0." + strings.Repeat("0", -n.exponent) + n.digits
	case n.exponent >= len(n.digits):
		return sign + n.digits + strings.Repeat("0", n.exponent-len(n.digits))
	default:
		return sign + n.digits[:n.exponent] + "." + n.digits[n.exponent:]
	}
}

// sortable is a text that sorts as the number does.
func (n number) sortable() string {
	scale := n.exponent - minExponent
	switch {
	case n.digits == "":
		return "1"
	case !n.negative:
		return "2" + pad(scale) + n.digits
	}
	complement := []byte(n.digits)
	for i, d := range complement {
		complement[i] = '9' - (d - '0')
	}
	return "0" + pad(999-scale) + string(complement) + "~"
}

func pad(n int) string {
	s := strconv.Itoa(n)
	return strings.Repeat("0", 3-len(s)) + s
}
