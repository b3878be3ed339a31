package tasktabletest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

var createTests = map[string]func(*fixture){
	"create": func(f *fixture) {
		before := time.Now().Truncate(time.Millisecond)
		d := f.draft()
		d.Priority = task.Bulk
		if _, err := f.Create(f.ctx(), d); err != nil {
			f.t.Fatal(err)
		}
		r := f.has(d.ID, task.Queued)
		if r.ID != d.ID || r.Tenant != f.tenant || r.Type != d.Type || r.Priority != task.Bulk {
			f.t.Errorf("the row is %+v", r)
		}
		if r.Run != 1 || r.Fence != 0 || r.Settled != 0 || r.Attempts != 0 || r.Owner != "" || r.Replays != 0 {
			f.t.Errorf("a new row has counters %+v", r)
		}
		if r.Deadline != d.Deadline.UnixMilli() || r.CreatedAt().Before(before) || r.StartedAt != 0 || r.FinishedAt != 0 {
			f.t.Errorf("a new row has times %+v", r)
		}
		if want := d.Deadline.Add(7 * 24 * time.Hour).Unix(); r.ExpiresAt != want {
			f.t.Errorf("expires_at is %d, want %d from creation on", r.ExpiresAt, want)
		}
	},
	"create/exists": func(f *fixture) {
		first := f.claim(f.create().ID)
		d := f.draft()
		d.ID, d.Input = first.ID, json.RawMessage(`{"other":true}`)
		r, err := f.Create(f.ctx(), d)
		if !errors.Is(err, tasktable.ErrExists) {
			f.t.Fatalf("err = %v, want ErrExists", err)
		}
		if r == nil || r.Status != task.Running || string(r.Input) != `{"n":1}` {
			f.t.Errorf("ErrExists comes with %+v, want the row that is there", r)
		}
	},
	"create/once": func(f *fixture) {
		d := f.draft()
		var created, existed int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := f.Create(f.ctx(), d)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					created++
				case errors.Is(err, tasktable.ErrExists):
					existed++
				default:
					f.t.Error(err)
				}
			})
		}
		wg.Wait()
		if created != 1 || existed != 7 {
			f.t.Errorf("%d created, %d existed; want 1 and 7", created, existed)
		}
	},
	"create/bad id": func(f *fixture) {
		for _, id := range []string{"", "task-1", "01ARZ3NDEKTSV4RRFFQ69G5FA", strings.Repeat("U", 26)} {
			d := f.draft()
			d.ID = id
			if _, err := f.Create(f.ctx(), d); err == nil || errors.Is(err, tasktable.ErrExists) {
				f.t.Errorf("Create with id %q = %v, want it refused", id, err)
			}
		}
	},
	"create/input": func(f *fixture) {
		for _, tt := range []struct {
			name  string
			input json.RawMessage
			apart bool
		}{
			{"small", json.RawMessage(`{"s":"it's \"quoted\" ?"}`), false},
			{"scalar", json.RawMessage(`0`), false},
			{"longer than a row should be", text(1000), true},
			{"the longest there is", text(262144), true},
			{"of wide characters", json.RawMessage(`"` + strings.Repeat("☃", 50_000) + `"`), true},
		} {
			made := f.create(func(d *tasktable.Draft) { d.Input = tt.input })
			for _, r := range []*tasktable.Row{made, f.row(made.ID), f.claim(made.ID)} {
				if apart := r.InputRef != ""; apart != tt.apart {
					f.t.Errorf("%s: input_ref is %q", tt.name, r.InputRef)
				}
				got, err := f.Input(f.ctx(), r)
				if err != nil || !bytes.Equal(got, tt.input) {
					f.t.Errorf("%s: Input = %d bytes, %v; want %d bytes", tt.name, len(got), err, len(tt.input))
				}
			}
		}
	},
	"create/input is written once": func(f *fixture) {
		first := f.create(func(d *tasktable.Draft) { d.Input = text(2000) })
		again := f.draft()
		again.ID, again.Input = first.ID, text(3000)
		r, err := f.Create(f.ctx(), again)
		if !errors.Is(err, tasktable.ErrExists) {
			f.t.Fatalf("err = %v, want ErrExists", err)
		}
		if got, err := f.Input(f.ctx(), r); err != nil || len(got) != 2000 {
			f.t.Errorf("Input = %d bytes, %v; want the first 2000", len(got), err)
		}
	},
	"remember": func(f *fixture) {
		first := tasktable.Key{TaskID: tasktable.NewID(), Payload: "p1"}
		other := tasktable.Key{TaskID: tasktable.NewID(), Payload: "p2"}
		key := "order 17 ☃ '\"?"
		for _, tt := range []struct {
			name, tenant, key string
			k, want           tasktable.Key
		}{
			{"new", f.tenant, key, first, first},
			{"the same again", f.tenant, key, first, first},
			{"another task and payload", f.tenant, key, other, first},
			{"another key", f.tenant, key + "#", other, other},
			{"another tenant", f.tenant + "-b", key, other, other},
		} {
			got, err := f.Remember(f.ctx(), tt.tenant, tt.key, tt.k)
			if err != nil || got != tt.want {
				f.t.Errorf("%s: Remember = %+v, %v; want %+v", tt.name, got, err, tt.want)
			}
			if got, err := f.Recall(f.ctx(), tt.tenant, tt.key); err != nil || got != tt.want {
				f.t.Errorf("%s: Recall = %+v, %v; want %+v", tt.name, got, err, tt.want)
			}
		}
		if _, err := f.Recall(f.ctx(), f.tenant, key+"?"); !errors.Is(err, tasktable.ErrNotFound) {
			f.t.Errorf("Recall of an unknown key = %v, want ErrNotFound", err)
		}
	},
	"remember/expires": func(f *fixture) {
		f = f.with(tasktable.Options{KeyRetention: time.Second})
		first, second := tasktable.Key{TaskID: tasktable.NewID(), Payload: "p1"}, tasktable.Key{TaskID: tasktable.NewID(), Payload: "p2"}
		if _, err := f.Remember(f.ctx(), f.tenant, "k", first); err != nil {
			f.t.Fatal(err)
		}
		f.eventually("the key to be forgotten", func() bool {
			_, err := f.Recall(f.ctx(), f.tenant, "k")
			return errors.Is(err, tasktable.ErrNotFound)
		})
		f.eventually("the key to expire", func() bool {
			got, err := f.Remember(f.ctx(), f.tenant, "k", second)
			if err != nil {
				f.t.Fatal(err)
			}
			return got == second
		})
	},
	"archive": func(f *fixture) {
		id := tasktable.NewID()
		for _, data := range [][]byte{[]byte("a message that is not ours"), []byte("again"), text(380_000)} {
			if err := f.Archive(f.ctx(), id, data); err != nil {
				f.t.Error(err)
			}
		}
		if err := f.Archive(f.ctx(), id+"-large", text(400_000)); !errors.Is(err, tasktable.ErrTooLarge) {
			f.t.Errorf("err = %v, want ErrTooLarge", err)
		}
	},
}

// text is a JSON string of n bytes.
func text(n int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", n-2) + `"`) }
