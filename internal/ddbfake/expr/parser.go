package expr

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// Item is an item, or the attributes of a map.
type Item = map[string]types.AttributeValue

// invalid is the message of a ValidationException.
type invalid string

// Fail panics with what becomes a ValidationException, see [Guard].
func Fail(format string, args ...any) { panic(invalid(fmt.Sprintf(format, args...))) }

// Guard makes an error of what [Fail] panicked with. Defer it.
func Guard(err *error) {
	switch r := recover().(type) {
	case nil:
	case invalid:
		*err = &smithy.GenericAPIError{Code: "ValidationException", Message: string(r), Fault: smithy.FaultClient}
	default:
		panic(r)
	}
}

// Parser turns the expressions of one request into functions.
type Parser struct {
	tokens []string
	names  map[string]string // of #name
	values Item              // of :value
	used   map[string]bool
	// mentioned are the attributes that the expression names, without what
	// lies in them.
	mentioned []string

	sql    bool                   // a PartiQL statement: its names are quoted, and its lists in brackets
	params []types.AttributeValue // of ?, in order
}

// Limits of names and values in bytes: of #name and :value themselves, and of
// all that they stand for
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
const (
	maxVariable  = 255
	maxVariables = 2 << 20
)

// NewParser returns a parser that knows a request's names and values.
func NewParser(names map[string]string, values Item) *Parser {
	total := Size(values)
	for name, v := range names {
		checkVariable("ExpressionAttributeNames", name, '#')
		total += len(name) + len(v)
	}
	for name := range values {
		checkVariable("ExpressionAttributeValues", name, ':')
	}
	if total > maxVariables {
		Fail("Expression attribute names and values have exceeded the maximum allowed size of 2 MB")
	}
	return &Parser{names: names, values: values, used: map[string]bool{}}
}

func checkVariable(parameter, name string, first byte) {
	if len(name) < 2 || len(name) > maxVariable || name[0] != first || strings.Trim(strings.ToLower(name[1:]), "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		Fail("%s contains invalid key: Syntax error; key: %q", parameter, name)
	}
}

var tokenForm = regexp.MustCompile(`^\s*("[^"]+"|'(?:[^']|'')*'|[#:]?\w+|<=|>=|<>|[=<>()[\]+\-,.?*])`)

// maxExpression is the longest expression in bytes
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
const maxExpression = 4 << 10

// over makes p read another expression, which is given in a parameter.
func (p *Parser) over(parameter, expression string) *Parser {
	if n := len(expression); n > maxExpression && !p.sql {
		Fail("Invalid %s: Expression size has exceeded the maximum allowed size; expression size: %d", parameter, n)
	}
	p.tokens = tokensOf(expression)
	if len(p.tokens) == 0 {
		Fail("Invalid %s: The expression can not be empty;", parameter)
	}
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
			Fail("Syntax error at %q", rest)
		}
		tokens = append(tokens, found[1])
		rest = strings.TrimSpace(rest[len(found[0]):])
	}
	tokenised.Store(expression, tokens)
	return tokens
}

// Unused refuses names and values that no expression mentions, as AWS does.
func (p *Parser) Unused() {
	for name := range p.names {
		if !p.used[name] {
			Fail("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", name)
		}
	}
	for name := range p.values {
		if !p.used[name] {
			Fail("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", name)
		}
	}
	if len(p.params) > 0 {
		Fail("Number of parameters in request and statement don't match.")
	}
}

func (p *Parser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *Parser) take() string {
	t := p.peek()
	if t == "" {
		Fail("Syntax error: the expression ends too early")
	}
	p.tokens = p.tokens[1:]
	return t
}

// accept takes the next tokens if they are these words.
func (p *Parser) accept(words ...string) bool {
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

func (p *Parser) expect(word string) {
	if !p.accept(word) {
		Fail("Syntax error: %q where %q belongs", p.peek(), word)
	}
}

func (p *Parser) end() {
	if t := p.peek(); t != "" {
		Fail("Syntax error: %q is not understood here", t)
	}
}

// list reads what one reads, and more of it behind commas.
func (p *Parser) list(one func()) {
	for one(); p.accept(","); {
		one()
	}
}

// path reads the place of an attribute: names with dots between them.
func (p *Parser) path() path {
	names := path{p.name()}
	p.mentioned = append(p.mentioned, names[0])
	for p.accept(".") {
		names = append(names, p.name())
	}
	return names
}

func (p *Parser) name() string {
	switch t := p.take(); {
	case strings.HasPrefix(t, "#"):
		name, ok := p.names[t]
		if !ok {
			Fail("An expression attribute name used in the document path is not defined; attribute name: %s", t)
		}
		p.used[t] = true
		return name
	case p.sql && t[0] == '"':
		return strings.Trim(t, `"`)
	case strings.Trim(t[:1], `=<>()[]+-,.:?*"'0123456789`) == "":
		Fail("Syntax error: %q where an attribute belongs", t)
	case !p.sql && reserved[strings.ToUpper(t)]:
		Fail("Attribute name is a reserved keyword; reserved keyword: %s", t)
	default:
		return t
	}
	return ""
}
