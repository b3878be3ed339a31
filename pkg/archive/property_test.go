package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

// Whatever fails on the way: an item that is there has its own data, one that
// was stored stays until it is deleted.
func TestArchiveKeeps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := newFixture()
		ctx := context.Background()
		fault := archivetest.Fault{}
		f.table.Inject(func(archivetest.Call) archivetest.Fault { return fault })
		f.bucket.Inject(func(archivetest.Call) archivetest.Fault { return fault })
		model := map[string][]byte{} // what is certainly there
		may := map[string]bool{}     // what may be there or not
		ids := rapid.SampledFrom([]string{"a", "b", "c"})
		n := 0
		step := func(t *rapid.T) (id string, failing bool) {
			fault = archivetest.Fault{}
			if rapid.IntRange(0, 3).Draw(t, "fault") == 0 {
				fault = archivetest.Fault{Err: errService, AfterEffect: rapid.Bool().Draw(t, "lost")}
			}
			return ids.Draw(t, "id"), fault.Err != nil
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				id, failing := step(t)
				n++
				it := item(id, 0)
				it.Data = fmt.Appendf(nil, "%0*d", rapid.SampledFrom([]int{10, 150}).Draw(t, "size"), n)
				stored, err := f.Put(ctx, it)
				switch {
				case err != nil && !failing:
					t.Fatal(err)
				case err != nil && model[id] == nil:
					may[id] = true
				case err == nil && stored:
					if model[id] != nil {
						t.Fatalf("%s was stored over what is there", id)
					}
					model[id], may[id] = it.Data, false
				}
			},
			"delete": func(t *rapid.T) {
				id, failing := step(t)
				if err := f.Delete(ctx, "g", id); err != nil {
					if !failing {
						t.Fatal(err)
					}
					may[id] = true
				} else {
					may[id] = false
				}
				delete(model, id)
			},
			"": func(t *rapid.T) {
				fault = archivetest.Fault{}
				for _, id := range []string{"a", "b", "c"} {
					got, err := f.Get(ctx, "g", id)
					switch {
					case err != nil && !errors.Is(err, archive.ErrNotFound):
						t.Fatal(err)
					case err == nil && model[id] != nil && !bytes.Equal(got.Data, model[id]):
						t.Fatalf("%s has the data of another", id)
					case err == nil && model[id] == nil && !may[id]:
						t.Fatalf("%s is there", id)
					case err != nil && model[id] != nil:
						t.Fatalf("%s has gone: %v", id, err)
					case err != nil && f.table.Item("g", id) != nil:
						t.Fatalf("%s is an item without its data", id)
					}
				}
			},
		})
	})
}
