package tasktable_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// What each method costs in calls. Reads are part of it: there are none where
// none is listed.
func TestCalls(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.create(10)
	b.calls("creating 10", map[string]int{"PutItem": 10})

	rows := b.claim(t.Context(), ids...)
	b.calls("claiming 10", map[string]int{"BatchExecuteStatement": 1})

	settlements := make([]tasktable.Settlement, len(rows))
	for i, r := range rows {
		settlements[i] = tasktable.Succeed(r, []byte(`{"ok":true}`))
	}
	settlements[3] = tasktable.Retry(rows[3], task.Failure{Code: "x"}, time.Now().Add(-time.Second))
	settlements[4] = tasktable.Release(rows[4])
	b.Settle(t.Context(), settlements)
	b.calls("settling 10", map[string]int{"BatchExecuteStatement": 1})

	b.Claim(t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), ids[:3])
	b.calls("3 duplicates", map[string]int{"BatchExecuteStatement": 1})

	lone := b.claim(t.Context(), ids[4])[0]
	b.calls("claiming 1", map[string]int{"UpdateItem": 1})
	b.Settle(t.Context(), []tasktable.Settlement{tasktable.Fail(lone, task.Failure{Code: "x"})})
	b.calls("settling 1", map[string]int{"UpdateItem": 1})

	b.Claim(t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), nil)
	b.Settle(t.Context(), nil)
	b.Expire(t.Context(), nil)
	b.calls("nothing", map[string]int{})

	again := b.claim(t.Context(), ids[3])[0]
	if err := b.Charge(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Renew(t.Context(), again, time.Now().Add(time.Minute), tasktable.Renewal{State: []byte(`1`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Cancel(t.Context(), "t", again.ID); err != nil {
		t.Fatal(err)
	}
	b.calls("claim, charge, renew, cancel", map[string]int{"UpdateItem": 4, "GetItem": 1})
	b.Settle(t.Context(), []tasktable.Settlement{tasktable.Retry(again, task.Failure{Code: "x"}, time.Now())})
	b.calls("a failure after a cancel", map[string]int{"UpdateItem": 2})

	if _, err := b.Get(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	b.calls("a read", map[string]int{"GetItem": 1})
	_, _ = b.Get(t.Context(), tasktable.NewID())
	b.calls("a miss", map[string]int{"GetItem": 2})
	_, _ = b.Get(t.Context(), "not an id")
	b.calls("what is no id", map[string]int{})

	if _, err := b.List(t.Context(), tasktable.Query{Tenant: "t", Limit: 25}); err != nil {
		t.Fatal(err)
	}
	b.calls("a page", map[string]int{"Query": 4, "BatchGetItem": 1})
	if _, err := b.List(t.Context(), tasktable.Query{Tenant: "nobody", Limit: 25}); err != nil {
		t.Fatal(err)
	}
	b.calls("an empty page", map[string]int{"Query": 4})

	large := draft(tasktable.NewID())
	large.Input = json.RawMessage(`"` + strings.Repeat("x", 5000) + `"`)
	if _, err := b.Create(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	r := b.claim(t.Context(), large.ID)[0]
	if _, err := b.Input(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	b.Settle(t.Context(), []tasktable.Settlement{tasktable.Succeed(r, large.Input)})
	if _, err := b.Get(t.Context(), large.ID); err != nil {
		t.Fatal(err)
	}
	b.calls("input and result of their own", map[string]int{"PutItem": 3, "UpdateItem": 2, "GetItem": 3})
}

func TestFilteredPagesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create(1200)
	b.db.ResetCalls()
	page, err := b.List(t.Context(), tasktable.Query{Tenant: "t", Type: "none.such", Limit: 1})
	if err != nil || len(page.Rows) != 0 || page.Next == "" {
		t.Errorf("List = %+v, %v", page, err)
	}
	b.calls("a page that finds nothing", map[string]int{"Query": 20, "BatchGetItem": 5})
}

// A listing does not crawl through what is not kept any more one by one.
func TestListingOverRowsThatAreGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 150 {
		d := draft(tasktable.NewID())
		d.Deadline = time.Now().Add(-30 * 24 * time.Hour)
		if _, err := b.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	b.db.ResetCalls()
	page, err := b.List(t.Context(), tasktable.Query{Tenant: "t", Limit: 1})
	if err != nil || len(page.Rows) != 0 || page.Next != "" {
		t.Errorf("List = %+v, %v", page, err)
	}
	b.calls("1 page of 1, 1 of 100, 1 of 49", map[string]int{"Query": 12, "BatchGetItem": 3})
}

// An update is billed by the whole item, in steps of 1 KiB.
func TestSmallTasksStaySmall(t *testing.T) {
	t.Parallel()
	for _, size := range []int{2, 100, 400, 600, 700, 800, 10_000} {
		b := newBench(t)
		d := draft(tasktable.NewID())
		d.Tenant, d.Type = "AROAEXAMPLEEXAMPLE123", "webhook.deliver"
		d.Input = json.RawMessage(`"` + strings.Repeat("x", size-2) + `"`)
		r, err := b.Create(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		result := []byte(`{"status":200,"latency_ms":182,"attempt":1}`)
		r = b.claim(t.Context(), r.ID)[0]
		if got := b.Settle(t.Context(), []tasktable.Settlement{tasktable.Succeed(r, result)})[0]; got.Status != task.Succeeded {
			t.Fatalf("Settle = %+v", got)
		}
		if got := billed(b.db.Item(d.ID)); got > 1024 {
			t.Errorf("with an input of %d bytes the row has %d bytes", size, got)
		}
	}
}

// billed is the size of an item in bytes as DynamoDB's manual counts it.
func billed(it map[string]types.AttributeValue) (total int) {
	for name, v := range it {
		total += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			total += len(v.Value)
		case *types.AttributeValueMemberN:
			total += (len(v.Value)+1)/2 + 1
		default:
			panic(fmt.Sprintf("attribute %s is a %T", name, v))
		}
	}
	return total
}
