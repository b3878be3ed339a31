package awsproxy_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/awsproxy"
)

func key(operation string) awsproxy.Key {
	return awsproxy.Key{Service: "dynamodb", Operation: operation}
}

func TestCounts(t *testing.T) {
	f := start(t, 1, nil)
	ctx := t.Context()
	if err := f.update(ctx, ""); err != nil {
		t.Fatal(err)
	}
	before := f.Snapshot()

	_ = f.update(ctx, "false")
	if err := f.update(ctx, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := f.execute(ctx, "UPDATE a", " select b", "UPDATE refused"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.sendBatch(ctx, "e0", "refused"); err != nil {
		t.Fatal(err)
	}
	id := map[string]ddbtypes.AttributeValue{"id": &ddbtypes.AttributeValueMemberS{Value: "a"}}
	if _, err := f.ddb.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("tasks"), Key: id}); err != nil {
		t.Fatal(err)
	}
	change := ddbtypes.TransactWriteItem{Delete: &ddbtypes.Delete{TableName: aws.String("tasks"), Key: id}}
	_, err := f.ddb.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []ddbtypes.TransactWriteItem{change, change}})
	if err == nil {
		t.Fatal("transaction succeeded")
	}

	used := f.Snapshot().Sub(before)
	want := awsproxy.Counts{
		key("UpdateItem"):                               {Calls: 2, Forwarded: 2, Statements: 2, Writes: 2, ConditionsFailed: 1},
		key("BatchExecuteStatement"):                    {Calls: 1, Forwarded: 1, Statements: 3, Reads: 1, Writes: 2, ConditionsFailed: 1},
		key("GetItem"):                                  {Calls: 1, Forwarded: 1, Statements: 1, Reads: 1},
		key("TransactWriteItems"):                       {Calls: 1, Forwarded: 1, Statements: 2, Writes: 2, ConditionsFailed: 1, Failed: 1},
		{Service: "sqs", Operation: "SendMessageBatch"}: {Calls: 1, Forwarded: 1, Statements: 2},
	}
	if diff := cmp.Diff(used, want); diff != "" {
		t.Error(diff)
	}
	if got := used.Of("dynamodb", ""); got.Calls != 5 || got.Reads != 2 || got.Writes != 6 {
		t.Errorf("got %+v", got)
	}
	if got := used.Calls("", ""); got != 6 {
		t.Errorf("got %d calls", got)
	}
	if lines := strings.Count(used.String(), "\n"); lines != 6 {
		t.Errorf("got\n%s", used)
	}
	conditional := func(c *awsproxy.Call) bool { return c.ConditionsFailed() > 0 }
	if got := f.Count("dynamodb", "UpdateItem", conditional); got != 1 {
		t.Errorf("got %d failed conditions", got)
	}
	if got := f.Count("dynamodb", "UpdateItem"); got != 3 {
		t.Errorf("got %d updates", got)
	}

	calls := f.Calls()
	if c := calls[0]; c.Units != 2 || c.WriteUnits != 2 || c.ReadUnits != 0 || c.Caller != "AKIDCALLER" || c.Request != nil || c.Response != nil {
		t.Errorf("logged %+v", c)
	}
	if c := calls[3]; c.Units != 3 || c.Operation != "BatchExecuteStatement" {
		t.Errorf("logged %+v", c)
	}
	if got, want := calls[3].String(), "#4 dynamodb.BatchExecuteStatement[3] by AKIDCALLER: 200, [2] ConditionalCheckFailed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLogForgets(t *testing.T) {
	f := start(t, 1, &awsproxy.Options{LogSize: 3})
	for range 5 {
		if err := f.send(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var seqs []int64
	for _, c := range f.Calls() {
		seqs = append(seqs, c.Seq)
	}
	if diff := cmp.Diff(seqs, []int64{3, 4, 5}); diff != "" {
		t.Error(diff)
	}
	if f.Forgotten() != 2 || f.Count("sqs", "") != 5 {
		t.Errorf("forgot %d, counted %d", f.Forgotten(), f.Count("sqs", ""))
	}
}

// Everything at once, for the race detector; nothing is lost or counted twice.
func TestConcurrentUse(t *testing.T) {
	f := start(t, 10, nil)
	f.Inject(awsproxy.Fault{Operation: "UpdateItem", Rate: 0.2, Error: awsproxy.Reset})
	f.Inject(awsproxy.Fault{Operation: "SendMessageBatch", Rate: 0.2, When: awsproxy.PartialAfter})
	ctx := within(t)
	const workers, rounds = 8, 25
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				if err := f.update(ctx, ""); err != nil {
					t.Error(err)
				}
				if _, err := f.sendBatch(ctx, numbered(10)...); err != nil {
					t.Error(err)
				}
				in := f.Inject(awsproxy.Fault{Operation: "nothing"})
				_ = f.Calls()
				in.Remove()
			}
		})
	}
	wg.Wait()
	got := f.Snapshot()
	update := got.Of("dynamodb", "UpdateItem")
	if update.Forwarded != workers*rounds || update.Forwarded != f.back.count("UpdateItem") || update.Calls != update.Forwarded+update.Injected {
		t.Errorf("got %+v", update)
	}
	batch := got.Of("sqs", "SendMessageBatch")
	if batch.Calls != workers*rounds || f.back.count("entry") != 10*workers*rounds {
		t.Errorf("got %+v", batch)
	}
}
