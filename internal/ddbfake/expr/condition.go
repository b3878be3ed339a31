package expr

import (
	"bytes"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// maxChoices is how many operands IN takes
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
const maxChoices = 100

// operand reads a value out of an item; nil if it is not there.
type operand func(Item) types.AttributeValue

// Condition holds or does not hold for an item, which is nil if it is absent.
type Condition func(Item) bool

// Condition parses a condition or a filter. One that is left out always holds.
func (p *Parser) Condition(expression *string) Condition {
	if expression == nil {
		return func(Item) bool { return true }
	}
	c := p.over("ConditionExpression", *expression).disjunction()
	p.end()
	return c
}

// KeyCondition parses the condition of a Query on a table with these keys: the
// hash key equals a value, which is returned, and the range key may be compared.
// Every value that a key is compared with goes through check.
func (p *Parser) KeyCondition(expression *string, hash, rng string, check func(key string, v types.AttributeValue)) (value types.AttributeValue, where Condition) {
	if expression == nil {
		Fail("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	p.over("KeyConditionExpression", *expression)
	terms := []keyTerm{p.keyTerm()}
	if p.accept("AND") {
		terms = append(terms, p.keyTerm())
	}
	p.end()
	where = func(Item) bool { return true }
	for _, t := range terms {
		switch {
		case t.key == hash && t.op != "=":
			Fail("Query key condition not supported")
		case t.key == hash && value == nil:
			value = t.values[0](nil)
		case t.key != rng || len(terms) == 2 && terms[0].key == terms[1].key:
			Fail("Query condition missed key schema element, or has two conditions on one key: %s", t.key)
		default:
			where = t.holds
		}
		for _, v := range t.values {
			check(t.key, v(nil))
		}
	}
	if value == nil {
		Fail("Query condition missed key schema element: %s", hash)
	}
	return value, where
}

// keyTerm is one comparison in the condition of a Query.
type keyTerm struct {
	key, op string
	values  []operand // what the key is compared with
	holds   Condition
}

func (p *Parser) keyTerm() keyTerm {
	if p.accept("(") {
		defer p.expect(")")
	}
	if p.accept("begins_with", "(") {
		left := p.path()
		p.expect(",")
		prefix := p.operand()
		p.expect(")")
		checkOperand("begins_with", prefix, "S", "B")
		return keyTerm{left[0], "begins_with", []operand{prefix}, func(it Item) bool { return begins(left.in(it), prefix(it)) }}
	}
	left := p.path()
	if p.accept("BETWEEN") {
		low, high, holds := p.between(left.in)
		return keyTerm{left[0], "BETWEEN", []operand{low, high}, holds}
	}
	op := p.comparison()
	if op == "<>" {
		Fail("Unsupported operator on KeyConditionExpression: operator: <>")
	}
	right := p.operand()
	checkOrdered(op, right)
	return keyTerm{left[0], op, []operand{right}, func(it Item) bool { return holds(op, left.in(it), right(it)) }}
}

func (p *Parser) disjunction() Condition {
	left := p.conjunction()
	for p.accept("OR") {
		a, b := left, p.conjunction()
		left = func(it Item) bool { return a(it) || b(it) }
	}
	return left
}

func (p *Parser) conjunction() Condition {
	left := p.negation()
	for p.accept("AND") {
		a, b := left, p.negation()
		left = func(it Item) bool { return a(it) && b(it) }
	}
	return left
}

func (p *Parser) negation() Condition {
	if p.accept("NOT") {
		c := p.negation()
		return func(it Item) bool { return !c(it) }
	}
	return p.term()
}

func (p *Parser) term() Condition {
	switch {
	case p.accept("("):
		c := p.disjunction()
		p.expect(")")
		return c
	case p.accept("attribute_exists", "("):
		at := p.path()
		p.expect(")")
		return func(it Item) bool { return at.in(it) != nil }
	case p.accept("attribute_not_exists", "("):
		at := p.path()
		p.expect(")")
		return func(it Item) bool { return at.in(it) == nil }
	case p.accept("begins_with", "("):
		return p.binary("begins_with", begins)
	case p.accept("contains", "("):
		return p.binary("contains", contains)
	}
	left := p.operand()
	switch {
	case p.accept("BETWEEN"):
		_, _, holds := p.between(left)
		return holds
	case p.sql && p.accept("IS", "MISSING"):
		return func(it Item) bool { return left(it) == nil }
	case p.accept("IN"):
		first, last := "(", ")"
		if p.sql {
			first, last = "[", "]"
		}
		var choices []operand
		p.expect(first)
		p.list(func() { choices = append(choices, p.operand()) })
		p.expect(last)
		if len(choices) > maxChoices {
			Fail("Invalid operand count for operator: IN; operands: %d, at most %d", len(choices), maxChoices)
		}
		return func(it Item) bool {
			for _, c := range choices {
				if holds("=", left(it), c(it)) {
					return true
				}
			}
			return false
		}
	}
	op := p.comparison()
	right := p.operand()
	checkOrdered(op, left, right)
	return func(it Item) bool { return holds(op, left(it), right(it)) }
}

// checkOrdered refuses values between which an operator knows no order.
func checkOrdered(op string, operands ...operand) {
	for _, o := range operands {
		if op != "=" && op != "<>" {
			checkOperand(op, o, "S", "N", "B")
		}
	}
}

// checkOperand refuses a value of a type that an operator or a function does
// not take. What an attribute holds is not known yet, and is not refused later.
func checkOperand(op string, o operand, kinds ...string) {
	if v := o(nil); v != nil && !slices.Contains(kinds, kindOf(v)) {
		Fail("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", op, kindOf(v))
	}
}

// binary reads the two operands of a function.
func (p *Parser) binary(name string, f func(a, b types.AttributeValue) bool) Condition {
	a := p.operand()
	p.expect(",")
	b := p.operand()
	p.expect(")")
	if name == "begins_with" {
		checkOperand(name, a, "S", "B")
		checkOperand(name, b, "S", "B")
	}
	return func(it Item) bool { return f(a(it), b(it)) }
}

// between reads the bounds of a range, of which two values must be in order.
func (p *Parser) between(left operand) (low, high operand, where Condition) {
	low = p.operand()
	p.expect("AND")
	high = p.operand()
	checkOrdered("BETWEEN", low, high)
	if a, b := low(nil), high(nil); holds(">", a, b) {
		Fail("The BETWEEN operator requires upper bound to be greater than or equal to lower bound")
	}
	return low, high, func(it Item) bool { return holds(">=", left(it), low(it)) && holds("<=", left(it), high(it)) }
}

func (p *Parser) comparison() string {
	op := p.take()
	switch op {
	case "=", "<>", "<", "<=", ">", ">=":
	default:
		Fail("Syntax error: %q where a comparison belongs", op)
	}
	return op
}

func (p *Parser) operand() operand {
	switch t := p.peek(); {
	case strings.HasPrefix(t, ":"):
		p.take()
		v, ok := p.values[t]
		if !ok {
			Fail("An expression attribute value used in expression is not defined; attribute value: %s", t)
		}
		p.used[t] = true
		return constant(v)
	case p.sql && (t == "?" || literal(t)):
		return constant(p.given())
	case p.accept("size", "("):
		at := p.path()
		p.expect(")")
		return func(it Item) types.AttributeValue { return sizeOf(at.in(it)) }
	case p.accept("if_not_exists", "("):
		at := p.path()
		p.expect(",")
		otherwise := p.value()
		p.expect(")")
		return func(it Item) types.AttributeValue {
			if v := at.in(it); v != nil {
				return v
			}
			return otherwise(it)
		}
	case p.accept("list_append", "("):
		a := p.operand()
		p.expect(",")
		b := p.operand()
		p.expect(")")
		return func(it Item) types.AttributeValue { return appended(a(it), b(it)) }
	default:
		return p.path().in
	}
}

func constant(v types.AttributeValue) operand { return func(Item) types.AttributeValue { return v } }

func begins(v, prefix types.AttributeValue) bool {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		p, ok := prefix.(*types.AttributeValueMemberS)
		return ok && strings.HasPrefix(v.Value, p.Value)
	case *types.AttributeValueMemberB:
		p, ok := prefix.(*types.AttributeValueMemberB)
		return ok && bytes.HasPrefix(v.Value, p.Value)
	}
	return false
}

func contains(v, part types.AttributeValue) bool {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		p, ok := part.(*types.AttributeValueMemberS)
		return ok && strings.Contains(v.Value, p.Value)
	case *types.AttributeValueMemberSS:
		p, ok := part.(*types.AttributeValueMemberS)
		for i := 0; ok && i < len(v.Value); i++ {
			if v.Value[i] == p.Value {
				return true
			}
		}
	case *types.AttributeValueMemberL:
		for _, e := range v.Value {
			if holds("=", e, part) {
				return true
			}
		}
	}
	return false
}

// Filter parses the filter of a read that knows these keys, which it must not
// mention. One that is left out always holds.
func (p *Parser) Filter(expression *string, keys ...string) Condition {
	if expression == nil {
		return func(Item) bool { return true }
	}
	p.mentioned = nil
	c := p.over("FilterExpression", *expression).disjunction()
	p.end()
	for _, key := range keys {
		if slices.Contains(p.mentioned, key) {
			Fail("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", key)
		}
	}
	return c
}
