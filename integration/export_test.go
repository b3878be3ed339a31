//go:build integration

package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/awsproxy"
	trips "github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/client"
)

// An export that takes longer than its function may goes on in the next
// invocation, as the same attempt: no page is read twice into the digest, and
// none is skipped. Nothing else may use the table meanwhile, so it is not
// parallel.
func TestExport(t *testing.T) {
	table := stack.out["ReservationsTableName"]
	reserve(t, table, 300)
	items, want := exported(t, table)

	whole := exportBy(t, 1000)
	if whole.Attempts != 1 || exportResult(t, whole) != want(1000) {
		t.Errorf("in one go it is %s after %d attempts, want %+v", whole.Result, whole.Attempts, want(1000))
	}

	size := 10
	for items%size == 0 { // endpoints differ in whether an empty page follows
		size++
	}
	scans := slowScans(t, table, workerTimeout()/20)
	sliced := exportBy(t, size)
	if sliced.Attempts != 1 || exportResult(t, sliced) != want(size) {
		t.Errorf("in slices it is %s after %d attempts, want %+v", sliced.Result, sliced.Attempts, want(size))
	}
	if p := sliced.Progress; p == nil || p.Done == 0 {
		t.Errorf("its progress is %+v", p)
	}
	if sliced.StartedAt.Sub(sliced.CreatedAt) < workerTimeout()/2 {
		t.Errorf("it was submitted at %v and began its last slice at %v: it has not yielded", sliced.CreatedAt, sliced.StartedAt)
	}
	keys := scans()
	slices.Sort(keys)
	if n := len(keys); n != items/size+1 || len(slices.Compact(keys)) != n {
		t.Errorf("%d pages of %d items were read, want %d, each once", n, items, items/size+1)
	}
}

// exportBy runs an export to its end.
func exportBy(t *testing.T, pageSize int) *client.Task {
	t.Helper()
	accepted, err := stack.api.Submit(t.Context(), client.SubmitRequest{Type: trips.ExportType, Input: trips.ExportInput{PageSize: &pageSize}})
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	task := finish(t, accepted.ID)
	if task.Status != client.Succeeded {
		t.Fatalf("the export is %s (%+v)", task.Status, task.Error)
	}
	return task
}

func exportResult(t *testing.T, task *client.Task) (r trips.ExportResult) {
	t.Helper()
	if err := json.Unmarshal(task.Result, &r); err != nil {
		t.Fatalf("the result %s: %v", task.Result, err)
	}
	return r
}

// reserve fills the table with reservations that no saga has made, until the
// test is over.
func reserve(t *testing.T, table string, n int) {
	t.Helper()
	s := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	var puts, deletes []types.WriteRequest
	for i := range n {
		key := map[string]types.AttributeValue{"pk": s(fmt.Sprintf("reservation#export-test-%d-1", i)), "sk": s("BookHotel")}
		it := map[string]types.AttributeValue{
			"pk": key["pk"], "sk": key["sk"], "item": s("hotel-1"), "quantity": &types.AttributeValueMemberN{Value: strconv.Itoa(1 + i%3)},
			"traveler": s(fmt.Sprintf("Traveler %d, Ürümqi", i)), "confirmation": s(fmt.Sprintf("T-%d", i)),
		}
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
		deletes = append(deletes, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: key}})
	}
	write := func(requests []types.WriteRequest) {
		for chunk := range slices.Chunk(requests, 25) {
			left := map[string][]types.WriteRequest{table: chunk}
			for len(left) > 0 {
				out, err := stack.tables.BatchWriteItem(context.WithoutCancel(t.Context()), &dynamodb.BatchWriteItemInput{RequestItems: left})
				if err != nil {
					t.Fatalf("write reservations: %v", err)
				}
				left = out.UnprocessedItems
			}
		}
	}
	t.Cleanup(func() { write(deletes) })
	write(puts)
}

// exported reads the table at once. It returns how many items there are, and
// what an export with a page size has to find.
func exported(t *testing.T, table string) (items int, want func(pageSize int) trips.ExportResult) {
	t.Helper()
	var text strings.Builder
	count := int64(0)
	pages := dynamodb.NewScanPaginator(stack.tables, &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		items += len(page.Items)
		for _, it := range page.Items {
			if pk, ok := it["pk"].(*types.AttributeValueMemberS); !ok || !strings.HasPrefix(pk.Value, "reservation#") {
				continue
			}
			count++
			for _, name := range []string{"pk", "sk", "item", "quantity", "traveler", "confirmation"} {
				switch v := it[name].(type) {
				case *types.AttributeValueMemberS:
					fmt.Fprintf(&text, "%d:%s,", len(v.Value), v.Value)
				case *types.AttributeValueMemberN:
					fmt.Fprintf(&text, "%d:%s,", len(v.Value), v.Value)
				default:
					text.WriteString("-,")
				}
			}
		}
	}
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text.String())))
	return items, func(pageSize int) trips.ExportResult {
		return trips.ExportResult{Count: count, Pages: int64(items/pageSize + 1), Digest: digest}
	}
}

// slowScans lets every Scan of a table take a while. The function that it
// returns ends that, and tells where each of them began.
func slowScans(t *testing.T, table string, delay time.Duration) (end func() []string) {
	t.Helper()
	gate := stack.proxy.Block("dynamodb", "Scan", awsproxy.Before, func(c *awsproxy.Call) bool {
		return bytes.Contains(c.Request, []byte(strconv.Quote(table)))
	})
	ctx, cancel := context.WithCancel(t.Context())
	keys := make(chan []string, 1)
	go func() {
		var began []string
		defer func() { keys <- began }()
		for {
			held, err := gate.Next(ctx)
			if err != nil {
				return
			}
			var in struct {
				ExclusiveStartKey struct{ PK, SK struct{ S string } }
			}
			if err := json.Unmarshal(held.Call.Request, &in); err != nil {
				t.Errorf("a Scan of %s: %v", held.Call.Request, err)
			}
			began = append(began, in.ExclusiveStartKey.PK.S+" "+in.ExclusiveStartKey.SK.S)
			time.AfterFunc(delay, held.Release)
		}
	}()
	stop := func() { cancel(); gate.Open() }
	t.Cleanup(stop)
	return func() []string { stop(); return <-keys }
}
