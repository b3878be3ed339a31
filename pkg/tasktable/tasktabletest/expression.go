package tasktabletest

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// operand reads a value out of an item; nil if it is not there.
type operand func(item) types.AttributeValue

// condition holds or does not hold for an item, which is nil if it is absent.
type condition func(item) bool

// parser turns DynamoDB expressions and PartiQL statements into functions. It
// panics with an invalid, which guard turns into an error.
type parser struct {
	tokens []string
	names  map[string]string      // of #name
	values item                   // of :value
	params []types.AttributeValue // of ?, in order
	sql    bool                   // a PartiQL statement, which writes lists in brackets
	used   map[string]bool
}

// invalid is the message of a ValidationException.
type invalid string

func fail(format string, args ...any) { panic(invalid(fmt.Sprintf(format, args...))) }

// guard makes an error of a panic with an invalid.
func guard(err *error) {
	switch r := recover().(type) {
	case nil:
	case invalid:
		*err = validation(string(r))
	default:
		panic(r)
	}
}

func validation(message string) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: message, Fault: smithy.FaultClient}
}

var tokenForm = regexp.MustCompile(`^\s*("[^"]+"|'(?:[^']|'')*'|[#:]?\w+|<=|>=|<>|[=<>()[\]+\-,?*])`)

func newParser(names map[string]string, values item) *parser {
	return &parser{names: names, values: values, used: map[string]bool{}}
}

// over makes p read another expression.
func (p *parser) over(expression string) *parser {
	p.tokens = tokensOf(expression)
	return p
}

// tokenised are the tokens of the expressions seen so far. Few differ, and
// tests of whole pipelines evaluate them a million times.
var tokenised sync.Map

// tokensOf splits an expression. The tokens must not be changed.
func tokensOf(expression string) []string {
	if known, ok := tokenised.Load(expression); ok {
		return known.([]string) //nolint:errcheck // nothing else is stored
	}
	var tokens []string
	for rest := strings.TrimSpace(expression); rest != ""; {
		found := tokenForm.FindStringSubmatch(rest)
		if found == nil {
			fail("Syntax error at %q", rest)
		}
		tokens = append(tokens, found[1])
		rest = strings.TrimSpace(rest[len(found[0]):])
	}
	tokenised.Store(expression, tokens)
	return tokens
}

// unused refuses names and values that no expression mentions, as AWS does.
func (p *parser) unused() {
	for name := range p.names {
		if !p.used[name] {
			fail("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", name)
		}
	}
	for name := range p.values {
		if !p.used[name] {
			fail("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", name)
		}
	}
	if len(p.params) > 0 {
		fail("Number of parameters in request and statement don't match.")
	}
}

func (p *parser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *parser) take() string {
	t := p.peek()
	if t == "" {
		fail("Syntax error: the expression ends too early")
	}
	p.tokens = p.tokens[1:]
	return t
}

// accept takes the next tokens if they are these words.
func (p *parser) accept(words ...string) bool {
	if len(p.tokens) < len(words) {
		return false
	}
	for i, w := range words {
		if !strings.EqualFold(p.tokens[i], w) {
			return false
		}
	}
	p.tokens = p.tokens[len(words):]
	return true
}

func (p *parser) expect(word string) {
	if !p.accept(word) {
		fail("Syntax error: %q where %q belongs", p.peek(), word)
	}
}

func (p *parser) end() {
	if t := p.peek(); t != "" {
		fail("Syntax error: %q is not understood here", t)
	}
}

// path reads the name of a top-level attribute.
func (p *parser) path() string {
	switch t := p.take(); {
	case strings.HasPrefix(t, "#"):
		name, ok := p.names[t]
		if !ok {
			fail("An expression attribute name used in the document path is not defined; attribute name: %s", t)
		}
		p.used[t] = true
		return name
	case strings.HasPrefix(t, `"`):
		return strings.Trim(t, `"`)
	case strings.Trim(t[:1], "=<>()[]+-,?*:'0123456789") == "":
		fail("Syntax error: %q where an attribute belongs", t)
		return ""
	default:
		return t
	}
}

func constant(v types.AttributeValue) operand { return func(item) types.AttributeValue { return v } }

func (p *parser) operand() operand {
	switch t := p.peek(); {
	case t == "?":
		p.take()
		if len(p.params) == 0 {
			fail("Number of parameters in request and statement don't match.")
		}
		v := p.params[0]
		p.params = p.params[1:]
		return constant(v)
	case strings.HasPrefix(t, ":"):
		p.take()
		v, ok := p.values[t]
		if !ok {
			fail("An expression attribute value used in expression is not defined; attribute value: %s", t)
		}
		p.used[t] = true
		return constant(v)
	case strings.HasPrefix(t, "'"):
		p.take()
		return constant(&types.AttributeValueMemberS{Value: strings.ReplaceAll(t[1:len(t)-1], "''", "'")})
	case t != "" && strings.Trim(t, "0123456789") == "":
		p.take()
		return constant(&types.AttributeValueMemberN{Value: t})
	case p.accept("if_not_exists", "("):
		name := p.path()
		p.expect(",")
		otherwise := p.operand()
		p.expect(")")
		return func(it item) types.AttributeValue {
			if v := it[name]; v != nil {
				return v
			}
			return otherwise(it)
		}
	default:
		name := p.path()
		return func(it item) types.AttributeValue { return it[name] }
	}
}

// value is an operand, or the sum or difference of two.
func (p *parser) value() operand {
	left, sign := p.operand(), int64(1)
	switch {
	case p.accept("+"):
	case p.accept("-"):
		sign = -1
	default:
		return left
	}
	right := p.operand()
	return func(it item) types.AttributeValue { return sum(left(it), right(it), sign) }
}

// condition is everything up to the end: terms joined by AND, which binds
// tighter, and OR.
func (p *parser) condition() condition {
	c := p.disjunction()
	p.end()
	return c
}

func (p *parser) disjunction() condition {
	left := p.conjunction()
	for p.accept("OR") {
		a, b := left, p.conjunction()
		left = func(it item) bool { return a(it) || b(it) }
	}
	return left
}

func (p *parser) conjunction() condition {
	left := p.term()
	for p.accept("AND") {
		a, b := left, p.term()
		left = func(it item) bool { return a(it) && b(it) }
	}
	return left
}

// list reads what follows an IN.
func (p *parser) list() []operand {
	first, last := "(", ")"
	if p.sql {
		first, last = "[", "]"
	}
	p.expect(first)
	choices := []operand{p.operand()}
	for p.accept(",") {
		choices = append(choices, p.operand())
	}
	p.expect(last)
	return choices
}

func (p *parser) term() condition {
	switch {
	case p.accept("("):
		c := p.disjunction()
		p.expect(")")
		return c
	case p.accept("attribute_exists", "("):
		name := p.path()
		p.expect(")")
		return func(it item) bool { return it[name] != nil }
	case p.accept("attribute_not_exists", "("):
		name := p.path()
		p.expect(")")
		return func(it item) bool { return it[name] == nil }
	case p.accept("begins_with", "("):
		name := p.path()
		p.expect(",")
		prefix := p.operand()
		p.expect(")")
		return func(it item) bool { return begins(it[name], prefix(it)) }
	}
	left := p.operand()
	switch {
	case p.accept("IS", "MISSING"):
		return func(it item) bool { return left(it) == nil }
	case p.accept("IN"):
		choices := p.list()
		return func(it item) bool {
			for _, c := range choices {
				if holds("=", left(it), c(it)) {
					return true
				}
			}
			return false
		}
	}
	op := p.take()
	switch op {
	case "=", "<", "<=", ">", ">=":
	default:
		fail("Syntax error: %q where a comparison belongs", op)
	}
	right := p.operand()
	return func(it item) bool { return holds(op, left(it), right(it)) }
}
