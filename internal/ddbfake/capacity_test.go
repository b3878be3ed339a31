package ddbfake_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

// filled is an item of so many bytes.
func filled(id string, size int, more item) item {
	it := item{"id": s(id), "x": s("")}
	for name, v := range more {
		it[name] = v
	}
	total := 0
	for name, v := range it {
		total += len(name)
		if v, ok := v.(*types.AttributeValueMemberS); ok {
			total += len(v.Value)
		}
	}
	it["x"] = s(strings.Repeat("x", size-total))
	return it
}

// A write unit is 1 KB and a read unit 4 KB of the whole item, an eventually
// consistent read costs half and a transaction twice, and each index costs its
// own entry
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html,
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html).
func TestUnits(t *testing.T) {
	t.Parallel()
	type units = map[string]ddbfake.Units
	key := item{"id": s("a")}
	tenant := item{"tenant_shard": s("x")}
	failed := item{"tenant_shard": s("x"), "failure_shard": s("f"), "failure_key": s("k")}
	change := func(expression string, values item) func(*testing.T, *ddbfake.DB) {
		return func(t *testing.T, db *ddbfake.DB) {
			t.Helper()
			_, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("t"), Key: key, UpdateExpression: &expression, ExpressionAttributeValues: values})
			if err != nil {
				t.Error(err)
			}
		}
	}
	read := func(id string, consistent bool) func(*testing.T, *ddbfake.DB) {
		return func(t *testing.T, db *ddbfake.DB) { t.Helper(); get(t, db, id, consistent) }
	}
	for name, tt := range map[string]struct {
		before item
		do     func(*testing.T, *ddbfake.DB)
		want   units
	}{
		"a put of 1 KB":                {nil, func(t *testing.T, db *ddbfake.DB) { t.Helper(); put(t, db, "t", filled("a", 1024, nil)) }, units{"": {Write: 1}}},
		"a put of a byte more":         {nil, func(t *testing.T, db *ddbfake.DB) { t.Helper(); put(t, db, "t", filled("a", 1025, nil)) }, units{"": {Write: 2}}},
		"a put into an index":          {nil, func(t *testing.T, db *ddbfake.DB) { t.Helper(); put(t, db, "t", filled("a", 3000, tenant)) }, units{"": {Write: 3}, "by_tenant": {Write: 1}}},
		"a put in the place of larger": {filled("a", 9000, nil), func(t *testing.T, db *ddbfake.DB) { t.Helper(); put(t, db, "t", filled("a", 10, nil)) }, units{"": {Write: 9}}},
		"an update of a whole item":    {filled("a", 3000, tenant), change("SET n = :n", item{":n": n("1")}), units{"": {Write: 3}}},
		"an update of what is projected": {
			filled("a", 100, failed), change("SET run = :n", item{":n": n("1")}), units{"": {Write: 1}, "by_failure": {Write: 1}},
		},
		"an update of an index's key": {
			filled("a", 100, failed), change("SET failure_key = :k", item{":k": s("l")}), units{"": {Write: 1}, "by_failure": {Write: 2}},
		},
		"a removal from an index": {filled("a", 100, failed), change("REMOVE failure_key", nil), units{"": {Write: 1}, "by_failure": {Write: 1}}},
		"a deletion": {filled("a", 3000, failed), func(t *testing.T, db *ddbfake.DB) {
			t.Helper()
			if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("t"), Key: key}); err != nil {
				t.Error(err)
			}
		}, units{"": {Write: 3}, "by_tenant": {Write: 1}, "by_failure": {Write: 1}}},
		"a failed condition": {filled("a", 3000, tenant), func(t *testing.T, db *ddbfake.DB) {
			t.Helper()
			_, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: aws.String("t"), Key: key, UpdateExpression: aws.String("REMOVE n"), ConditionExpression: aws.String("attribute_not_exists(x)"),
			})
			if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); !ok {
				t.Error(err)
			}
		}, units{"": {Write: 3}}},
		"a transaction": {nil, func(t *testing.T, db *ddbfake.DB) {
			t.Helper()
			if err := transact(t, db, "", putAction("a", tenant), putAction("b", nil)); err != nil {
				t.Error(err)
			}
		}, units{"": {Write: 4}, "by_tenant": {Write: 2}}},
		"a consistent read of 4 KB": {filled("a", 4096, nil), read("a", true), units{"": {Read: 1}}},
		"of a byte more":            {filled("a", 4097, nil), read("a", true), units{"": {Read: 2}}},
		"an eventual read":          {filled("a", 4097, nil), read("a", false), units{"": {Read: 1}}},
		"a read of nothing":         {nil, read("a", false), units{"": {Read: 0.5}}},
		"a query of an index": {filled("a", 9000, tenant), func(t *testing.T, db *ddbfake.DB) {
			t.Helper()
			listed(t, db, "by_tenant", "tenant_shard = :t", item{":t": s("x")})
		}, units{"by_tenant": {Read: 0.5}}},
		"a scan": {filled("a", 9000, nil), func(t *testing.T, db *ddbfake.DB) {
			t.Helper()
			if _, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("t")}); err != nil {
				t.Error(err)
			}
		}, units{"": {Read: 1.5}}},
		"a batch of reads": {filled("a", 4097, nil), func(t *testing.T, db *ddbfake.DB) {
			t.Helper()
			_, err := db.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"t": {Keys: []map[string]types.AttributeValue{key, {"id": s("b")}}}}})
			if err != nil {
				t.Error(err)
			}
		}, units{"": {Read: 1.5}}},
		"TTL costs nothing": {filled("a", 3000, nil), func(t *testing.T, db *ddbfake.DB) { t.Helper(); db.Remove("t", key) }, units{}},
	} {
		db := newDB(nil)
		if tt.before != nil {
			put(t, db, "t", tt.before)
		}
		db.ResetUnits()
		tt.do(t, db)
		if d := cmp.Diff(db.Units("t"), tt.want); d != "" {
			t.Errorf("%s (-got +want):\n%s", name, d)
		}
	}
}

// What a request consumed is in its answer, if it is asked for.
func TestConsumedCapacity(t *testing.T) {
	t.Parallel()
	db := newDB(nil)
	in := &dynamodb.PutItemInput{TableName: aws.String("t"), Item: filled("a", 2000, item{"tenant_shard": s("x")}), ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes}
	out, err := db.PutItem(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	c := out.ConsumedCapacity
	if *c.CapacityUnits != 3 || *c.Table.CapacityUnits != 2 || *c.GlobalSecondaryIndexes["by_tenant"].CapacityUnits != 1 || *c.TableName != "t" {
		t.Errorf("%+v", c)
	}
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	if out, err = db.PutItem(t.Context(), in); err != nil || *out.ConsumedCapacity.CapacityUnits != 2 || out.ConsumedCapacity.Table != nil {
		t.Errorf("%+v, %v", out, err)
	}
}

// A partition takes 1,000 write units and 3,000 read units a second
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html).
func TestPartitionLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDB(&ddbfake.Options{PartitionLimits: true})
		written := func(prefix string, shard func(i int) string) (taken int) {
			for i := range 1500 {
				_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("t"), Item: item{"id": s(prefix + fmt.Sprint(i)), "tenant_shard": s(shard(i))}})
				if err == nil {
					taken++
				} else if _, ok := errors.AsType[*types.ProvisionedThroughputExceededException](err); !ok {
					t.Fatal(err)
				}
			}
			return taken
		}
		// Each item is a partition of the table, and all are one of the index.
		hot := func(int) string { return "hot" }
		if got := written("a", hot); got != 1000 {
			t.Errorf("one partition of an index took %d writes in a second", got)
		}
		if got := written("b", func(i int) string { return fmt.Sprint(i) }); got != 1500 {
			t.Errorf("many partitions took %d writes", got)
		}
		time.Sleep(time.Second / 2)
		if got := written("c", hot); got != 500 {
			t.Errorf("half a second later %d writes", got)
		}

		time.Sleep(time.Second)
		taken := 0
		for range 4000 {
			_, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("t"), Key: item{"id": s("a1")}, ConsistentRead: aws.Bool(true)})
			if err == nil {
				taken++
			}
		}
		if taken != 3000 {
			t.Errorf("one item was read %d times in a second", taken)
		}
	})
}
