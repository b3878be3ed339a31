package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

var errService = errors.New("the service does not answer")

// fixture is an archive in memory whose items hold up to 100 bytes.
type fixture struct {
	*archive.Archive
	table  *archivetest.Table
	bucket *archivetest.Bucket
}

func newFixture() fixture {
	table, bucket := archivetest.NewTable(), archivetest.NewBucket()
	return fixture{archive.New(table, "control", bucket, "bucket", &archive.Options{InlineBytes: 100}), table, bucket}
}

func item(id string, size int) archive.Item {
	return archive.Item{Group: "g", ID: id, Meta: map[string]string{"state": "archived", "key": id}, Data: bytes.Repeat([]byte("x"), size)}
}

func TestPutAndGet(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 100, 101, 500_000} {
		f := newFixture()
		want := item("a", size)
		want.ExpiresAt = time.Now().Add(time.Hour).Truncate(time.Second).UTC()
		want.StoredAt = time.Now().Truncate(time.Millisecond).UTC()
		stored, err := f.Put(t.Context(), want)
		if err != nil || !stored {
			t.Fatal(size, stored, err)
		}
		got, err := f.Get(t.Context(), "g", "a")
		want.Size = size
		if err != nil || !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("%d bytes: %v, %d bytes came back", size, err, len(got.Data))
		}
		got.Data, want.Data = nil, nil
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%d bytes (-got +want):\n%s", size, diff)
		}
		if objects := len(f.bucket.Keys()); (objects == 1) != (size > 100) {
			t.Errorf("%d bytes: %d objects", size, objects)
		}
	}
}

func TestPutOnce(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 200} {
		f := newFixture()
		first, second := item("a", size), item("a", size)
		second.Data = bytes.Repeat([]byte("y"), size)
		for i, it := range []archive.Item{first, second, first} {
			if stored, err := f.Put(t.Context(), it); err != nil || stored != (i == 0) {
				t.Fatal(i, stored, err)
			}
		}
		got, err := f.Get(t.Context(), "g", "a")
		if err != nil || !bytes.Equal(got.Data, first.Data) {
			t.Errorf("%d bytes: what was there first has changed to %.5s, %v", size, got.Data, err)
		}
		if n := len(f.bucket.Keys()); n > 1 {
			t.Errorf("%d objects are left", n)
		}
	}
}

// An item whose time is over makes room, whether or not the table has removed
// it, and takes its object along.
func TestExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		old := item("a", 200)
		old.ExpiresAt = time.Now().Add(time.Hour)
		if _, err := f.Put(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := f.Get(t.Context(), "g", "a"); !errors.Is(err, archive.ErrNotFound) {
			t.Error(err)
		}
		if items, next, err := f.List(t.Context(), "g", "", 10); len(items) > 0 || next != "" || err != nil {
			t.Error(items, next, err)
		}
		if stored, err := f.Put(t.Context(), item("a", 201)); err != nil || !stored {
			t.Error(stored, err)
		}
		if keys := f.bucket.Keys(); len(keys) != 1 || len(f.bucket.Object(keys[0])) != 201 {
			t.Error(keys)
		}
	})
}

func TestPutFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		operation string
		lost      bool // it takes effect, and the answer is lost
		objects   int
		kept      bool
	}{
		{"the object is refused", "PutObject", false, 0, false},
		{"the item is refused", "PutItem", false, 1, false},
		{"the item's answer is lost", "PutItem", true, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture()
			fault := func(c archivetest.Call) archivetest.Fault {
				if c.Operation == tt.operation && c.N == 1 {
					return archivetest.Fault{Err: errService, AfterEffect: tt.lost}
				}
				return archivetest.Fault{}
			}
			f.table.Inject(fault)
			f.bucket.Inject(fault)
			if _, err := f.Put(t.Context(), item("a", 200)); !errors.Is(err, errService) {
				t.Fatal(err)
			}
			if n := len(f.bucket.Keys()); n != tt.objects {
				t.Errorf("%d objects", n)
			}
			if _, err := f.Get(t.Context(), "g", "a"); (err == nil) != tt.kept {
				t.Errorf("%v", err)
			}
			if stored, err := f.Put(t.Context(), item("a", 200)); err != nil || stored == tt.kept {
				t.Errorf("repeated: %t, %v", stored, err)
			}
			if got, err := f.Get(t.Context(), "g", "a"); err != nil || got.Size != 200 || len(got.Data) != 200 {
				t.Errorf("%v, %d bytes", err, len(got.Data))
			}
		})
	}
}

func TestPutWithoutBucket(t *testing.T) {
	t.Parallel()
	kept := archive.New(archivetest.NewTable(), "control", nil, "", nil)
	if stored, err := kept.Put(t.Context(), item("a", 380_000)); err != nil || !stored {
		t.Error(stored, err)
	}
	if _, err := kept.Put(t.Context(), item("b", 400_000)); !errors.Is(err, archive.ErrTooLarge) {
		t.Error(err)
	}
	errs := kept.PutAll(t.Context(), []archive.Item{item("b", 400_000), item("c", 1)})
	if !errors.Is(errs[0], archive.ErrTooLarge) || errs[1] != nil {
		t.Error(errs)
	}
}

func TestPutAll(t *testing.T) {
	t.Parallel()
	f := newFixture()
	var items []archive.Item
	for i := range 60 {
		items = append(items, item(fmt.Sprintf("i%02d", i), 1+i*5))
	}
	items = append(items, item("i07", 3)) // again: the last one counts
	for _, err := range f.PutAll(t.Context(), items) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := f.table.Calls()["BatchWriteItem"]; n != 3 {
		t.Errorf("%d calls for 60 items", n)
	}
	for i := range 60 {
		got, err := f.Get(t.Context(), "g", items[i].ID)
		want := len(items[i].Data)
		if i == 7 {
			want = 3
		}
		if err != nil || len(got.Data) != want {
			t.Errorf("%s: %d bytes, %v", items[i].ID, len(got.Data), err)
		}
	}
}

func TestPutAllBounds(t *testing.T) {
	t.Parallel()
	table := archivetest.NewTable()
	kept := archive.New(table, "control", archivetest.NewBucket(), "b", nil)
	var items []archive.Item
	for i := range 50 {
		items = append(items, item(fmt.Sprintf("i%02d", i), 300<<10))
	}
	if err := errors.Join(kept.PutAll(t.Context(), items)...); err != nil {
		t.Fatal(err)
	}
	if n := table.Calls()["BatchWriteItem"]; n != 2 { // 25 of them are 7.3 MB
		t.Errorf("%d calls", n)
	}
	if errs := kept.PutAll(t.Context(), nil); len(errs) != 0 {
		t.Error(errs)
	}
}

func TestPutAllUnprocessed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		items := []archive.Item{item("a", 1), item("b", 200), item("c", 1)}
		f.table.Inject(func(c archivetest.Call) archivetest.Fault { return archivetest.Fault{Unprocessed: max(3-c.N, 0)} })
		if err := errors.Join(f.PutAll(t.Context(), items)...); err != nil || len(f.table.Keys()) != 3 {
			t.Error(err, f.table.Keys())
		}

		f = newFixture()
		f.table.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Unprocessed: 1} })
		errs := f.PutAll(t.Context(), items)
		if errs[0] != nil || errs[1] != nil || errs[2] == nil || f.table.Calls()["BatchWriteItem"] != 5 {
			t.Error(errs, f.table.Calls())
		}

		f = newFixture()
		f.table.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: errService} })
		for _, err := range f.PutAll(t.Context(), items) {
			if !errors.Is(err, errService) {
				t.Error(err)
			}
		}

		f = newFixture()
		ctx, cancel := context.WithCancel(t.Context())
		f.table.Inject(func(archivetest.Call) archivetest.Fault { cancel(); return archivetest.Fault{} })
		if errs := f.PutAll(ctx, items); !errors.Is(errs[0], context.Canceled) {
			t.Error(errs)
		}
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	f := newFixture()
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprintf("i%02d", i))
		if _, err := f.Put(t.Context(), item(want[i], 150)); err != nil {
			t.Fatal(err)
		}
	}
	other := item("other", 1)
	other.Group = "h"
	if _, err := f.Put(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{0, 1, 10, 25, 5000} {
		var got []string
		after := ""
		for {
			items, next, err := f.List(t.Context(), "g", after, limit)
			if err != nil || len(items) > max(limit, 1) {
				t.Fatal(len(items), err)
			}
			for _, it := range items {
				if it.Data != nil || it.Size != 150 || it.Meta["key"] != it.ID {
					t.Errorf("%+v", it)
				}
				got = append(got, it.ID)
			}
			if after = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
}

// A page of the table ends at 1 MB, which is only a few large items.
func TestListLargeItems(t *testing.T) {
	t.Parallel()
	table := archivetest.NewTable()
	kept := archive.New(table, "control", nil, "", nil)
	for i := range 8 {
		if _, err := kept.Put(t.Context(), item(fmt.Sprint(i), 300_000)); err != nil {
			t.Fatal(err)
		}
	}
	items, next, err := kept.List(t.Context(), "g", "", 7)
	if err != nil || len(items) != 7 || next != "6" || table.Calls()["Query"] < 2 {
		t.Error(len(items), next, err, table.Calls())
	}
}

func TestSetMeta(t *testing.T) {
	t.Parallel()
	f := newFixture()
	if _, err := f.Put(t.Context(), item("a", 200)); err != nil {
		t.Fatal(err)
	}
	for _, meta := range []map[string]string{{"state": "replayed", "by": "somebody", "key": ""}, {}, {"by": ""}, {"a.b#c": "odd"}} {
		if err := f.SetMeta(t.Context(), "g", "a", meta); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.Get(t.Context(), "g", "a")
	if diff := cmp.Diff(got.Meta, map[string]string{"state": "replayed", "a.b#c": "odd"}); err != nil || diff != "" || len(got.Data) != 200 {
		t.Errorf("%v\n%s", err, diff)
	}
	if err := f.SetMeta(t.Context(), "g", "b", map[string]string{"state": "x"}); !errors.Is(err, archive.ErrNotFound) {
		t.Error(err)
	}
	f.table.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: errService} })
	if err := f.SetMeta(t.Context(), "g", "a", map[string]string{"state": "x"}); !errors.Is(err, errService) {
		t.Error(err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for _, size := range []int{10, 200} {
		if _, err := f.Put(t.Context(), item("a", size)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := f.Delete(t.Context(), "g", "a"); err != nil {
				t.Fatal(err)
			}
		}
		if len(f.table.Keys()) > 0 || len(f.bucket.Keys()) > 0 {
			t.Error(f.table.Keys(), f.bucket.Keys())
		}
	}
	f.table.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: errService} })
	if err := f.Delete(t.Context(), "g", "a"); !errors.Is(err, errService) {
		t.Error(err)
	}
}

func TestReadFails(t *testing.T) {
	t.Parallel()
	f := newFixture()
	if _, err := f.Put(t.Context(), item("a", 200)); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.New(f.table, "control", nil, "", nil).Get(t.Context(), "g", "a"); err == nil || !strings.Contains(err.Error(), "bucket") {
		t.Error(err)
	}
	f.bucket.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Stale: true} })
	if _, err := f.Get(t.Context(), "g", "a"); !errors.Is(err, archive.ErrNotFound) || !errors.Is(err, archive.ErrNoData) {
		t.Error(err)
	}
	denied := &smithy.GenericAPIError{Code: "AccessDenied"} // also of what is gone, without s3:ListBucket
	f.bucket.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: denied} })
	if _, err := f.Get(t.Context(), "g", "a"); !errors.Is(err, denied) || !errors.Is(err, archive.ErrNoData) || errors.Is(err, archive.ErrNotFound) {
		t.Error(err)
	}
	f.bucket.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: errService} })
	if _, err := f.Get(t.Context(), "g", "a"); !errors.Is(err, errService) || errors.Is(err, archive.ErrNotFound) || errors.Is(err, archive.ErrNoData) {
		t.Error(err)
	}
	f.table.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: errService} })
	if _, err := f.Get(t.Context(), "g", "a"); !errors.Is(err, errService) {
		t.Error(err)
	}
	if _, _, err := f.List(t.Context(), "g", "", 1); !errors.Is(err, errService) {
		t.Error(err)
	}
}

// No group or id can reach the object of another one.
func TestObjectKeys(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for _, key := range [][2]string{{"a/b", "c"}, {"a", "b/c"}, {"..", "../x"}, {"a", "b?c#d e"}} {
		it := item(key[1], 200)
		it.Group = key[0]
		if stored, err := f.Put(t.Context(), it); err != nil || !stored {
			t.Fatal(err)
		}
		if _, err := f.Get(t.Context(), key[0], key[1]); err != nil {
			t.Error(err)
		}
	}
	for _, key := range f.bucket.Keys() {
		if !strings.HasPrefix(key, "archive/") || strings.Count(key, "/") != 3 {
			t.Errorf("object %q", key)
		}
	}
}
