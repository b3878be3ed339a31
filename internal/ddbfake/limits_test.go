package ddbfake_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

// refused checks that an error is a ValidationException with these words.
func refused(t *testing.T, what string, err error, words string) {
	t.Helper()
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || api.ErrorCode() != "ValidationException" || !strings.Contains(api.ErrorMessage(), words) {
		t.Errorf("%s: %v, want a ValidationException with %q", what, err, words)
	}
}

func nested(depth int) types.AttributeValue {
	v := s("x")
	for range depth {
		v = &types.AttributeValueMemberL{Value: []types.AttributeValue{v}}
	}
	return v
}

func nothing() types.AttributeValue { return &types.AttributeValueMemberNULL{} }

// Limits of items and keys
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)
// and of values
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html).
func TestItemLimits(t *testing.T) {
	t.Parallel()
	const text = 400<<10 - len("id") - len("a") - len("x")
	for name, tt := range map[string]struct {
		table string
		it    item
		want  string // empty: it is stored
	}{
		"400 KB with names":            {"t", item{"id": s("a"), "x": s(strings.Repeat("x", text))}, ""},
		"a byte more":                  {"t", item{"id": s("a"), "x": s(strings.Repeat("x", text+1))}, "Item size has exceeded"},
		"the name counts":              {"t", item{"id": s("a"), "xy": s(strings.Repeat("x", text))}, "Item size has exceeded"},
		"no key":                       {"t", item{"x": s("a")}, "Missing the key id in the item"},
		"a key of another type":        {"t", item{"id": n("1")}, "Type mismatch for key id expected: S actual: N"},
		"an empty key":                 {"t", item{"id": s("")}, "cannot contain an empty string value. Key: id"},
		"a hash key of 2,048 bytes":    {"c", item{"pk": s(strings.Repeat("x", 2048)), "sk": n("1")}, ""},
		"a hash key of 2,049 bytes":    {"c", item{"pk": s(strings.Repeat("x", 2049)), "sk": n("1")}, "Size of hashkey"},
		"a range key":                  {"c", item{"pk": s("p"), "sk": n("1")}, ""},
		"no range key":                 {"c", item{"pk": s("p")}, "Missing the key sk in the item"},
		"a range key of another type":  {"c", item{"pk": s("p"), "sk": s("1")}, "Type mismatch for key sk expected: N actual: S"},
		"an index's key of a type":     {"t", item{"id": s("a"), "failure_shard": n("1")}, "Type mismatch for Index Key failure_shard Expected: S Actual: N IndexName: by_failure"},
		"an index's key that is empty": {"t", item{"id": s("a"), "failure_key": s("")}, "empty string value. IndexName: by_failure, IndexKey: failure_key"},
		"an index's hash key too long": {"t", item{"id": s("a"), "failure_shard": s(strings.Repeat("x", 2049))}, "Size of hashkey"},
		"an index's range key":         {"t", item{"id": s("a"), "failure_key": s(strings.Repeat("x", 1025))}, "limit of 1024 bytes"},
		"38 digits":                    {"t", item{"id": s("a"), "x": n("-0.0" + strings.Repeat("1", 38) + "000E12")}, ""},
		"39 digits":                    {"t", item{"id": s("a"), "x": n(strings.Repeat("1", 39))}, "38 significant digits"},
		"1E125":                        {"t", item{"id": s("a"), "x": n("1E125")}, ""},
		"1E126":                        {"t", item{"id": s("a"), "x": n("1E126")}, "Number overflow"},
		"1E-130":                       {"t", item{"id": s("a"), "x": n("1E-130")}, ""},
		"1E-131":                       {"t", item{"id": s("a"), "x": n("1E-131")}, "Number underflow"},
		"not a number":                 {"t", item{"id": s("a"), "x": n("1x")}, "cannot be converted to a numeric value"},
		"32 levels":                    {"t", item{"id": s("a"), "x": nested(31)}, ""},
		"33 levels":                    {"t", item{"id": s("a"), "x": nested(32)}, "Nesting Levels"},
		"an empty text":                {"t", item{"id": s("a"), "x": s("")}, ""},
		"an empty set":                 {"t", item{"id": s("a"), "x": &types.AttributeValueMemberSS{}}, "set may not be empty"},
		"an element twice":             {"t", item{"id": s("a"), "x": &types.AttributeValueMemberSS{Value: []string{"a", "b", "a"}}}, "contains duplicates"},
		"a number twice":               {"t", item{"id": s("a"), "x": &types.AttributeValueMemberNS{Value: []string{"1", "1.0"}}}, "contains duplicates"},
		"bytes twice":                  {"t", item{"id": s("a"), "x": &types.AttributeValueMemberBS{Value: [][]byte{{1}, {1}}}}, "contains duplicates"},
		"NULL that is false":           {"t", item{"id": s("a"), "x": nothing()}, "Null attribute value"},
		"no value":                     {"t", item{"id": s("a"), "x": nil}, "AttributeValue is empty"},
	} {
		_, err := newDB(nil).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &tt.table, Item: tt.it})
		if tt.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tt.want != "" {
			refused(t, name, err, tt.want)
		}
	}
}

// What an update makes of an item has the limits of an item.
func TestLimitsOfUpdates(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		expression string
		value      types.AttributeValue
		want       string
	}{
		"too large":               {"SET s = :v", s(strings.Repeat("x", 400<<10)), "Item size to update has exceeded"},
		"too deep a value":        {"SET s = :v", nested(32), "Nesting Levels"},
		"too deep in a map":       {"SET deep.x = :v", nested(31), "Nesting Levels"},
		"an index's key":          {"SET failure_shard = :v", n("1"), "Type mismatch for Index Key failure_shard"},
		"an index's key is empty": {"SET failure_shard = :v", s(""), "empty string value. IndexName: by_failure"},
		"a sum of 39 digits":      {"SET n = n + :v", n("0." + strings.Repeat("1", 38)), "38 significant digits"},
		"a sum too large":         {"SET huge = huge + :v", n("9E125"), "Number overflow"},
	} {
		db := stored(t)
		put(t, db, "t", item{"id": s("a"), "n": n("9"), "s": s("x"), "huge": n("9E125"), "deep": &types.AttributeValueMemberM{Value: item{}}})
		before := db.Item("t", item{"id": s("a")})
		_, err := db.UpdateItem(t.Context(), update(tt.expression, "", nil, item{":v": tt.value}))
		refused(t, name, err, tt.want)
		if got := db.Item("t", item{"id": s("a")}); fmt.Sprint(len(got)) != fmt.Sprint(len(before)) || got["s"] != before["s"] {
			t.Errorf("%s changed the item", name)
		}
	}
}

// Limits of expressions
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
func TestExpressionLimits(t *testing.T) {
	t.Parallel()
	choices := func(count int) string {
		return "n IN (" + strings.TrimSuffix(strings.Repeat(":v, ", count), ", ") + ")"
	}
	long := strings.Repeat("x", 254)
	for name, tt := range map[string]struct {
		condition string
		names     map[string]string
		values    item
		want      string
	}{
		"4 KB":                       {"n = :v OR " + strings.Repeat("x", 4096-len("n = :v OR  = :v")) + " = :v", nil, item{":v": n("9")}, ""},
		"a byte more":                {"n = :v OR " + strings.Repeat("x", 4097-len("n = :v OR  = :v")) + " = :v", nil, item{":v": n("9")}, "expression size: 4097"},
		"100 choices":                {choices(100), nil, item{":v": n("9")}, ""},
		"101 choices":                {choices(101), nil, item{":v": n("9")}, "operands: 101"},
		"a value of 255 bytes":       {"n = :" + long, nil, item{":" + long: n("9")}, ""},
		"a value of 256 bytes":       {"n = :x" + long, nil, item{":x" + long: n("9")}, "invalid key"},
		"a name of 256 bytes":        {"#x" + long + " = :v", map[string]string{"#x" + long: "n"}, item{":v": n("9")}, "invalid key"},
		"a name without #":           {"n = :v", map[string]string{"n": "n"}, item{":v": n("9")}, "invalid key"},
		"more than 2 MB":             {"n <> :v", nil, item{":v": s(strings.Repeat("x", 2<<20))}, "2 MB"},
		"a value that is not used":   {"n = :v", nil, item{":v": n("9"), ":w": n("9")}, "unused in expressions: keys: {:w}"},
		"a name that is not used":    {"n = :v", map[string]string{"#n": "n"}, item{":v": n("9")}, "unused in expressions: keys: {#n}"},
		"no values":                  {"n = n", nil, item{}, "ExpressionAttributeValues must not be empty"},
		"no names":                   {"n = :v", map[string]string{}, item{":v": n("9")}, "ExpressionAttributeNames must not be empty"},
		"a reserved word":            {"n = :v AND attribute_not_exists(until)", nil, item{":v": n("9")}, "reserved keyword: until"},
		"a reserved word in a map":   {"attribute_not_exists(s.zone)", nil, nil, "reserved keyword: zone"},
		"bounds in the wrong order":  {"n BETWEEN :v AND :w", nil, item{":v": n("9"), ":w": n("8")}, "upper bound"},
		"a number as a prefix":       {"begins_with(s, :v)", nil, item{":v": n("9")}, "operator or function: begins_with, operand type: N"},
		"an order of truth":          {"s < :v", nil, item{":v": &types.AttributeValueMemberBOOL{}}, "operator or function: <, operand type: BOOL"},
		"a range of lists":           {"s BETWEEN :v AND :v", nil, item{":v": nested(1)}, "operator or function: BETWEEN, operand type: L"},
		"a value that has no number": {"n = :v", nil, item{":v": n("nine")}, "numeric value"},
	} {
		in := update("SET q = if_not_exists(q, n)", tt.condition, tt.names, tt.values)
		_, err := stored(t).UpdateItem(t.Context(), in)
		if tt.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tt.want != "" {
			refused(t, name, err, tt.want)
		}
	}
}

// Requests that name no table, another table, or not just a key.
func TestKeysOfRequests(t *testing.T) {
	t.Parallel()
	db := stored(t)
	if _, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{Key: item{"id": s("a")}}); err == nil {
		t.Error("a request without a table is taken")
	}
	_, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("x"), Key: item{"id": s("a")}})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Errorf("another table: %v", err)
	}
	for name, key := range map[string]item{
		"none": nil, "more": {"id": s("a"), "n": n("9")}, "another": {"n": n("9")}, "a type": {"id": n("9")},
	} {
		_, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("t"), Key: key})
		refused(t, name, err, "The provided key element does not match the schema")
	}
	for _, v := range []types.ReturnValue{types.ReturnValueAllNew, types.ReturnValueUpdatedOld} {
		_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("t"), Item: item{"id": s("a")}, ReturnValues: v})
		refused(t, "PutItem", err, "ReturnValues can only be ALL_OLD or NONE")
		_, err = db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("t"), Key: item{"id": s("a")}, ReturnValues: v})
		refused(t, "DeleteItem", err, "ReturnValues can only be ALL_OLD or NONE")
	}
	out, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("t"), Key: item{"id": s("a")}, ReturnValues: types.ReturnValueAllOld})
	if err != nil || len(out.Attributes) != 4 || db.Item("t", item{"id": s("a")}) != nil {
		t.Errorf("DeleteItem: %v, %v", out, err)
	}
	if out, err = db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("t"), Key: item{"id": s("a")}, ReturnValues: types.ReturnValueAllOld}); err != nil || out.Attributes != nil {
		t.Errorf("DeleteItem of nothing: %v, %v", out, err)
	}
}

// Numbers are stored without zeros that say nothing, and are the same key
// however they are written
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html).
func TestNumbers(t *testing.T) {
	t.Parallel()
	db := newDB(nil)
	for _, sk := range []string{"10", "-1", "9", "0.5", "-20", "0", "1e1", "+09.0"} {
		put(t, db, "c", item{"pk": s("p"), "sk": n(sk)})
	}
	out, err := db.Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String("c"), KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: item{":p": s("p")},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, it := range out.Items {
		got += " " + it["sk"].(*types.AttributeValueMemberN).Value
	}
	if got != " -20 -1 0 0.5 9 10" {
		t.Errorf("stored%s", got)
	}
}

// BatchWriteItem takes 25 writes of items that differ
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html).
func TestBatchWrite(t *testing.T) {
	t.Parallel()
	db := stored(t)
	write := func(requests ...types.WriteRequest) error {
		out, err := db.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"t": requests}})
		if err == nil && len(out.UnprocessedItems) > 0 {
			t.Errorf("unprocessed are %v", out.UnprocessedItems)
		}
		return err
	}
	var all []types.WriteRequest
	for i := range 26 {
		all = append(all, types.WriteRequest{PutRequest: &types.PutRequest{Item: item{"id": s(fmt.Sprint(i))}}})
	}
	refused(t, "26 writes", write(all...), "less than or equal to 25")
	refused(t, "no write", write(), "at least 1")
	drop := types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: item{"id": s("1")}}}
	refused(t, "an item twice", write(all[0], all[1], drop), "contains duplicates")
	refused(t, "an empty request", write(types.WriteRequest{}), "one of Put or Delete")
	refused(t, "both", write(types.WriteRequest{PutRequest: all[0].PutRequest, DeleteRequest: drop.DeleteRequest}), "one of Put or Delete")
	if items := db.Items("t"); len(items) != 1 {
		t.Errorf("what was refused left %v", items)
	}
	if err := write(all[:25]...); err != nil || len(db.Items("t")) != 26 {
		t.Error(err)
	}
	if err := write(drop); err != nil || len(db.Items("t")) != 25 {
		t.Error(err)
	}
}

// BatchGetItem answers 16 MB, and leaves the rest over
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
func TestBatchGetOfMuch(t *testing.T) {
	t.Parallel()
	db := newDB(nil)
	want := types.KeysAndAttributes{}
	for i := range 50 {
		id := s(fmt.Sprint(i))
		put(t, db, "t", item{"id": id, "x": s(strings.Repeat("x", 400_000))})
		want.Keys = append(want.Keys, item{"id": id})
	}
	rounds, found := 0, 0
	for in := map[string]types.KeysAndAttributes{"t": want}; len(in) > 0; rounds++ {
		out, err := db.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: in})
		if err != nil {
			t.Fatal(err)
		}
		found += len(out.Responses["t"])
		in = out.UnprocessedKeys
	}
	if rounds != 2 || found != 50 {
		t.Errorf("%d items in %d rounds", found, rounds)
	}
}

// BatchGetItem answers in any order
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
func TestBatchGetOrder(t *testing.T) {
	t.Parallel()
	db := newDB(nil)
	var keys []map[string]types.AttributeValue
	for i := range 20 {
		keys = append(keys, item{"id": s(fmt.Sprint(i))})
		put(t, db, "t", keys[i])
	}
	out, err := db.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"t": {Keys: keys}}})
	if err != nil || len(out.Responses["t"]) != 20 {
		t.Fatal(out, err)
	}
	inOrder := 0
	for i, it := range out.Responses["t"] {
		if diff(it, keys[i]) == "" {
			inOrder++
		}
	}
	if inOrder > 10 {
		t.Errorf("%d of 20 items are where their keys are", inOrder)
	}
}

// A batch of statements reads or writes, and each statement fails by itself
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html,
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html).
func TestStatementErrors(t *testing.T) {
	t.Parallel()
	db := stored(t)
	statement := func(sql, id string) types.BatchStatementRequest {
		return types.BatchStatementRequest{Statement: &sql, Parameters: []types.AttributeValue{s(id)}}
	}
	write := statement(`UPDATE "t" SET "n"=1 WHERE "id"=?`, "a")
	_, err := db.BatchExecuteStatement(t.Context(), &dynamodb.BatchExecuteStatementInput{Statements: []types.BatchStatementRequest{
		write, statement(`SELECT * FROM "t" WHERE "id"=?`, "b"),
	}})
	refused(t, "reads and writes", err, "all reads or all writes")

	large := types.BatchStatementRequest{
		Statement:  aws.String(`UPDATE "t" SET "x"=? WHERE "id"=?`),
		Parameters: []types.AttributeValue{s(strings.Repeat("x", 400<<10)), s("large")},
	}
	put(t, db, "t", item{"id": s("large")}, item{"id": s("key")})
	db.Inject(func(ddbfake.Call) ddbfake.Fault {
		return ddbfake.Fault{Statements: map[int]types.BatchStatementErrorCodeEnum{1: types.BatchStatementErrorCodeEnumThrottlingError}}
	})
	out, err := db.BatchExecuteStatement(t.Context(), &dynamodb.BatchExecuteStatementInput{Statements: []types.BatchStatementRequest{
		write, statement(`UPDATE "t" SET "n"=1 WHERE "id"=?`, "throttled"), statement(`UPDATE "x" SET "n"=1 WHERE "id"=?`, "a"),
		statement(`UPDATE "t" SET "n"=1 WHERE "id"=?`, "absent"), large, statement(`UPDATE "t" SET "failure_key"='' WHERE "id"=?`, "key"),
		statement(`UPDATE "t" SET "n"=1 WHERE "id"=?`+strings.Repeat(" ", 8192), "long"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []types.BatchStatementErrorCodeEnum{
		"", types.BatchStatementErrorCodeEnumThrottlingError, types.BatchStatementErrorCodeEnumResourceNotFound,
		types.BatchStatementErrorCodeEnumConditionalCheckFailed, types.BatchStatementErrorCodeEnumValidationError,
		types.BatchStatementErrorCodeEnumValidationError, types.BatchStatementErrorCodeEnumValidationError,
	} {
		e := out.Responses[i].Error
		if want == "" && e != nil || want != "" && (e == nil || e.Code != want || aws.ToString(e.Message) == "") {
			t.Errorf("statement %d: %+v, want %q", i, e, want)
		}
	}
}
