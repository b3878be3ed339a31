package expr

import (
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Update is what an update expression does to an item.
type Update struct {
	set, add []assignment
	remove   []path
	paths    []path
}

type assignment struct {
	at    path
	value operand
}

// Update parses an update expression of a table with these keys. One that is
// left out changes nothing.
func (p *Parser) Update(expression *string, keys ...string) *Update {
	u := &Update{}
	if expression == nil {
		return u
	}
	p.over("UpdateExpression", *expression)
	seen := map[string]bool{}
	for p.peek() != "" {
		clause := strings.ToUpper(p.take())
		if seen[clause] {
			Fail("The %q section can only be used once in an update expression", clause)
		}
		seen[clause] = true
		switch clause {
		case "SET":
			p.list(func() { p.assignment(u, keys...) })
		case "ADD":
			p.list(func() {
				at := u.change(p.path(), keys)
				u.add = append(u.add, assignment{at, p.operand()})
			})
		case "REMOVE":
			p.list(func() { p.removal(u, keys...) })
		default:
			Fail("Syntax error: %q where SET, ADD or REMOVE belongs", clause)
		}
	}
	return u
}

// assignment reads "place = value".
func (p *Parser) assignment(u *Update, keys ...string) {
	at := u.change(p.path(), keys)
	p.expect("=")
	u.set = append(u.set, assignment{at, p.value()})
}

// removal reads the place of what is to be removed.
func (p *Parser) removal(u *Update, keys ...string) {
	u.remove = append(u.remove, u.change(p.path(), keys))
}

// change refuses a second change of one place, and any of a key.
func (u *Update) change(at path, keys []string) path {
	for _, key := range keys {
		if at[0] == key {
			Fail("Cannot update attribute %s. This attribute is part of the key", key)
		}
	}
	for _, other := range u.paths {
		if at.overlaps(other) {
			Fail("Two document paths overlap with each other; must remove or rewrite one of these paths; path: %v", at)
		}
	}
	u.paths = append(u.paths, at)
	return at
}

// value is an operand, or the sum or difference of two.
func (p *Parser) value() operand {
	left, sign := p.operand(), int64(1)
	switch {
	case p.accept("+"):
	case p.accept("-"):
		sign = -1
	default:
		return left
	}
	right := p.operand()
	return func(it Item) types.AttributeValue { return sum(left(it), right(it), sign) }
}

// Apply returns the item as the update leaves it; old is nil if there is none,
// and key are the keys that it then gets. All operands see the old item,
// in any order of clauses.
func (u *Update) Apply(key, old Item) Item {
	it := maps.Clone(old)
	if it == nil {
		it = maps.Clone(key)
	}
	for _, a := range u.set {
		v := a.value(old)
		if v == nil {
			Fail("The provided expression refers to an attribute that does not exist in the item")
		}
		a.at.put(it, v)
	}
	for _, a := range u.add {
		a.at.put(it, added(a.at.in(old), a.value(old)))
	}
	for _, at := range u.remove {
		at.put(it, nil)
	}
	return it
}

// Projection parses a list of what to return of an item. One that is left out
// returns all of it.
func (p *Parser) Projection(expression *string) func(Item) Item {
	if expression == nil {
		return maps.Clone[Item]
	}
	var all []path
	p.over("ProjectionExpression", *expression).list(func() { all = append(all, p.path()) })
	p.end()
	return func(it Item) Item {
		if it == nil {
			return nil
		}
		part := Item{}
		for _, at := range all {
			if v := at.in(it); v != nil {
				at.force(part, v)
			}
		}
		return part
	}
}

// path is the place of an attribute, from the item inwards.
type path []string

func (at path) in(it Item) types.AttributeValue {
	v := it[at[0]]
	for _, name := range at[1:] {
		m, ok := v.(*types.AttributeValueMemberM)
		if !ok {
			return nil
		}
		v = m.Value[name]
	}
	return v
}

// put stores v, or removes what is there if v is nil. Maps on the way are
// copied: others may hold them.
func (at path) put(it Item, v types.AttributeValue) {
	for _, name := range at[:len(at)-1] {
		m, ok := it[name].(*types.AttributeValueMemberM)
		if !ok {
			Fail("The document path provided in the update expression is invalid for update")
		}
		inner := maps.Clone(m.Value)
		if inner == nil {
			inner = Item{}
		}
		it[name] = &types.AttributeValueMemberM{Value: inner}
		it = inner
	}
	if v == nil {
		delete(it, at[len(at)-1])
		return
	}
	it[at[len(at)-1]] = v
}

// force stores v and makes the maps on the way.
func (at path) force(it Item, v types.AttributeValue) {
	for _, name := range at[:len(at)-1] {
		m, ok := it[name].(*types.AttributeValueMemberM)
		if !ok {
			m = &types.AttributeValueMemberM{Value: Item{}}
			it[name] = m
		}
		it = m.Value
	}
	it[at[len(at)-1]] = v
}

// overlaps reports whether one of the places is the other or lies in it.
func (at path) overlaps(other path) bool {
	for i := range min(len(at), len(other)) {
		if at[i] != other[i] {
			return false
		}
	}
	return true
}
