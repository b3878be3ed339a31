package expr_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }

func list(v ...types.AttributeValue) types.AttributeValue {
	return &types.AttributeValueMemberL{Value: v}
}

func set(s ...string) types.AttributeValue { return &types.AttributeValueMemberSS{Value: s} }

var (
	item = expr.Item{
		"pk": str("p"), "n": num("10"), "s": str("abc"), "b": &types.AttributeValueMemberB{Value: []byte("xyz")}, "l": list(str("x"), num("1")),
		"ss": set("a", "b"), "m": &types.AttributeValueMemberM{Value: expr.Item{"x": num("1"), "deep": &types.AttributeValueMemberM{Value: expr.Item{"y": str("z")}}}},
	}
	names  = map[string]string{"#m": "m", "#odd": "a.b"}
	values = expr.Item{
		":9": num("9"), ":10": num("10"), ":a": str("a"), ":ab": str("ab"), ":abc": str("abc"), ":z": str("z"), ":1": num("1"),
		":x": str("x"), ":xy": &types.AttributeValueMemberB{Value: []byte("xy")}, ":l": list(num("2")), ":c": set("c", "a"), ":3": num("3"), ":empty": list(),
	}
)

// parse evaluates with the names and values that the expression mentions.
func parse[T any](expression string, f func(*expr.Parser) T) (v T, err error) {
	defer expr.Guard(&err)
	used := maps.Clone(values)
	maps.DeleteFunc(used, func(name string, _ types.AttributeValue) bool {
		return !slices.Contains(strings.FieldsFunc(expression, func(r rune) bool { return strings.ContainsRune(" ,()=<>+-", r) }), name)
	})
	known := maps.Clone(names)
	maps.DeleteFunc(known, func(name, _ string) bool { return !strings.Contains(expression, name) })
	p := expr.NewParser(known, used)
	v = f(p)
	p.Unused()
	return v, nil
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]bool{
		"n = :10":                               true,
		"n > :9 AND n >= :10 AND n <= :10":      true,
		"n < :9 OR s = :abc":                    true,
		"n = :9 OR n = :10 AND s = :a":          false,
		"(n = :9 OR n = :10) AND NOT s = :a":    true,
		"NOT (n = :10)":                         false,
		"n <> :abc":                             true,
		"absent <> :a":                          true,
		"absent = :a":                           false,
		"absent < :a":                           false,
		"attribute_exists(#m.deep.y)":           true,
		"attribute_exists(#m.deep.x)":           false,
		"attribute_not_exists(s.x)":             true,
		"#m.deep.y = :z":                        true,
		"begins_with(s, :ab)":                   true,
		"begins_with(b, :xy)":                   true,
		"begins_with(n, :a)":                    false,
		"contains(s, :ab)":                      true,
		"contains(ss, :a)":                      true,
		"contains(ss, :z)":                      false,
		"contains(l, :x)":                       true,
		"contains(l, :z)":                       false,
		"contains(n, :z)":                       false,
		"n BETWEEN :9 AND :10":                  true,
		"s BETWEEN :ab AND :abc AND n = :10":    true,
		"s IN (:a, :abc)":                       true,
		"s IN (:a, :ab)":                        false,
		"size(s) = :3":                          true,
		"size(b) = :3 AND size(l) < :3":         true,
		"size(#m) < :3 AND size(ss) < :3":       true,
		"size(n) = :3":                          false,
		"attribute_not_exists(#odd)":            true,
		"l = :l":                                false,
		"attribute_exists(pk) and n = :10":      true,
		"b > :xy":                               true,
		"s > :9":                                false,
		"attribute_not_exists(pk) OR (n < :10)": false,
	} {
		c, err := parse(expression, func(p *expr.Parser) expr.Condition { return p.Condition(&expression) })
		if err != nil || c(item) != want {
			t.Errorf("%s: %v, want %t", expression, err, want)
		}
	}
	if c := expr.NewParser(nil, nil).Condition(nil); !c(nil) {
		t.Error("no condition does not hold")
	}
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]expr.Item{
		"SET n = n + :1":         {"n": num("11")},
		"SET n = :9 - n, s = :a": {"n": num("-1"), "s": str("a")},
		"set s = if_not_exists(s, :a), t = if_not_exists(t, :a)": {"t": str("a")},
		"SET l = list_append(l, :l)":                             {"l": list(str("x"), num("1"), num("2"))},
		"SET k = list_append(if_not_exists(k, :empty), :l)":      {"k": list(num("2"))},
		"ADD n :1, q :1 ":               {"n": num("11"), "q": num("1")},
		"ADD ss :c, st :c":              {"ss": set("a", "b", "c"), "st": set("c", "a")},
		"REMOVE n, absent SET s = :a":   {"n": nil, "s": str("a")},
		"SET #m.x = n REMOVE #m.deep.y": {"m": &types.AttributeValueMemberM{Value: expr.Item{"x": num("10"), "deep": &types.AttributeValueMemberM{Value: expr.Item{}}}}},
	} {
		u, err := parse(expression, func(p *expr.Parser) *expr.Update { return p.Update(&expression, "pk") })
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		wanted := maps.Clone(item)
		for name, v := range want {
			if wanted[name] = v; v == nil {
				delete(wanted, name)
			}
		}
		before := maps.Clone(item)
		if diff := cmp.Diff(u.Apply(nil, item), wanted, cmpopts.IgnoreUnexported(
			types.AttributeValueMemberS{}, types.AttributeValueMemberN{}, types.AttributeValueMemberB{}, types.AttributeValueMemberL{}, types.AttributeValueMemberM{}, types.AttributeValueMemberSS{},
		)); diff != "" {
			t.Errorf("%s (-got +want):\n%s", expression, diff)
		}
		if !cmp.Equal(before["m"], item["m"], cmpopts.IgnoreUnexported(types.AttributeValueMemberN{}, types.AttributeValueMemberS{}, types.AttributeValueMemberM{})) {
			t.Errorf("%s has changed the old item", expression)
		}
	}
	if it := expr.NewParser(nil, nil).Update(nil).Apply(expr.Item{"pk": str("p")}, nil); len(it) != 1 {
		t.Error(it)
	}
}

func TestProjections(t *testing.T) {
	t.Parallel()
	expression := "pk, #m.deep.y, #m.x, absent"
	part, err := parse(expression, func(p *expr.Parser) func(expr.Item) expr.Item { return p.Projection(&expression) })
	if err != nil || part(nil) != nil {
		t.Fatal(err)
	}
	got := part(item)
	m, ok := got["m"].(*types.AttributeValueMemberM)
	if !ok || len(got) != 2 || len(m.Value) != 2 || len(m.Value["deep"].(*types.AttributeValueMemberM).Value) != 1 {
		t.Errorf("%v", got)
	}
}

// What DynamoDB refuses, and what this package does not know, is refused.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		"", "n", "n =", "= :9", "n == :9", "n = :nine", "#none = :9", "n = :9 AND", "(n = :9", "n = :9)", "n ! :9", "state = :9", "n BETWEEN :9", "s IN ()",
		"size(s)", "l[0] = :9", "contains(s :a)",
	} {
		_, err := parse(expression, func(p *expr.Parser) expr.Condition { return p.Condition(&expression) })
		if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "ValidationException" {
			t.Errorf("condition %q: %v", expression, err)
		}
	}
	for _, expression := range []string{"", "SET", "SET n", "SET n = ", "SET pk = :9", "SET n = :9, n = :10", "SET n = :9 SET s = :a", "SET #m.x = :9, #m = :9", "DELETE ss :c", "REMOVE", "n = :9", "SET count = :9"} {
		if _, err := parse(expression, func(p *expr.Parser) *expr.Update { return p.Update(&expression, "pk") }); err == nil {
			t.Errorf("update %q is taken", expression)
		}
	}
	for _, expression := range []string{"SET n = s + :1", "SET n = absent + :1", "SET n = absent", "ADD s :1", "ADD n :a", "ADD n :c", "SET l = list_append(l, :1)", "SET absent.x = :1", "SET s.x = :1"} {
		_, err := parse(expression, func(p *expr.Parser) expr.Item { return p.Update(&expression).Apply(nil, item) })
		if err == nil {
			t.Errorf("update %q works", expression)
		}
	}
	for _, p := range []*expr.Parser{expr.NewParser(names, nil), expr.NewParser(nil, values)} {
		if err := func() (err error) { defer expr.Guard(&err); p.Unused(); return nil }(); err == nil {
			t.Error("unused names or values are taken")
		}
	}
	defer func() {
		if recover() != "something else" {
			t.Error("a panic got lost")
		}
	}()
	func() (err error) { defer expr.Guard(&err); panic("something else") }()
}
