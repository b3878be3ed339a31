package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/pkg/task"
)

// page lists tasks and expects an answer.
func (f *fixture) page(changes ...func(*request)) taskList {
	f.t.Helper()
	a := f.do(event(f.t, "list", append([]func(*request){withQuery()}, changes...)...))
	if a.StatusCode != http.StatusOK {
		f.t.Fatalf("answer %d %s", a.StatusCode, a.Body)
	}
	var got taskList
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil {
		f.t.Fatal(err)
	}
	return got
}

func ids(tasks []task.Task) []string {
	all := make([]string, 0, len(tasks))
	for _, t := range tasks {
		all = append(all, t.ID)
	}
	return all
}

func TestListPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var want []string
	for range 30 {
		want = append(want, f.submit().ID)
	}
	f.submit(from("AIDAOTHER"))
	slices.Sort(want)
	slices.Reverse(want)

	first := f.page()
	if len(first.Tasks) != 25 || first.Cursor == "" {
		t.Fatalf("the first page has %d tasks, cursor %q", len(first.Tasks), first.Cursor)
	}
	second := f.page(withQuery("cursor", first.Cursor))
	if second.Cursor != "" {
		t.Errorf("the last page has a cursor")
	}
	if got := slices.Concat(ids(first.Tasks), ids(second.Tasks)); !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}

	var got []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		query := withQuery("limit", "7")
		if pages > 0 {
			query = withQuery("limit", "7", "cursor", cursor)
		}
		page := f.page(query)
		got, cursor = append(got, ids(page.Tasks)...), page.Cursor
		if pages > 5 {
			t.Fatal("the listing does not end")
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed by sevens %v, want %v", got, want)
	}
	if all := f.page(withQuery("limit", "30")); len(all.Tasks) != 30 || all.Cursor != "" {
		t.Errorf("%d tasks, cursor %q", len(all.Tasks), all.Cursor)
	}
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	done, note, other := f.submit().ID, f.submit(withBody(`{"type":"shop.note","input":1}`)).ID, f.submit().ID
	f.become(done, task.Succeeded)
	tests := []struct {
		name  string
		query []string
		want  []string
	}{
		{"none", nil, []string{other, note, done}},
		{"status", []string{"status", "succeeded"}, []string{done}},
		{"type", []string{"type", "shop.note"}, []string{note}},
		{"both", []string{"type", "shop.order", "status", "queued"}, []string{other}},
		{"nothing left", []string{"status", "expired"}, []string{}},
		{"a type that nobody knows", []string{"type", "no.such"}, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ids(f.page(withQuery(tt.query...)).Tasks); !slices.Equal(got, tt.want) {
				t.Errorf("listed %v, want %v", got, tt.want)
			}
		})
	}
	if got := f.page(from("AIDAOTHER")); len(got.Tasks) != 0 {
		t.Errorf("another tenant sees %v", ids(got.Tasks))
	}
}

func TestListIsEmptyNotNull(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if a := f.invoke(t.Context(), http.MethodGet, "/tasks", sample(t, "list")); a.Body != `{"tasks":[]}` {
		t.Errorf("answer %s", a.Body)
	}
}

// A parameter without a value is one that is not given: the API's own
// description writes them so, and ?cursor= is how a loop over pages begins.
func TestListTakesEmptyParameters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	want := f.submit().ID
	got := f.page(withQuery("type", ""), withQuery("status", ""), withQuery("limit", ""), withQuery("cursor", ""))
	if len(got.Tasks) != 1 || got.Tasks[0].ID != want {
		t.Errorf("listed %v, want %s", ids(got.Tasks), want)
	}
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	const id = "01KWEG73E0EDR6JV3CEXGQJRB2"
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	good := encodeCursor(id)
	// The last of 38 characters carries four bits of the cursor and two of nothing.
	last := good[len(good)-1]
	trailing := good[:len(good)-1] + string(last+1)
	tests := []struct{ name, key, value string }{
		{"limit 0", "limit", "0"},
		{"limit 101", "limit", "101"},
		{"limit x", "limit", "x"},
		{"limit with a fraction", "limit", "1.5"},
		{"limit beyond all", "limit", "99999999999999999999"},
		{"negative limit", "limit", "-1"},
		{"unknown status", "status", "lost"},
		{"status in capitals", "status", "Queued"},
		{"cursor not base64", "cursor", "!!!"},
		{"cursor padded", "cursor", good + "="},
		{"cursor with a line end", "cursor", good + "\n"},
		{"cursor with bits at its end", "cursor", trailing},
		{"cursor of another version", "cursor", encode("2:" + id)},
		{"cursor without version", "cursor", encode(id)},
		{"cursor without id", "cursor", encode("1:")},
		{"cursor with another id", "cursor", encode("1:nonsense")},
		{"cursor in lower case", "cursor", encode("1:" + strings.ToLower(id))},
		{"cursor with a sort key of ours", "cursor", encode("1:~")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.do(event(t, "list", withQuery(tt.key, tt.value))).problem(http.StatusBadRequest, "invalid_request")
			f.untouched()
		})
	}
	if got, ok := decodeCursor(good); !ok || got != id {
		t.Errorf("decodeCursor(%q) = %q, %t", good, got, ok)
	}
}
