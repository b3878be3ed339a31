package asl

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// parser reads JSONata: literals, variables and paths, & = and or, a condition
// with or without an alternative, arrays, objects, calls, and blocks that assign
// variables.
type parser struct {
	tokens []string
	at     int
}

var lexical = regexp.MustCompile(`\s*('[^']*'|"[^"]*"|/(?:[^/\\]|\\.)+/|\$?[A-Za-z_][A-Za-z_0-9]*|\d+(?:\.\d+)?|:=|[-&=?:;,.(){}\[\]])`)

// parseExpression reads one expression.
func parseExpression(source string) (e expression, err error) {
	p := &parser{}
	for rest := strings.TrimSpace(source); rest != ""; {
		m := lexical.FindStringSubmatchIndex(rest)
		if m == nil || m[0] != 0 {
			return nil, fmt.Errorf("jsonata: %q is not known", rest)
		}
		p.tokens = append(p.tokens, rest[m[2]:m[3]])
		rest = strings.TrimSpace(rest[m[1]:])
	}
	defer func() {
		if r := recover(); r != nil {
			if wrong, ok := r.(syntax); ok {
				e, err = nil, fmt.Errorf("jsonata: %s in %q", string(wrong), source)
				return
			}
			panic(r)
		}
	}()
	e = p.condition()
	if p.at < len(p.tokens) {
		p.fail("%q is left over", p.peek())
	}
	return e, nil
}

// syntax is what a parser panics with.
type syntax string

func (p *parser) fail(format string, args ...any) { panic(syntax(fmt.Sprintf(format, args...))) }

func (p *parser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *parser) next() string {
	t := p.peek()
	p.at++
	return t
}

// accept takes the next token if it is this one.
func (p *parser) accept(token string) bool {
	if p.peek() != token {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(token string) {
	if got := p.next(); got != token {
		p.fail("%q for %q", got, token)
	}
}

func (p *parser) condition() expression {
	test := p.binary(0)
	if !p.accept("?") {
		return test
	}
	yes := p.condition()
	no := func(scope) (any, error) { return undefined{}, nil }
	if p.accept(":") {
		no = p.condition()
	}
	return func(s scope) (any, error) {
		v, err := test(s)
		switch {
		case err != nil:
			return nil, err
		case truth(v):
			return yes(s)
		default:
			return no(s)
		}
	}
}

// levels are the binary operators, those that bind least first.
var levels = []map[string]func(a, b any) (any, error){
	{"or": func(a, b any) (any, error) { return truth(a) || truth(b), nil }},
	{"and": func(a, b any) (any, error) { return truth(a) && truth(b), nil }},
	{"=": func(a, b any) (any, error) {
		return a != (undefined{}) && b != (undefined{}) && reflect.DeepEqual(a, b), nil
	}},
	{"&": func(a, b any) (any, error) {
		left, err := text(a)
		if err != nil {
			return nil, err
		}
		right, err := text(b)
		return left + right, err
	}},
}

func (p *parser) binary(level int) expression {
	if level == len(levels) {
		return p.path()
	}
	left := p.binary(level + 1)
	for {
		operator := levels[level][p.peek()]
		if operator == nil {
			return left
		}
		p.next()
		a, b := left, p.binary(level+1)
		left = func(s scope) (any, error) {
			x, err := a(s)
			if err != nil {
				return nil, err
			}
			y, err := b(s)
			if err != nil {
				return nil, err
			}
			return operator(x, y)
		}
	}
}

func (p *parser) path() expression {
	e := p.term()
	for p.accept(".") {
		from, name := e, p.next()
		e = func(s scope) (any, error) {
			v, err := from(s)
			return member(v, name), err
		}
	}
	return e
}

func (p *parser) term() expression {
	t := p.next()
	switch {
	case t == "(":
		return p.block()
	case t == "[":
		return p.array()
	case t == "{":
		return p.object()
	case t == "-":
		return constant(-p.number(p.next()))
	case t == "true", t == "false":
		return constant(t == "true")
	case strings.HasPrefix(t, "'"), strings.HasPrefix(t, `"`):
		return constant(t[1 : len(t)-1])
	case strings.HasPrefix(t, "/"):
		pattern, err := regexp.Compile(t[1 : len(t)-1])
		if err != nil {
			p.fail("%v", err)
		}
		return constant(pattern)
	case strings.HasPrefix(t, "$") && p.peek() == "(":
		return p.call(t[1:])
	case strings.HasPrefix(t, "$"):
		return func(s scope) (any, error) {
			if v, ok := s[t[1:]]; ok {
				return v, nil
			}
			return undefined{}, nil
		}
	default:
		return constant(p.number(t))
	}
}

func (p *parser) number(t string) float64 {
	n, err := strconv.ParseFloat(t, 64)
	if err != nil {
		p.fail("%q is not known", t)
	}
	return n
}

func constant(v any) expression { return func(scope) (any, error) { return v, nil } }

// block is ( $name := value; ... value ).
func (p *parser) block() expression {
	type assignment struct {
		name  string
		value expression
	}
	var all []assignment
	for {
		name := p.peek()
		if strings.HasPrefix(name, "$") && p.at+1 < len(p.tokens) && p.tokens[p.at+1] == ":=" {
			p.at += 2
			all = append(all, assignment{name[1:], p.condition()})
			p.expect(";")
			continue
		}
		last := p.condition()
		p.expect(")")
		return func(s scope) (any, error) {
			own := scope{}
			for name, v := range s {
				own[name] = v
			}
			for _, a := range all {
				v, err := a.value(own)
				if err != nil {
					return nil, err
				}
				own[a.name] = v
			}
			return last(own)
		}
	}
}

// array leaves out what has no value, as JSONata does.
func (p *parser) array() expression {
	items := p.list("]")
	return func(s scope) (any, error) {
		all := []any{}
		for _, item := range items {
			v, err := item(s)
			if err != nil {
				return nil, err
			}
			if v != (undefined{}) {
				all = append(all, v)
			}
		}
		return all, nil
	}
}

// list reads expressions up to a closing token.
func (p *parser) list(end string) (all []expression) {
	for !p.accept(end) {
		if len(all) > 0 {
			p.expect(",")
		}
		all = append(all, p.condition())
	}
	return all
}

func (p *parser) object() expression {
	members := map[string]expression{}
	for !p.accept("}") {
		if len(members) > 0 {
			p.expect(",")
		}
		name := p.next()
		p.expect(":")
		members[strings.Trim(name, `'"`)] = p.condition()
	}
	return func(s scope) (any, error) {
		out := map[string]any{}
		for name, e := range members {
			v, err := e(s)
			if err != nil {
				return nil, err
			}
			if v != (undefined{}) {
				out[name] = v
			}
		}
		return out, nil
	}
}

func (p *parser) call(name string) expression {
	f := functions[name]
	if f == nil {
		p.fail("$%s is not known", name)
	}
	p.expect("(")
	args := p.list(")")
	if len(args) < max(1, minimum[name]) {
		p.fail("$%s has %d arguments", name, len(args))
	}
	return func(s scope) (any, error) {
		values := make([]any, len(args))
		for i, arg := range args {
			var err error
			if values[i], err = arg(s); err != nil {
				return nil, err
			}
		}
		v, err := f(values)
		if err != nil {
			return nil, fmt.Errorf("$%s: %w", name, err)
		}
		return v, nil
	}
}
