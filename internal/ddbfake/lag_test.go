package ddbfake_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

// listed are the ids in an index.
func listed(t *testing.T, db *ddbfake.DB, index, condition string, values item) string {
	t.Helper()
	out, err := db.Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String("t"), IndexName: &index, KeyConditionExpression: &condition, ExpressionAttributeValues: values,
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, it := range out.Items {
		ids = append(ids, it["id"].(*types.AttributeValueMemberS).Value)
	}
	return strings.Join(ids, " ")
}

// An index, and a read that is not strongly consistent, may be late
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html,
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html).
func TestLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDB(&ddbfake.Options{Seed: 7, Lag: time.Second})
		tenant := func() string { return listed(t, db, "by_tenant", "tenant_shard = :t", item{":t": s("x")}) }
		var want []string
		for i := range 20 {
			id := fmt.Sprintf("k%02d", i)
			want = append(want, id)
			put(t, db, "t", item{"id": s(id), "tenant_shard": s("x")})
		}
		stale, missed := 0, len(strings.Fields(tenant()))
		for _, id := range want {
			if get(t, db, id, true) == nil {
				t.Errorf("a consistent read does not see %s", id)
			}
			if get(t, db, id, false) == nil {
				stale++
			}
		}
		if stale < 5 || stale == 20 || missed > 3 {
			t.Errorf("at once %d of 20 reads are stale, and the index has %d", stale, missed)
		}
		time.Sleep(500 * time.Millisecond)
		if n := len(strings.Fields(tenant())); n < 5 || n > 15 {
			t.Errorf("after half the lag the index has %d of 20", n)
		}
		time.Sleep(500 * time.Millisecond)
		if got := tenant(); got != strings.Join(want, " ") {
			t.Errorf("after the lag the index has %s", got)
		}
		for _, id := range want {
			if get(t, db, id, false) == nil {
				t.Errorf("after the lag a read does not see %s", id)
			}
		}

		// The writes of one item come in their order.
		for i := range 10 {
			put(t, db, "t", item{"id": s("k00"), "tenant_shard": s(fmt.Sprint(i))})
		}
		last := -1
		for range 50 {
			for i := range 10 {
				if listed(t, db, "by_tenant", "tenant_shard = :t", item{":t": s(fmt.Sprint(i))}) != "" {
					if i < last {
						t.Errorf("the index went back from %d to %d", last, i)
					}
					last = i
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		if last != 9 {
			t.Errorf("the index has ended with %d", last)
		}
	})
}

func TestFreshReads(t *testing.T) {
	t.Parallel()
	db := newDB(&ddbfake.Options{Lag: time.Hour, FreshReads: true})
	for i := range 20 {
		id := fmt.Sprint(i)
		put(t, db, "t", item{"id": s(id), "tenant_shard": s("x")})
		if get(t, db, id, false) == nil {
			t.Errorf("a read of the table does not see %s", id)
		}
	}
	if got := listed(t, db, "by_tenant", "tenant_shard = :t", item{":t": s("x")}); got != "" {
		t.Errorf("at once the index has %s", got)
	}
}

// An index is sparse, has what it projects, and no consistent reads
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html).
func TestIndexes(t *testing.T) {
	t.Parallel()
	db := newDB(nil)
	failure := func() string { return listed(t, db, "by_failure", "failure_shard = :s", item{":s": s("f")}) }
	full := item{"id": s("a"), "failure_shard": s("f"), "failure_key": s("k"), "type": s("x"), "run": n("1"), "other": s("y")}
	put(t, db, "t", full, item{"id": s("b"), "failure_shard": s("f")}, item{"id": s("c"), "failure_key": s("k")})
	if got := failure(); got != "a" {
		t.Errorf("the index has %s", got)
	}
	in := &dynamodb.QueryInput{
		TableName: aws.String("t"), IndexName: aws.String("by_failure"), KeyConditionExpression: aws.String("failure_shard = :s"), ExpressionAttributeValues: item{":s": s("f")},
	}
	out, err := db.Query(t.Context(), in)
	want := item{"id": s("a"), "failure_shard": s("f"), "failure_key": s("k"), "type": s("x"), "run": n("1")}
	if err != nil || diff(out.Items[0], want) != "" {
		t.Errorf("%v, %v", out, err)
	}
	in.Select = types.SelectAllAttributes
	_, err = db.Query(t.Context(), in)
	refused(t, "all attributes", err, "projection type is not ALL")
	in.Select, in.ConsistentRead = "", aws.Bool(true)
	_, err = db.Query(t.Context(), in)
	refused(t, "consistent", err, "Consistent reads are not supported")
	_, err = db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("t"), IndexName: aws.String("by_failure"), ConsistentRead: aws.Bool(true)})
	refused(t, "consistent scan", err, "Consistent reads are not supported")
	scan, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("t"), IndexName: aws.String("by_failure")})
	if err != nil || scan.Count != 1 {
		t.Errorf("%v, %v", scan, err)
	}

	delete(full, "failure_key")
	put(t, db, "t", full)
	put(t, db, "t", item{"id": s("b"), "failure_shard": s("f"), "failure_key": s("k")})
	if got := failure(); got != "b" {
		t.Errorf("after a change the index has %s", got)
	}
	db.Remove("t", item{"id": s("b")})
	if got := failure(); got != "" {
		t.Errorf("after a removal the index has %s", got)
	}
}

// A page has 1 MB or the limit, counted before the filter, and a last key also
// when the filter drops all
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html,
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html).
func TestPages(t *testing.T) {
	t.Parallel()
	db := newDB(nil)
	for i := range 10 {
		put(t, db, "c", item{"pk": s("p"), "sk": n(fmt.Sprint(i)), "x": s(strings.Repeat("x", 300_000))})
	}
	query := func(change func(*dynamodb.QueryInput)) (*dynamodb.QueryOutput, error) {
		in := &dynamodb.QueryInput{TableName: aws.String("c"), KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: item{":p": s("p")}}
		change(in)
		return db.Query(t.Context(), in)
	}
	out, err := query(func(*dynamodb.QueryInput) {})
	if err != nil || out.Count != 4 || out.ScannedCount != 4 || diff(out.LastEvaluatedKey, item{"pk": s("p"), "sk": n("3")}) != "" {
		t.Errorf("a page has %d items and the key %v, %v", out.Count, out.LastEvaluatedKey, err)
	}
	out, err = query(func(in *dynamodb.QueryInput) {
		in.Limit, in.FilterExpression = aws.Int32(2), aws.String("attribute_not_exists(x)")
	})
	if err != nil || out.Count != 0 || out.ScannedCount != 2 || out.LastEvaluatedKey == nil || len(out.Items) > 0 {
		t.Errorf("with a filter: %+v, %v", out, err)
	}
	out, err = query(func(in *dynamodb.QueryInput) {
		in.Limit, in.ExclusiveStartKey = aws.Int32(2), item{"pk": s("p"), "sk": n("7.5")} // where nothing is
	})
	if err != nil || out.Count != 2 || diff(out.LastEvaluatedKey, item{"pk": s("p"), "sk": n("9")}) != "" {
		t.Errorf("the last page: %d items, %v, %v", out.Count, out.LastEvaluatedKey, err)
	}
	out, err = query(func(in *dynamodb.QueryInput) { in.Select = types.SelectCount })
	if err != nil || out.Count != 4 || len(out.Items) > 0 {
		t.Errorf("counted %d, %v", out.Count, err)
	}
	for name, tt := range map[string]struct {
		change func(*dynamodb.QueryInput)
		want   string
	}{
		"no limit":            {func(in *dynamodb.QueryInput) { in.Limit = aws.Int32(0) }, "greater than or equal to 1"},
		"a filter on a key":   {func(in *dynamodb.QueryInput) { in.FilterExpression = aws.String("sk = sk") }, "non-primary key attributes"},
		"another partition":   {func(in *dynamodb.QueryInput) { in.ExclusiveStartKey = item{"pk": s("q"), "sk": n("1")} }, "outside query boundaries"},
		"half a place":        {func(in *dynamodb.QueryInput) { in.ExclusiveStartKey = item{"pk": s("p")} }, "starting key is invalid"},
		"a place of no index": {func(in *dynamodb.QueryInput) { in.ExclusiveStartKey = item{"pk": s("p"), "x": n("1")} }, "starting key is invalid"},
		"a key of a type":     {func(in *dynamodb.QueryInput) { in.ExpressionAttributeValues[":p"] = n("1") }, "type does not match schema"},
		"an empty key":        {func(in *dynamodb.QueryInput) { in.ExpressionAttributeValues[":p"] = s("") }, "empty string value"},
		"a range key's type":  {func(in *dynamodb.QueryInput) { in.KeyConditionExpression = aws.String("pk = :p AND sk > :p") }, "type does not match schema"},
		"a prefix's type": {func(in *dynamodb.QueryInput) {
			in.KeyConditionExpression, in.ExpressionAttributeValues[":v"] = aws.String("pk = :p AND begins_with(sk, :v)"), n("1")
		}, "operator or function: begins_with, operand type: N"},
		"two of a key": {func(in *dynamodb.QueryInput) { in.KeyConditionExpression = aws.String("pk = :p AND pk = :p") }, "two conditions on one key"},
		"parts of all": {func(in *dynamodb.QueryInput) {
			in.Select, in.ProjectionExpression = types.SelectAllAttributes, aws.String("x")
		}, "ProjectionExpression"},
		"an index that is not": {func(in *dynamodb.QueryInput) { in.IndexName = aws.String("none") }, "does not have the specified index"},
	} {
		_, err := query(tt.change)
		refused(t, name, err, tt.want)
	}

	seen, pages := 0, 0
	for in := (&dynamodb.ScanInput{TableName: aws.String("c")}); ; pages++ {
		out, err := db.Scan(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		seen += int(out.Count)
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			break
		}
	}
	if seen != 10 || pages != 2 {
		t.Errorf("a scan saw %d items on %d pages before the last", seen, pages)
	}
}

// Items stay after their TTL until they are removed, which the stream tells
// apart
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html).
func TestTTL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDB(nil)
		at := func(d time.Duration) types.AttributeValue { return n(fmt.Sprint(time.Now().Add(d).Unix())) }
		put(t, db, "t", item{"id": s("soon"), "expires_at": at(time.Minute)}, item{"id": s("later"), "expires_at": at(time.Hour)},
			item{"id": s("text"), "expires_at": s("1")}, item{"id": s("never")}, item{"id": s("old"), "expires_at": at(-6 * 365 * 24 * time.Hour)})
		time.Sleep(2 * time.Minute)
		if get(t, db, "soon", true) == nil {
			t.Error("an item is gone when its TTL ends")
		}
		if n := db.ExpireTTL(); n != 1 || get(t, db, "soon", true) != nil || len(db.Items("t")) != 4 {
			t.Errorf("%d items are removed, and %d left", n, len(db.Items("t")))
		}
		records := db.Records("t", "", 10)
		r := records[len(records)-1]
		if r.EventName != "REMOVE" || aws.ToString(r.UserIdentity.PrincipalId) != "dynamodb.amazonaws.com" || *r.UserIdentity.Type != "Service" {
			t.Errorf("%+v", r)
		}
	})
}

// BenchmarkItems writes and reads among ten thousand items.
func BenchmarkItems(b *testing.B) {
	db := newDB(nil)
	id := func(i int) types.AttributeValue { return s(fmt.Sprintf("%08x", uint32(i*2654435761))) }
	write := func(i int) {
		_, err := db.PutItem(b.Context(), &dynamodb.PutItemInput{TableName: aws.String("t"), Item: item{"id": id(i), "tenant_shard": s("x"), "n": n("1")}})
		if err != nil {
			b.Fatal(err)
		}
	}
	for i := range 10_000 {
		write(i)
	}
	in := &dynamodb.QueryInput{
		TableName: aws.String("t"), IndexName: aws.String("by_tenant"), KeyConditionExpression: aws.String("tenant_shard = :t"),
		ExpressionAttributeValues: item{":t": s("x")}, Limit: aws.Int32(100),
	}
	for i := 0; b.Loop(); i++ {
		write(10_000 + i%1000)
		if out, err := db.Query(b.Context(), in); err != nil || out.Count != 100 {
			b.Fatal(out, err)
		}
	}
}
