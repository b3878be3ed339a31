package ddbfake

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Statement is a PartiQL UPDATE of one item. The zero value is none.
type Statement struct {
	Key    types.AttributeValue
	Update *Update
	Where  Condition // beside the key
	All    bool      // RETURNING ALL NEW *
}

// ParseStatement reads UPDATE "table" SET … [SET … REMOVE …] WHERE "key"=?
// [AND …] [RETURNING ALL NEW *] for a table whose only key is key. The key
// comes first.
func ParseStatement(sql string, params []types.AttributeValue, key string) Statement {
	p := NewParser(nil, nil)
	p.sql, p.params = true, params
	p.over(sql).expect("UPDATE")
	if table := p.take(); !strings.HasPrefix(table, `"`) {
		Fail("Statement wasn't well formed: the table's name is not quoted")
	}
	s := Statement{Update: &Update{}, Where: func(Item) bool { return true }}
	for !p.accept("WHERE") {
		switch {
		case p.accept("SET"):
			p.list(func() { p.assignment(s.Update, key) })
		case p.accept("REMOVE"): // takes one name, unlike the expression
			p.removal(s.Update, key)
		default:
			Fail("Statement wasn't well formed, got unexpected %q", p.peek())
		}
	}
	if at := p.path(); len(at) != 1 || at[0] != key {
		Fail("Where clause does not contain a mandatory equality on all key attributes")
	}
	p.expect("=")
	s.Key = p.operand()(nil)
	if p.accept("AND") {
		s.Where = p.conjunction()
	}
	s.All = p.accept("RETURNING", "ALL", "NEW", "*")
	p.end()
	p.Unused()
	return s
}

// literal reports whether a token is a text or a number.
func literal(token string) bool {
	return strings.HasPrefix(token, "'") || token != "" && strings.Trim(token, "0123456789") == ""
}

// given takes a literal, or the next parameter in the place of a question mark.
func (p *Parser) given() types.AttributeValue {
	switch t := p.take(); {
	case strings.HasPrefix(t, "'"):
		return &types.AttributeValueMemberS{Value: strings.ReplaceAll(t[1:len(t)-1], "''", "'")}
	case t != "?":
		return &types.AttributeValueMemberN{Value: t}
	case len(p.params) == 0:
		Fail("Number of parameters in request and statement don't match.")
	}
	v := p.params[0]
	p.params = p.params[1:]
	return v
}
