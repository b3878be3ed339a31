package tasktable_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// imageOf writes an item as the stream of a table does.
func imageOf(t *testing.T, it map[string]types.AttributeValue) event.Image {
	t.Helper()
	plain := map[string]map[string]string{}
	for name, v := range it {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			plain[name] = map[string]string{"S": v.Value}
		case *types.AttributeValueMemberN:
			plain[name] = map[string]string{"N": v.Value}
		default:
			t.Fatalf("a row has the attribute %s of type %T, which an image is not read for", name, v)
		}
	}
	text, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	return event.Image(text)
}

// An image holds all that the row does, in every state.
func TestFromImage(t *testing.T) {
	t.Parallel()
	failure := task.Failure{Code: "http_500", Message: "answered 500 <&>", Retryable: true}
	for name, end := range map[string]func(*tasktable.Row) tasktable.Settlement{
		"succeeded":     func(r *tasktable.Row) tasktable.Settlement { return tasktable.Succeed(r, json.RawMessage(`{"n":1}`)) },
		"large result":  func(r *tasktable.Row) tasktable.Settlement { return tasktable.Succeed(r, text(5000)) },
		"retried":       func(r *tasktable.Row) tasktable.Settlement { return tasktable.Retry(r, failure, time.Now()) },
		"failed":        func(r *tasktable.Row) tasktable.Settlement { return tasktable.Fail(r, failure) },
		"dead-lettered": func(r *tasktable.Row) tasktable.Settlement { return tasktable.DeadLetter(r, failure) },
		"deferred":      tasktable.Defer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := tasktabletest.NewDynamoDB()
			table := tasktable.New(db, "tasks", nil)
			d := tasktable.Draft{
				ID: tasktable.NewID(), Tenant: "a#b", Type: "report.build", Priority: task.Bulk, Input: json.RawMessage(`{"a":"\u0000é"}`),
				Deadline: time.Now().Add(time.Hour), CallbackURL: "https://example.com/done?a=1&b=2",
			}
			if _, err := table.Create(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			check := func() {
				t.Helper()
				got, err := tasktable.FromImage(imageOf(t, db.Item(d.ID)))
				if err != nil {
					t.Fatal(err)
				}
				rows, err := table.Rows(t.Context(), []string{d.ID})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(got, rows[d.ID], cmpopts.IgnoreUnexported(tasktable.Row{})); diff != "" {
					t.Errorf("row (-image +table):\n%s", diff)
				}
			}
			check()
			c := table.Claim(t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), []string{d.ID})[0]
			check()
			if got := table.Settle(t.Context(), []tasktable.Settlement{end(c.Row)})[0]; got.Err != nil || got.Lost {
				t.Fatal(got)
			}
			check()

			row, err := tasktable.FromImage(imageOf(t, db.Item(d.ID)))
			if err != nil {
				t.Fatal(err)
			}
			result, err := table.Result(t.Context(), row)
			if err != nil || len(result) != map[string]int{"succeeded": 7, "large result": 5000}[name] {
				t.Errorf("a result of %d bytes, %v", len(result), err)
			}
			if row.ResultRef == "" {
				return
			}
			db.Delete(row.ResultRef)
			if _, err := table.Result(t.Context(), row); !errors.Is(err, tasktable.ErrNotFound) {
				t.Errorf("a result that is gone: %v", err)
			}
		})
	}
}

func TestFromImageOfSomethingElse(t *testing.T) {
	t.Parallel()
	for image, want := range map[event.Image]error{
		"":   tasktable.ErrNotFound,
		"{}": tasktable.ErrNotFound,
		`{"id":{"S":"01J#input"},"data":{"S":"{}"},"expires_at":{"N":"1"}}`: tasktable.ErrNotFound,
		`{"run":{"BOOL":true}}`: tasktable.ErrNotFound,
		"null":                  tasktable.ErrNotFound,
		`{"run":{"N":1}}`:       event.ErrMalformed,
		`{"run":"1"}`:           event.ErrMalformed,
		`[`:                     event.ErrMalformed,
		`{} {}`:                 event.ErrMalformed,
	} {
		if row, err := tasktable.FromImage(image); !errors.Is(err, want) || row != nil {
			t.Errorf("FromImage(%s) = %v, %v, want %v", image, row, err, want)
		}
	}
}

// FuzzFromImage reads images that no table has written.
func FuzzFromImage(f *testing.F) {
	for _, image := range []string{
		"", "{}", "null", `{"run":{"N":"1"}}`, `{"run":{"N":"1"},"id":{"S":""},"tenant_shard":{"S":"#"}}`,
		`{"run":{"N":"99999999999999999999"},"finished_at":{"N":"-1"},"error":{"S":"{"},"progress":{"S":"[]"},"history":{"S":"x"}}`,
	} {
		f.Add(image)
	}
	f.Fuzz(func(t *testing.T, image string) {
		row, err := tasktable.FromImage(event.Image(image))
		if (row == nil) == (err == nil) {
			t.Fatalf("%+v, %v", row, err)
		}
		if row != nil {
			row.Task()
			_, _ = row.CreatedAt().MarshalText()
		} else if !errors.Is(err, tasktable.ErrNotFound) && !errors.Is(err, event.ErrMalformed) {
			t.Fatal(err)
		}
	})
}

// text is a JSON string of n bytes.
func text(n int) json.RawMessage {
	return json.RawMessage(`"` + strings.Repeat("x", n-2) + `"`)
}
