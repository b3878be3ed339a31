package tasktabletest

import (
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// update is what an update expression or an UPDATE statement does to an item.
type update struct {
	set    map[string]operand
	remove []string
}

// assignments reads one or more "name = value" of a SET.
func (p *parser) assignments(u *update) {
	for {
		name := p.path()
		p.expect("=")
		u.change(name)
		u.set[name] = p.value()
		if !p.accept(",") {
			return
		}
	}
}

// removals reads the names of a REMOVE.
func (p *parser) removals(u *update) {
	for {
		name := p.path()
		u.change(name)
		u.remove = append(u.remove, name)
		if !p.accept(",") {
			return
		}
	}
}

// change refuses a second change of one attribute and any change of the key.
func (u *update) change(name string) {
	if name == keyName {
		fail("Cannot update attribute %s. This attribute is part of the key", name)
	}
	if u.set[name] != nil {
		fail("Two document paths overlap with each other; path: [%s]", name)
	}
	for _, r := range u.remove {
		if r == name {
			fail("Two document paths overlap with each other; path: [%s]", name)
		}
	}
}

// update reads an UpdateExpression.
func (p *parser) update() update {
	u := update{set: map[string]operand{}}
	for p.peek() != "" {
		switch {
		case p.accept("SET"):
			p.assignments(&u)
		case p.accept("REMOVE"):
			p.removals(&u)
		default:
			fail("Syntax error: %q where SET or REMOVE belongs", p.peek())
		}
	}
	return u
}

// apply returns the item as the update leaves it. All operands see the old
// item, whatever the order.
func (u update) apply(id string, old item) item {
	it := maps.Clone(old)
	if it == nil {
		it = item{keyName: &types.AttributeValueMemberS{Value: id}}
	}
	for name, value := range u.set {
		v := value(old)
		if v == nil {
			fail("The provided expression refers to an attribute that does not exist in the item")
		}
		it[name] = v
	}
	for _, name := range u.remove {
		delete(it, name)
	}
	checkSize(it)
	return it
}

// statement is a parsed PartiQL UPDATE.
type statement struct {
	id     string
	update update
	where  condition
	all    bool // RETURNING ALL NEW *
}

// parseStatement reads UPDATE "table" SET … [SET … REMOVE …] WHERE "id"=?
// [AND …] [RETURNING ALL NEW *]. The key comes first.
func parseStatement(sql string, params []types.AttributeValue) (s statement, err error) {
	defer guard(&err)
	p := newParser(nil, nil).over(sql)
	p.sql, p.params = true, params
	p.expect("UPDATE")
	if table := p.take(); !strings.HasPrefix(table, `"`) {
		fail("Statement wasn't well formed: the table's name is not quoted")
	}
	s.update = update{set: map[string]operand{}}
	for !p.accept("WHERE") {
		switch {
		case p.accept("SET"):
			p.assignments(&s.update)
		case p.accept("REMOVE"): // takes one name, unlike the expression
			name := p.path()
			s.update.change(name)
			s.update.remove = append(s.update.remove, name)
		default:
			fail("Statement wasn't well formed, got unexpected %q", p.peek())
		}
	}
	if p.path() != keyName {
		fail("Where clause does not contain a mandatory equality on all key attributes")
	}
	p.expect("=")
	s.id = keyOf(item{keyName: p.operand()(nil)})
	s.where = func(item) bool { return true }
	if p.accept("AND") {
		s.where = p.conjunction()
	}
	s.all = p.accept("RETURNING", "ALL", "NEW", "*")
	p.end()
	p.unused()
	return s, nil
}
