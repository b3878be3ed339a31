package ddbfake_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

var allOld = types.ReturnValuesOnConditionCheckFailureAllOld

func update(expression, condition string, names map[string]string, values item) *dynamodb.UpdateItemInput {
	in := &dynamodb.UpdateItemInput{
		TableName: aws.String("t"), Key: item{"id": s("a")}, UpdateExpression: &expression, ReturnValues: types.ReturnValueAllNew,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: allOld,
	}
	if condition != "" {
		in.ConditionExpression = &condition
	}
	return in
}

// stored is a table that holds one item, a.
func stored(t *testing.T) *ddbfake.DB {
	t.Helper()
	db := newDB(nil)
	_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("t"), Item: item{"id": s("a"), "n": n("9"), "m": n("10"), "s": s("x")}})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func diff(got, want item) string { return cmp.Diff(got, want, ignoreUnexported) }

var ignoreUnexported = cmpopts.IgnoreUnexported(types.AttributeValueMemberS{}, types.AttributeValueMemberN{})

func TestExpressions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		in   *dynamodb.UpdateItemInput
		want item // nil: the condition fails
	}{
		"operands see the old item": {
			update("SET n = n + :one, o = n, p = if_not_exists(q, :one) - :one REMOVE s", "", nil, item{":one": n("1")}),
			item{"id": s("a"), "n": n("10"), "m": n("10"), "o": n("9"), "p": n("0")},
		},
		"remove what is not there": {
			update("REMOVE s, zzz SET #n = :v", "", map[string]string{"#n": "n"}, item{":v": s("é\"'")}),
			item{"id": s("a"), "m": n("10"), "n": s("é\"'")},
		},
		"numbers compare as numbers":         {update("REMOVE s", "n < m AND m >= n", nil, nil), item{"id": s("a"), "n": n("9"), "m": n("10")}},
		"types do not compare":               {update("REMOVE s", "s < m OR s > m OR s = m", nil, nil), nil},
		"what is not there compares as no":   {update("REMOVE s", "q = :v OR q < :v OR q > :v", nil, item{":v": n("1")}), nil},
		"and binds tighter than or":          {update("REMOVE s", "n = n OR n = m AND m = s", nil, nil), item{"id": s("a"), "n": n("9"), "m": n("10")}},
		"parentheses":                        {update("REMOVE s", "(n = n OR n = m) AND m = s", nil, nil), nil},
		"in":                                 {update("REMOVE s", "s IN (:a, :b)", nil, item{":a": s("w"), ":b": s("x")}), item{"id": s("a"), "n": n("9"), "m": n("10")}},
		"not in":                             {update("REMOVE s", "s IN (:a, :b)", nil, item{":a": s("w"), ":b": s("y")}), nil},
		"begins_with":                        {update("REMOVE s", "begins_with(s, :v)", nil, item{":v": s("x")}), item{"id": s("a"), "n": n("9"), "m": n("10")}},
		"begins otherwise":                   {update("REMOVE s", "begins_with(s, :v) OR begins_with(n, :v) OR begins_with(q, :v)", nil, item{":v": s("9")}), nil},
		"attribute_exists":                   {update("REMOVE s", "attribute_exists(s) AND attribute_not_exists(q)", nil, nil), item{"id": s("a"), "n": n("9"), "m": n("10")}},
		"the largest number there is, and 1": {update("SET s = :v - n", "n <= :v", nil, item{":v": n("9223372036854775807")}), item{"id": s("a"), "n": n("9"), "m": n("10"), "s": n("9223372036854775798")}},
		"fractions":                          {update("SET s = :v + n", "", nil, item{":v": n("0.25")}), item{"id": s("a"), "n": n("9"), "m": n("10"), "s": n("9.25")}},
	} {
		db := stored(t)
		before := db.Item("t", item{"id": s("a")})
		out, err := db.UpdateItem(t.Context(), tt.in)
		failed, isFailed := errors.AsType[*types.ConditionalCheckFailedException](err)
		switch {
		case tt.want == nil && !isFailed:
			t.Errorf("%s: %v, want a failed condition", name, err)
		case tt.want == nil:
			if d := diff(failed.Item, before); d != "" {
				t.Errorf("%s: comes with (-got +want):\n%s", name, d)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case diff(out.Attributes, tt.want)+diff(db.Item("t", item{"id": s("a")}), tt.want) != "":
			t.Errorf("%s (-got +want):\n%s", name, diff(db.Item("t", item{"id": s("a")}), tt.want))
		}
	}
}

func TestUpdateItemCreates(t *testing.T) {
	t.Parallel()
	db := newDB(nil)
	if _, err := db.UpdateItem(t.Context(), update("SET n = :v", "n = :v", nil, item{":v": n("1")})); err == nil || db.Item("t", item{"id": s("a")}) != nil {
		t.Errorf("with a condition that fails: %v, %v", err, db.Item("t", item{"id": s("a")}))
	}
	if _, err := db.UpdateItem(t.Context(), update("SET n = :v", "", nil, item{":v": n("1")})); err != nil || diff(db.Item("t", item{"id": s("a")}), item{"id": s("a"), "n": n("1")}) != "" {
		t.Errorf("without a condition: %v, %v", err, db.Item("t", item{"id": s("a")}))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	key := update("SET n = :v", "", nil, item{":v": n("1")})
	key.Key = item{"id": s("")}
	noKey := update("SET n = :v", "", nil, item{":v": n("1")})
	noKey.Key = item{"other": s("a")}
	for name, in := range map[string]*dynamodb.UpdateItemInput{
		"unused value":                   update("SET n = :v", "", nil, item{":v": n("1"), ":w": n("1")}),
		"unused name":                    update("SET n = :v", "", map[string]string{"#n": "n"}, item{":v": n("1")}),
		"undefined value":                update("SET n = :v", "", nil, nil),
		"undefined name":                 update("REMOVE #n", "", nil, nil),
		"attribute set twice":            update("SET n = :v, n = :v", "", nil, item{":v": n("1")}),
		"attribute set and removed":      update("SET n = :v REMOVE n", "", nil, item{":v": n("1")}),
		"key changed":                    update("SET id = :v", "", nil, item{":v": s("b")}),
		"arithmetic on a string":         update("SET s = s + :v", "", nil, item{":v": n("1")}),
		"arithmetic on nothing":          update("SET q = q + :v", "", nil, item{":v": n("1")}),
		"copy of nothing":                update("SET s = q", "", nil, nil),
		"not a number":                   update("SET n = n + :v", "", nil, item{":v": n("x")}),
		"clause that is not simulated":   update("DELETE n :v", "", nil, item{":v": n("1")}),
		"operator that there is not":     update("REMOVE s", "n == m", nil, nil),
		"function that is not simulated": update("REMOVE s", "attribute_type(s, :v)", nil, item{":v": s("x")}),
		"list of a statement":            update("REMOVE s", "s IN [:a, :b]", nil, item{":a": s("w"), ":b": s("x")}),
		"unbalanced":                     update("REMOVE s", "(n = n", nil, nil),
		"trailing":                       update("REMOVE s", "n = n n", nil, nil),
		"not an expression":              update("REMOVE s", "n = $", nil, nil),
		"empty key":                      key,
		"no key":                         noKey,
		"too large":                      update("SET s = :v", "", nil, item{":v": s(strings.Repeat("x", 400<<10))}),
	} {
		db := stored(t)
		before := db.Item("t", item{"id": s("a")})
		_, err := db.UpdateItem(t.Context(), in)
		invalid(t, name, err)
		if d := diff(db.Item("t", item{"id": s("a")}), before); d != "" {
			t.Errorf("%s changed the item:\n%s", name, d)
		}
	}
}

func invalid(t *testing.T, name string, err error) {
	t.Helper()
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "ValidationException" {
		t.Errorf("%s: %v, want a ValidationException", name, err)
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	run := func(db *ddbfake.DB, sql string, params ...types.AttributeValue) types.BatchStatementResponse {
		t.Helper()
		out, err := db.BatchExecuteStatement(t.Context(), &dynamodb.BatchExecuteStatementInput{Statements: []types.BatchStatementRequest{
			{Statement: &sql, Parameters: params, ReturnValuesOnConditionCheckFailure: allOld},
		}})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return out.Responses[0]
	}
	db := stored(t)
	r := run(db, `UPDATE "t" SET "m"="n" SET "n"="n"+1, "q"='it''s' REMOVE "s" WHERE "id"=? AND "n"<? AND "z" IS MISSING RETURNING ALL NEW *`, s("a"), n("10"))
	if d := diff(r.Item, item{"id": s("a"), "m": n("9"), "n": n("10"), "q": s("it's")}); r.Error != nil || d != "" {
		t.Errorf("%+v (-got +want):\n%s", r.Error, d)
	}
	if r = run(db, `UPDATE "t" SET "n"="m" WHERE "id"=?`, s("a")); r.Error != nil || r.Item != nil {
		t.Errorf("without RETURNING: %+v", r)
	}
	if r = run(db, `UPDATE "t" REMOVE "zzz" SET "n"=10 WHERE "id"=? AND "q" IN ['x','it''s'] AND "n" IN [?]`, s("a"), n("9")); r.Error != nil {
		t.Errorf("with a list: %+v", r)
	}
	r = run(db, `UPDATE "t" SET "n"=? WHERE "id"=? AND "n"=? RETURNING ALL NEW *`, n("1"), s("a"), n("2"))
	if r.Error == nil || r.Error.Code != types.BatchStatementErrorCodeEnumConditionalCheckFailed || diff(r.Error.Item, db.Item("t", item{"id": s("a")})) != "" {
		t.Errorf("failed condition: %+v", r)
	}
	r = run(db, `UPDATE "t" SET "n"=? WHERE "id"=?`, n("1"), s("b"))
	if r.Error == nil || r.Error.Code != types.BatchStatementErrorCodeEnumConditionalCheckFailed || r.Error.Item != nil || db.Item("t", item{"id": s("b")}) != nil {
		t.Errorf("an UPDATE of what is not there: %+v, want a failed condition without an item", r)
	}
	for name, sql := range map[string]string{
		"too few parameters":  `UPDATE "t" SET "n"=? WHERE "id"=?`,
		"too many parameters": `UPDATE "t" SET "n"=1 WHERE "id"='a'`,
		"no key":              `UPDATE "t" SET "n"=? WHERE "n"=1`,
		"key not first":       `UPDATE "t" SET "n"=1 WHERE "n"=1 AND "id"=?`,
		"no where":            `UPDATE "t" SET "n"=?`,
		"removed by comma":    `UPDATE "t" REMOVE "n", "m" WHERE "id"=?`,
		"list of expressions": `UPDATE "t" SET "n"=1 WHERE "id"=? AND "n" IN (1, 2)`,
		"empty list":          `UPDATE "t" SET "n"=1 WHERE "id"=? AND "n" IN []`,
		"another statement":   `DELETE FROM "t" WHERE "id"=?`,
		"broken":              `UPDATE "t" SET "n"=1 WHERE "id"=? AND`,
		"key changed":         `UPDATE "t" SET "id"='b' WHERE "id"=?`,
	} {
		if r := run(db, sql, s("a")); r.Error == nil || r.Error.Code != types.BatchStatementErrorCodeEnumValidationError {
			t.Errorf("%s: %+v, want a ValidationError", name, r)
		}
	}
}

func TestBatchLimits(t *testing.T) {
	t.Parallel()
	db := stored(t)
	batch := func(ids ...string) error {
		in := &dynamodb.BatchExecuteStatementInput{}
		for _, id := range ids {
			in.Statements = append(in.Statements, types.BatchStatementRequest{
				Statement: aws.String(`UPDATE "t" SET "n"=1 WHERE "id"=?`), Parameters: []types.AttributeValue{s(id)},
			})
		}
		_, err := db.BatchExecuteStatement(t.Context(), in)
		return err
	}
	many := strings.Split("a b c d e f g h i j k l m n o p q r s t u v w x y z", " ")
	invalid(t, "no statement", batch())
	invalid(t, "26 statements", batch(many...))
	invalid(t, "the same key twice", batch("a", "b", "a"))
	if err := batch(many[:25]...); err != nil {
		t.Error(err)
	}

	get := func(keys ...string) error {
		var want types.KeysAndAttributes
		for _, k := range keys {
			want.Keys = append(want.Keys, item{"id": s(k)})
		}
		_, err := db.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"t": want}})
		return err
	}
	invalid(t, "no key", get())
	invalid(t, "the same key twice", get("a", "a"))
	invalid(t, "101 keys", get(make([]string, 101)...))
	_, err := db.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{})
	invalid(t, "no table", err)

	for name, in := range map[string]*dynamodb.QueryInput{
		"another index": {KeyConditionExpression: aws.String("id = :v"), IndexName: aws.String("by_status")},
		"consistent":    {KeyConditionExpression: aws.String("id = :v"), IndexName: aws.String("by_tenant"), ConsistentRead: aws.Bool(true)},
		"strange place": {KeyConditionExpression: aws.String("id = :v"), IndexName: aws.String("by_tenant"), ExclusiveStartKey: item{"id": s("a")}},
		"filtered":      {KeyConditionExpression: aws.String("id = :v"), IndexName: aws.String("by_tenant"), FilterExpression: aws.String("n = :v")},
	} {
		in.TableName, in.ExpressionAttributeValues = aws.String("t"), item{":v": s("a")}
		_, err := db.Query(t.Context(), in)
		invalid(t, name, err)
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	db := stored(t)
	for _, id := range []string{"k3", "k1", "k2"} {
		if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("t"), Item: item{"id": s(id), "tenant_shard": s("t#1"), "n": n("1")}}); err != nil {
			t.Fatal(err)
		}
	}
	query := func(forward bool, limit int32) []string {
		out, err := db.Query(t.Context(), &dynamodb.QueryInput{
			TableName: aws.String("t"), IndexName: aws.String("by_tenant"), KeyConditionExpression: aws.String("tenant_shard = :t AND id < :b"), Limit: &limit,
			ScanIndexForward: &forward, ExpressionAttributeValues: item{":t": s("t#1"), ":b": s("k9")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if more := out.LastEvaluatedKey != nil; more != (limit < 3) {
			t.Errorf("last evaluated key: %v", out.LastEvaluatedKey)
		}
		var ids []string
		for _, it := range out.Items {
			if len(it) != 2 {
				t.Errorf("the index holds %v, want keys only", it)
			}
			ids = append(ids, it["id"].(*types.AttributeValueMemberS).Value)
		}
		return ids
	}
	if d := cmp.Diff(query(true, 9), []string{"k1", "k2", "k3"}); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(query(false, 2), []string{"k3", "k2"}); d != "" {
		t.Error(d)
	}
}

// Pages of the sparse index of failures go on behind a place, whether or not it
// is still there.
func TestQueryOfFailures(t *testing.T) {
	t.Parallel()
	db := stored(t)
	for id, key := range map[string]string{"k1": "b#2", "k2": "a#1", "k3": "b#2", "k4": "b#3", "k5": ""} {
		it := item{"id": s(id), "tenant_shard": s("t#1"), "run": n("2"), "type": s("x"), "n": n("1"), "failure_shard": s("failed#0"), "failure_key": s(key)}
		if key == "" {
			delete(it, "failure_key")
		}
		if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("t"), Item: it}); err != nil {
			t.Fatal(err)
		}
	}
	pages := func(prefix string, forward bool, between func(id string)) (ids []string) {
		in := &dynamodb.QueryInput{
			TableName: aws.String("t"), IndexName: aws.String("by_failure"), KeyConditionExpression: aws.String("failure_shard = :s"),
			ScanIndexForward: &forward, Limit: aws.Int32(1), ExpressionAttributeValues: item{":s": s("failed#0")},
		}
		if prefix != "" {
			in.KeyConditionExpression = aws.String("failure_shard = :s AND begins_with(failure_key, :p)")
			in.ExpressionAttributeValues[":p"] = s(prefix)
		}
		for {
			out, err := db.Query(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range out.Items {
				ids = append(ids, it["id"].(*types.AttributeValueMemberS).Value)
				if len(it) != 6 || it["n"] != nil {
					t.Errorf("the index holds %v, want keys and what it projects", it)
				}
				between(it["id"].(*types.AttributeValueMemberS).Value)
			}
			if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
				return ids
			}
		}
	}
	keep := func(string) {}
	for _, tt := range []struct {
		got  []string
		want string
	}{
		{pages("", true, keep), "k2 k1 k3 k4"},
		{pages("", false, keep), "k4 k3 k1 k2"},
		{pages("b#", true, keep), "k1 k3 k4"},
		{pages("b#", true, func(id string) { db.Remove("t", item{"id": s(id)}) }), "k1 k3 k4"},
		{pages("", true, keep), "k2"},
	} {
		if got := strings.Join(tt.got, " "); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
