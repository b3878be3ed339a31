package admin

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/task"
)

const maxAvailable = 1_000_000_000

func inventoryPut(ctx context.Context, a *Admin, q adminapi.InventoryPutRequest) (*adminapi.InventoryAnswer, error) {
	if n := len(q.Items); n == 0 || n > trip.MaxItems {
		return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf(`"items" has %d: give 1 to %d, each as {"id":"hotel-1","available":10}`, n, trip.MaxItems)}
	}
	items := make([]trip.Item, 0, len(q.Items))
	seen := map[string]bool{}
	for _, i := range q.Items {
		if err := trip.CheckID(i.ID); err != nil {
			return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("item %q: %v", task.CleanText(i.ID, 64), err)}
		}
		if i.Available == nil {
			return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("item %s: available is missing: give 0 to %d", i.ID, maxAvailable)}
		}
		if n := *i.Available; n < 0 || n > maxAvailable {
			return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("item %s: available is %d: give 0 to %d", i.ID, n, maxAvailable)}
		}
		if seen[i.ID] {
			return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("item %s is there twice: give each once", i.ID)}
		}
		seen[i.ID] = true
		items = append(items, trip.Item{ID: i.ID, Available: *i.Available})
	}
	if err := a.Stock.Put(ctx, items); err != nil {
		return nil, err
	}
	slog.InfoContext(ctx, "stock set", slog.Int("items", len(items)), slog.String("by", task.CleanText(q.By, maxBy)))
	return stockOf(items, false), nil
}

func inventoryGet(ctx context.Context, a *Admin, q adminapi.InventoryGetRequest) (*adminapi.InventoryAnswer, error) {
	if n := len(q.IDs); n > trip.MaxItems {
		return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf(`"ids" has %d: give at most %d, or none for all`, n, trip.MaxItems)}
	}
	for _, id := range q.IDs {
		if err := trip.CheckID(id); err != nil {
			return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("id %q: %v", task.CleanText(id, 64), err)}
		}
	}
	if len(q.IDs) > 0 {
		items, err := a.Stock.Get(ctx, q.IDs)
		if err != nil {
			return nil, err
		}
		return stockOf(items, false), nil
	}
	items, all, err := a.Stock.All(ctx)
	if err != nil {
		return nil, err
	}
	return stockOf(items, !all), nil
}

func stockOf(items []trip.Item, more bool) *adminapi.InventoryAnswer {
	out := &adminapi.InventoryAnswer{Items: make([]adminapi.StockItem, len(items)), More: more}
	for i, item := range items {
		out.Items[i] = adminapi.StockItem(item)
	}
	return out
}
