package archivetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

var exported = cmpopts.IgnoreUnexported(types.AttributeValueMemberS{}, types.AttributeValueMemberN{}, types.AttributeValueMemberM{})

func text(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

func num(n int) types.AttributeValue { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }

func key(pk, sk string) archivetest.Item {
	return archivetest.Item{"pk": text(pk), "sk": text(sk)}
}

// update applies one update expression to the item a/b.
func update(t *testing.T, table *archivetest.Table, expression, condition string, values archivetest.Item) (archivetest.Item, error) {
	t.Helper()
	in := &dynamodb.UpdateItemInput{
		TableName: aws.String("t"), Key: key("a", "b"), UpdateExpression: &expression, ExpressionAttributeValues: values,
		ReturnValues: types.ReturnValueAllNew, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if condition != "" {
		in.ConditionExpression = &condition
	}
	out, err := table.UpdateItem(t.Context(), in)
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

func TestUpdateAndConditions(t *testing.T) {
	t.Parallel()
	table := archivetest.NewTable()
	it, err := update(t, table, "SET n = :n, m = :m, s = if_not_exists(s, :s) ADD hits :one", "attribute_not_exists(pk)",
		archivetest.Item{":n": num(3), ":m": &types.AttributeValueMemberM{Value: archivetest.Item{"x": text("1")}}, ":s": text("z"), ":one": num(1)})
	if err != nil || it["hits"].(*types.AttributeValueMemberN).Value != "1" {
		t.Fatal(it, err)
	}
	it, err = update(t, table, "SET m.y = :y, n = n - :one REMOVE s ADD hits :one", "(n = :n OR n > :n) AND hits <> :n AND attribute_exists(s)",
		archivetest.Item{":y": text("2"), ":one": num(1), ":n": num(3)})
	want := key("a", "b")
	want["n"], want["hits"] = num(2), num(2)
	want["m"] = &types.AttributeValueMemberM{Value: archivetest.Item{"x": text("1"), "y": text("2")}}
	if diff := cmp.Diff(it, want, exported); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	_, err = update(t, table, "SET n = :n", "n >= :n", archivetest.Item{":n": num(3)})
	failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	if !ok || failed.Item["hits"] == nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"SET pk = :n", "SET n = :m", "SET n = :n, n = :n", "SET m.x = :n REMOVE m", "SET state = :n", "n = :n", "SET q.x = :n", "ADD m :n"} {
		if _, err := update(t, table, wrong, "", archivetest.Item{":n": num(3)}); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	table := archivetest.NewTable()
	for i := range 30 {
		it := key("p", fmt.Sprintf("k%02d", i))
		it["n"] = num(i)
		if _, err := table.PutItem(t.Context(), &dynamodb.PutItemInput{Item: it}); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		where, filter string
		reverse       bool
		values        archivetest.Item
		want          string
	}{
		{"pk = :p AND sk BETWEEN :a AND :b", "", false, archivetest.Item{":p": text("p"), ":a": text("k03"), ":b": text("k05")}, "[k03 k04 k05]"},
		{"pk = :p AND begins_with(sk, :a)", "", true, archivetest.Item{":p": text("p"), ":a": text("k2")}, "[k29 k28 k27 k26 k25 k24 k23 k22 k21 k20]"},
		{"sk > :a AND pk = :p", "n < :n", false, archivetest.Item{":p": text("p"), ":a": text("k26"), ":n": num(29)}, "[k27 k28]"},
		{"pk = :p AND sk < :a", "", false, archivetest.Item{":p": text("q"), ":a": text("k26")}, "[]"},
	}
	for _, tt := range tests {
		in := &dynamodb.QueryInput{KeyConditionExpression: &tt.where, ExpressionAttributeValues: tt.values, ScanIndexForward: aws.Bool(!tt.reverse), Limit: aws.Int32(2)}
		if tt.filter != "" {
			in.FilterExpression = &tt.filter
		}
		found := []string{}
		for {
			out, err := table.Query(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range out.Items {
				found = append(found, it["sk"].(*types.AttributeValueMemberS).Value)
			}
			if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
				break
			}
		}
		if fmt.Sprint(found) != tt.want {
			t.Errorf("%s %s: %v, want %s", tt.where, tt.filter, found, tt.want)
		}
	}
	for _, wrong := range []string{"sk = :p", "pk > :p", "pk = :p AND n = :p", "pk = :p OR sk = :p", "pk = :p AND sk <> :p"} {
		if _, err := table.Query(t.Context(), &dynamodb.QueryInput{KeyConditionExpression: &wrong, ExpressionAttributeValues: archivetest.Item{":p": text("p")}}); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

func TestTransaction(t *testing.T) {
	t.Parallel()
	table := archivetest.NewTable()
	put := func(sk, condition string) types.TransactWriteItem {
		return types.TransactWriteItem{Put: &types.Put{Item: key("p", sk), ConditionExpression: &condition}}
	}
	transact := func(items ...types.TransactWriteItem) error {
		_, err := table.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: items})
		return err
	}
	if err := transact(put("a", "attribute_not_exists(pk)"), put("b", "attribute_not_exists(pk)")); err != nil {
		t.Fatal(err)
	}
	err := transact(put("c", "attribute_not_exists(pk)"), put("b", "attribute_not_exists(pk)"))
	canceled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok || *canceled.CancellationReasons[0].Code != "None" || *canceled.CancellationReasons[1].Code != "ConditionalCheckFailed" {
		t.Fatal(err)
	}
	if got := table.Keys(); len(got) != 2 {
		t.Errorf("a canceled transaction left %v", got)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	table := archivetest.NewTable()
	lost := errors.New("no answer")
	table.Inject(func(c archivetest.Call) archivetest.Fault {
		switch {
		case c.Operation == "PutItem":
			return archivetest.Fault{Err: lost, AfterEffect: c.N == 1}
		case c.Operation == "BatchWriteItem" && c.N == 1:
			return archivetest.Fault{Unprocessed: 1}
		default:
			return archivetest.Fault{}
		}
	})
	for _, sk := range []string{"took effect", "did not"} {
		if _, err := table.PutItem(context.Background(), &dynamodb.PutItemInput{Item: key("p", sk)}); !errors.Is(err, lost) {
			t.Fatal(err)
		}
	}
	if table.Item("p", "took effect") == nil || table.Item("p", "did not") != nil {
		t.Error(table.Keys())
	}
	requests := []types.WriteRequest{
		{DeleteRequest: &types.DeleteRequest{Key: key("p", "took effect")}}, {PutRequest: &types.PutRequest{Item: key("p", "x")}},
	}
	out, err := table.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"t": requests}})
	if err != nil || len(out.UnprocessedItems["t"]) != 1 || len(table.Keys()) != 0 {
		t.Fatal(out, err, table.Keys())
	}
	if got := table.Calls(); got["PutItem"] != 2 || got["BatchWriteItem"] != 1 {
		t.Error(got)
	}
}
