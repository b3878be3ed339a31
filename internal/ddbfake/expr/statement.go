package expr

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Statement is a PartiQL UPDATE of one item.
type Statement struct {
	Table  string
	Key    Item
	Update *Update
	Where  Condition // beside the key
	All    bool      // RETURNING ALL NEW *
}

// maxStatement is the longest statement in characters
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementRequest.html).
const maxStatement = 8192

// ReadsOnly reports whether a statement is a SELECT.
func ReadsOnly(sql string) bool {
	words := strings.Fields(sql)
	return len(words) > 0 && strings.EqualFold(words[0], "SELECT")
}

// ParseStatement reads UPDATE "table" SET … [SET … REMOVE …] WHERE "key"=?
// [AND "key"=?] [AND …] [RETURNING ALL NEW *]. The conditions on the keys come
// first. keysOf returns the names of a table's keys.
func ParseStatement(sql string, params []types.AttributeValue, keysOf func(table string) []string) Statement {
	if n := len(sql); n == 0 || n > maxStatement {
		Fail("Value at 'statement' failed to satisfy constraint: Member must have length less than or equal to %d", maxStatement)
	}
	p := NewParser(nil, nil)
	p.sql, p.params = true, params
	p.over("Statement", sql).expect("UPDATE")
	table := p.take()
	if !strings.HasPrefix(table, `"`) {
		Fail("Statement wasn't well formed: the table's name is not quoted")
	}
	s := Statement{Table: strings.Trim(table, `"`), Key: Item{}, Update: &Update{}, Where: func(Item) bool { return true }}
	keys := keysOf(s.Table)
	for !p.accept("WHERE") {
		switch {
		case p.accept("SET"):
			p.list(func() { p.assignment(s.Update, keys...) })
		case p.accept("REMOVE"): // takes one name, unlike the expression
			p.removal(s.Update, keys...)
		default:
			Fail("Statement wasn't well formed, got unexpected %q", p.peek())
		}
	}
	for i := range keys {
		if i > 0 {
			p.expect("AND")
		}
		at := p.path()
		if len(at) != 1 || !slices.Contains(keys, at[0]) || s.Key[at[0]] != nil {
			Fail("Where clause does not contain a mandatory equality on all key attributes")
		}
		p.expect("=")
		s.Key[at[0]] = p.operand()(nil)
	}
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
