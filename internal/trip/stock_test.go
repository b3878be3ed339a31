package trip_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

// lay puts items into a table as they are.
func lay(t *testing.T, db *archivetest.Table, items ...item) {
	t.Helper()
	for _, it := range items {
		if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("r"), Item: it}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStock(t *testing.T) {
	t.Parallel()
	db := archivetest.NewTable()
	s := trip.NewStock(db, "reservations")
	if items, all, err := s.All(t.Context()); len(items) > 0 || !all || err != nil {
		t.Errorf("an empty table has %v, %t, %v", items, all, err)
	}
	want := []trip.Item{{ID: "car-1", Available: 2}, {ID: "flight-1", Available: 0}, {ID: "hotel-1", Available: 7}}
	if err := s.Put(t.Context(), []trip.Item{{ID: "hotel-1", Available: 1}, want[1], want[0]}); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), want[2:]); err != nil { // whatever there was
		t.Fatal(err)
	}
	lay(t, db, reserved(1), saga(1)) // which are no stock
	got, all, err := s.All(t.Context())
	if diff := cmp.Diff(got, want); diff != "" || !all || err != nil {
		t.Errorf("All = %t, %v (-got +want)\n%s", all, err, diff)
	}
	got, err = s.Get(t.Context(), []string{"hotel-1", "hotel-2", "car-1"})
	if diff := cmp.Diff(got, []trip.Item{want[2], want[0]}); diff != "" || err != nil {
		t.Errorf("Get = %v (-got +want)\n%s", err, diff)
	}
}

// What was just put is there.
func TestStockIsConsistent(t *testing.T) {
	t.Parallel()
	db := archivetest.NewTable()
	db.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Stale: true} })
	s := trip.NewStock(db, "reservations")
	if err := s.Put(t.Context(), []trip.Item{{ID: "hotel-1", Available: 1}}); err != nil {
		t.Fatal(err)
	}
	if items, err := s.Get(t.Context(), []string{"hotel-1"}); len(items) != 1 || err != nil {
		t.Errorf("Get = %v, %v", items, err)
	}
	if items, _, err := s.All(t.Context()); len(items) != 1 || err != nil {
		t.Errorf("All = %v, %v", items, err)
	}
}

// The stock lies among reservations that take pages.
func TestStockOfManyPages(t *testing.T) {
	t.Parallel()
	db := archivetest.NewTable()
	s := trip.NewStock(db, "reservations")
	var want []trip.Item
	for i := range trip.MaxItems {
		want = append(want, trip.Item{ID: fmt.Sprintf("hotel-%03d", i), Available: i})
	}
	if err := s.Put(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		it := item{"pk": text(fmt.Sprintf("item#hotel-%03d#", i*8)), "sk": text("BookHotel"), "traveler": text(strings.Repeat("x", 390<<10))}
		lay(t, db, it)
	}
	db.ResetCalls()
	got, all, err := s.All(t.Context())
	if diff := cmp.Diff(got, want); diff != "" || !all || err != nil {
		t.Errorf("All = %t, %v (-got +want)\n%s", all, err, diff)
	}
	if n := db.Calls()["Scan"]; n < 4 {
		t.Errorf("%d pages", n)
	}
	// One more than are answered, which is behind them.
	if err := s.Put(t.Context(), []trip.Item{{ID: "hotel-100"}}); err != nil {
		t.Fatal(err)
	}
	got, all, err = s.All(t.Context())
	if diff := cmp.Diff(got, want); diff != "" || all || err != nil {
		t.Errorf("All = %t, %v (-got +want)\n%s", all, err, diff)
	}
}

// endless is a table of which every page has an item and another page behind it.
type endless struct {
	*archivetest.Table
	pages int
}

func (e *endless) Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	e.pages++
	it := stock(100 - e.pages)
	return &dynamodb.ScanOutput{Items: []item{it}, LastEvaluatedKey: item{"pk": it["pk"], "sk": it["sk"]}}, nil
}

// A look through a table is bounded, and says that it did not see all.
func TestStockWithoutEnd(t *testing.T) {
	t.Parallel()
	e := &endless{Table: archivetest.NewTable()}
	items, all, err := trip.NewStock(e, "reservations").All(t.Context())
	if len(items) != 50 || e.pages != 50 || all || err != nil {
		t.Errorf("%d items of %d pages, %t, %v", len(items), e.pages, all, err)
	}
	if !slices.IsSortedFunc(items, func(a, b trip.Item) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("not in order")
	}
}

func TestStockFails(t *testing.T) {
	t.Parallel()
	db := archivetest.NewTable()
	down := errors.New("no connection")
	db.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: down} })
	s := trip.NewStock(db, "reservations")
	if err := s.Put(t.Context(), []trip.Item{{ID: "hotel-1"}}); !errors.Is(err, down) || err.Error() != "put hotel-1: no connection" {
		t.Errorf("Put = %v", err)
	}
	if items, err := s.Get(t.Context(), []string{"hotel-1"}); !errors.Is(err, down) || items != nil {
		t.Errorf("Get = %v, %v", items, err)
	}
	if items, all, err := s.All(t.Context()); !errors.Is(err, down) || items != nil || all {
		t.Errorf("All = %v, %t, %v", items, all, err)
	}
}
