package archivetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/archive"
)

// Run checks what an archive promises. It passes on the doubles here, and has to
// on AWS and on whatever stands for it: that keeps the doubles honest. It works
// in a group of its own, and leaves nothing behind.
func Run(t *testing.T, kept *archive.Archive) {
	t.Helper()
	group := fmt.Sprintf("conformance-%d", time.Now().UnixNano())
	item := func(id string, size int) archive.Item {
		return archive.Item{
			Group: group, ID: id, Meta: map[string]string{"state": "archived", "size.of": id}, Data: bytes.Repeat([]byte{0, 'x', 255}, size/3+1)[:size],
			ExpiresAt: time.Now().Add(time.Hour), StoredAt: time.UnixMilli(1782898171042),
		}
	}
	sizes := map[string]int{"a": 0, "b": 1, "c": 1000, "d": 300 << 10, "e": 300<<10 + 1, "f": 900_000}
	ids := []string{"a", "b", "c", "d", "e", "f"}
	defer func() {
		for _, id := range append(ids, "over") {
			if err := kept.Delete(t.Context(), group, id); err != nil {
				t.Errorf("delete %s: %v", id, err)
			}
			if _, err := kept.Get(t.Context(), group, id); !errors.Is(err, archive.ErrNotFound) {
				t.Errorf("a deleted item: %v", err)
			}
		}
	}()

	check := func(id string, data []byte) {
		t.Helper()
		got, err := kept.Get(t.Context(), group, id)
		if err != nil || !bytes.Equal(got.Data, data) || got.Size != len(data) || got.StoredAt.UnixMilli() != 1782898171042 || got.Group != group || got.ID != id {
			t.Errorf("%s: %d bytes of %d, stored at %s, %v", id, len(got.Data), len(data), got.StoredAt, err)
		}
	}
	for _, id := range ids[:3] {
		if stored, err := kept.Put(t.Context(), item(id, sizes[id])); err != nil || !stored {
			t.Fatalf("put %s: %t, %v", id, stored, err)
		}
	}
	var rest []archive.Item
	for _, id := range ids[3:] {
		rest = append(rest, item(id, sizes[id]))
	}
	if err := errors.Join(kept.PutAll(t.Context(), rest)...); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if stored, err := kept.Put(t.Context(), item(id, 7)); err != nil || stored { // what is there stays
			t.Errorf("put %s again: %t, %v", id, stored, err)
		}
		check(id, item(id, sizes[id]).Data)
	}
	if err := errors.Join(kept.PutAll(t.Context(), []archive.Item{item("b", 2), item("f", 2)})...); err != nil { // overwrites
		t.Fatal(err)
	}
	check("b", item("b", 2).Data)
	check("f", item("f", 2).Data)

	if err := kept.SetMeta(t.Context(), group, "c", map[string]string{"state": "replayed", "size.of": "", "new": "x"}); err != nil {
		t.Error(err)
	}
	if got, err := kept.Get(t.Context(), group, "c"); err != nil || len(got.Meta) != 2 || got.Meta["state"] != "replayed" || got.Meta["new"] != "x" || got.Size != 1000 {
		t.Errorf("%v, %v", got.Meta, err)
	}
	if err := kept.SetMeta(t.Context(), group, "absent", map[string]string{"state": "x"}); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("meta of nothing: %v", err)
	}

	late := item("over", 5)
	late.ExpiresAt = time.Now().Add(-time.Minute)
	if _, err := kept.Put(t.Context(), late); err != nil {
		t.Error(err)
	}
	for _, limit := range []int{1, 4, 100} {
		var got []string
		for after := ""; ; {
			items, next, err := kept.List(t.Context(), group, after, limit)
			if err != nil || len(items) > limit {
				t.Fatal(len(items), err)
			}
			for _, it := range items {
				got = append(got, it.ID)
				if it.Data != nil {
					t.Errorf("%s is listed with its data", it.ID)
				}
			}
			if after = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("listed %v, want %v", got, ids)
		}
	}
	late.ExpiresAt = time.Now().Add(time.Minute)
	if stored, err := kept.Put(t.Context(), late); err != nil || !stored { // its time was over
		t.Errorf("in the place of an item whose time is over: %t, %v", stored, err)
	}
}
