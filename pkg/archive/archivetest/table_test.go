package archivetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

func text(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

func num(n int) types.AttributeValue { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }

func key(pk, sk string) archivetest.Item {
	return archivetest.Item{"pk": text(pk), "sk": text(sk)}
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
