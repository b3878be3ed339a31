package ddbfake_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

// row is an item of the model.
type row struct{ shard, key string }

// TestModel writes at random. After the lag, index, table and stream agree with
// a map, page by page and in both directions.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [3]int {
			return [3]int{rapid.IntRange(0, 5).Draw(t, "id"), rapid.IntRange(0, 2).Draw(t, "shard"), rapid.IntRange(0, 4).Draw(t, "key")}
		}), 0, 40).Draw(rt, "steps")
		limit, forward := rapid.Int32Range(1, 4).Draw(rt, "limit"), rapid.Bool().Draw(rt, "forward")
		var problem string
		synctest.Test(t, func(t *testing.T) { problem = agrees(t, seed, steps, limit, forward) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func agrees(t *testing.T, seed uint64, steps [][3]int, limit int32, forward bool) string {
	t.Helper()
	db := newDB(&ddbfake.Options{Seed: seed, Lag: time.Second})
	model := map[string]row{}
	for _, step := range steps {
		id, r := fmt.Sprint("k", step[0]), row{fmt.Sprint(step[1]), fmt.Sprint(step[2])}
		if step[2] == 4 {
			delete(model, id)
			if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("t"), Key: item{"id": s(id)}}); err != nil {
				return err.Error()
			}
			continue
		}
		it := item{"id": s(id), "failure_shard": s(r.shard)}
		if step[2] > 0 { // else not in the index
			it["failure_key"] = s(r.key)
		} else {
			r.key = ""
		}
		model[id] = r
		put(t, db, "t", it)
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(time.Second)
	for shard := range 3 {
		want := sorted(model, fmt.Sprint(shard))
		if !forward {
			slices.Reverse(want)
		}
		if got := inPages(t, db, fmt.Sprint(shard), limit, forward); !slices.Equal(got, want) {
			return fmt.Sprintf("shard %d has %v, want %v", shard, got, want)
		}
	}
	if got := len(db.Items("t")); got != len(model) {
		return fmt.Sprintf("the table has %d items, want %d", got, len(model))
	}
	streamed := map[string]bool{}
	for _, r := range db.Records("t", "", 1000) {
		id := fmt.Sprint(r.Dynamodb.Keys["id"])
		if was := streamed[id]; was == (r.EventName == "INSERT") {
			return fmt.Sprintf("the stream has %s of an item that is there: %t", r.EventName, was)
		}
		streamed[id] = r.EventName != "REMOVE"
	}
	return ""
}

// sorted are the ids of a shard in the order of the index.
func sorted(model map[string]row, shard string) []string {
	var ids []string
	for id, r := range model {
		if r.shard == shard && r.key != "" {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(strings.Compare(model[a].key, model[b].key), strings.Compare(a, b))
	})
	return ids
}

func inPages(t *testing.T, db *ddbfake.DB, shard string, limit int32, forward bool) (ids []string) {
	t.Helper()
	in := &dynamodb.QueryInput{
		TableName: aws.String("t"), IndexName: aws.String("by_failure"), KeyConditionExpression: aws.String("failure_shard = :s"),
		ExpressionAttributeValues: item{":s": s(shard)}, Limit: &limit, ScanIndexForward: &forward,
	}
	for {
		out, err := db.Query(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range out.Items {
			ids = append(ids, it["id"].(*types.AttributeValueMemberS).Value)
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			return ids
		}
	}
}
