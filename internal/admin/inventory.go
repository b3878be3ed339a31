package admin

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/task"
)

type inventoryPutQuery struct {
	Items []stockOrder `json:"items"`
	By    string       `json:"by"`
}

// stockOrder is an item that is to be put. A missing number is not none: a
// misspelled one would empty the stock.
type stockOrder struct {
	ID        string `json:"id"`
	Available *int   `json:"available"`
}

type inventoryAnswer struct {
	Items []trip.Item `json:"items"`
	// More says that there are others, which only their ids get.
	More bool `json:"more,omitempty"`
}

const maxAvailable = 1_000_000_000

func inventoryPut(ctx context.Context, a *Admin, q inventoryPutQuery) (any, error) {
	if n := len(q.Items); n == 0 || n > trip.MaxItems {
		return nil, &Error{CodeInvalid, fmt.Sprintf(`"items" has %d: give 1 to %d, each as {"id":"hotel-1","available":10}`, n, trip.MaxItems)}
	}
	items := make([]trip.Item, 0, len(q.Items))
	seen := map[string]bool{}
	for _, i := range q.Items {
		if err := trip.CheckID(i.ID); err != nil {
			return nil, &Error{CodeInvalid, fmt.Sprintf("item %q: %v", task.CleanText(i.ID, 64), err)}
		}
		if i.Available == nil {
			return nil, &Error{CodeInvalid, fmt.Sprintf("item %s: available is missing: give 0 to %d", i.ID, maxAvailable)}
		}
		if n := *i.Available; n < 0 || n > maxAvailable {
			return nil, &Error{CodeInvalid, fmt.Sprintf("item %s: available is %d: give 0 to %d", i.ID, n, maxAvailable)}
		}
		if seen[i.ID] {
			return nil, &Error{CodeInvalid, fmt.Sprintf("item %s is there twice: give each once", i.ID)}
		}
		seen[i.ID] = true
		items = append(items, trip.Item{ID: i.ID, Available: *i.Available})
	}
	if err := a.Stock.Put(ctx, items); err != nil {
		return nil, err
	}
	slog.InfoContext(ctx, "stock set", slog.Int("items", len(items)), slog.String("by", task.CleanText(q.By, maxBy)))
	return inventoryAnswer{Items: items}, nil
}

type inventoryGetQuery struct {
	IDs []string `json:"ids"`
}

func inventoryGet(ctx context.Context, a *Admin, q inventoryGetQuery) (any, error) {
	if n := len(q.IDs); n > trip.MaxItems {
		return nil, &Error{CodeInvalid, fmt.Sprintf(`"ids" has %d: give at most %d, or none for all`, n, trip.MaxItems)}
	}
	for _, id := range q.IDs {
		if err := trip.CheckID(id); err != nil {
			return nil, &Error{CodeInvalid, fmt.Sprintf("id %q: %v", task.CleanText(id, 64), err)}
		}
	}
	if len(q.IDs) > 0 {
		items, err := a.Stock.Get(ctx, q.IDs)
		if err != nil {
			return nil, err
		}
		return inventoryAnswer{Items: notNil(items)}, nil
	}
	items, all, err := a.Stock.All(ctx)
	if err != nil {
		return nil, err
	}
	return inventoryAnswer{Items: notNil(items), More: !all}, nil
}

// notNil is an empty list instead of none, which JSON tells apart.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
