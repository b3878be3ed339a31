package intake_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/internal/allocs"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
)

// FuzzSubmit hands in requests that no decoder has looked at. Whatever is
// accepted is within the bounds, stored once and sent once, and found again by
// its key; whatever is not has left nothing behind.
func FuzzSubmit(f *testing.F) {
	const input, key = `{"to":"a","pages":2}`, "7f9c24e8"
	const none, ttl, deadline, both, noKey = byte(0), byte(1), byte(2), byte(3), byte(4)
	f.Add("acme", "report.send", []byte(input), "", key, none, int64(0), int64(0), "")
	f.Add("acme", "report.send", []byte(input), "bulk", key, ttl, int64(time.Hour), int64(time.Minute), "https://example.com/done?a=1")
	f.Add("acme", "report.build", []byte(" [1, \"\uFFFE\"]\n"), "normal", "", deadline|noKey, int64(time.Hour), int64(intake.MaxDelay), "")
	f.Add("acme", "report.build", []byte("1"), "", key, both, int64(time.Hour), int64(-1), "")
	f.Add("acme", "report.build", []byte("1"), "", strings.Repeat("k", 129), deadline, int64(-time.Hour), int64(0), "")
	f.Add("acme", "report.build", []byte("1"), "", key, deadline, int64(-time.Hour), int64(0), "")
	f.Add("acme", "report.build", []byte("1"), "", "a b", ttl, int64(intake.MaxAhead)+1, int64(intake.MaxDelay)+1, "")
	f.Add("", "report.send", []byte(`{"to":"a","cc":"b"}`), "high\x00", "\xff", none, int64(0), int64(0), "ftp://example.com")
	f.Add("a c", "report.none", []byte("\"\xff\""), "", "clé", ttl, int64(1)<<62, int64(1)<<62, "https://\xff")
	f.Add("acme", "\x00", []byte(strings.Repeat("[", 200)), "", "", none, int64(0), int64(0), "")
	f.Add("acme", "report.build", []byte(`"`+strings.Repeat("x", 1200)+`"`), "", key, deadline, int64(-1)<<63, int64(0), "")
	f.Fuzz(func(t *testing.T, tenant, kind string, input []byte, priority, key string, options byte, ahead, delay int64, callback string) {
		allocs.Within(t, 2<<20+128*len(input)+16*len(tenant+kind+priority+key+callback), func() {
			synctest.Test(t, func(t *testing.T) { // time stands still, so that bounds are sharp
				r := intake.Request{Tenant: tenant, Type: kind, Input: input, Priority: task.Priority(priority), Delay: time.Duration(delay), CallbackURL: callback}
				if options&ttl != 0 {
					r.TTL = (*time.Duration)(&ahead)
				}
				if options&deadline != 0 {
					at := time.Now().Add(time.Duration(ahead))
					r.Deadline = &at
				}
				if options&noKey == 0 {
					r.IdempotencyKey = &key
				}
				checkSubmit(t, r)
			})
		})
	})
}

func checkSubmit(t *testing.T, r intake.Request) {
	t.Helper()
	f := newFixture(t, &intake.Options{MaxInput: 1000})
	row, created, err := f.Submit(t.Context(), r)
	if err != nil {
		checkRefused(t, f, err)
		return
	}
	if !created || row.Tenant != r.Tenant || row.Type != r.Type || row.Status != task.Queued {
		t.Fatalf("%+v became %+v, created: %t", r, row, created)
	}
	checkBounds(t, r)

	stored, err := f.table.Input(t.Context(), row)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, r.Input); err != nil || !bytes.Equal(stored, want.Bytes()) {
		t.Fatalf("stored %s for %s", stored, r.Input)
	}
	if kept, err := f.table.GetConsistent(t.Context(), row.ID); err != nil || kept.CallbackURL != r.CallbackURL {
		t.Fatalf("stored %+v, %v for %+v", kept, err, r)
	}
	sent := slices.Concat(f.tasks.messages(t), f.backlog.messages(t))
	if len(sent) != 1 || sent[0].TaskID != row.ID || sent[0].Tenant != r.Tenant || !json.Valid(sent[0].Input) {
		t.Fatalf("sent %+v for %+v", sent, row)
	}
	if r.IdempotencyKey == nil {
		return
	}
	again, created, err := f.Submit(t.Context(), r)
	if err != nil || created || again.ID != row.ID {
		t.Fatalf("repeated with its key: %+v, %t, %v", again, created, err)
	}
	other := r
	other.Delay = intake.MaxDelay - r.Delay // the same only in the middle
	if _, _, err := f.Submit(t.Context(), other); other.Delay != r.Delay && code(err) != intake.CodeKeyReused {
		t.Fatalf("another request with its key: %v", err)
	}
}

// code is a refusal's, or empty.
func code(err error) string {
	if refused, ok := errors.AsType[*intake.RefusedError](err); ok {
		return refused.Code
	}
	return ""
}

// checkRefused expects a refusal in words that can be shown, and that nothing
// was written or sent.
func checkRefused(t *testing.T, f *fixture, err error) {
	t.Helper()
	refused, ok := errors.AsType[*intake.RefusedError](err)
	if !ok || !slices.Contains([]string{intake.CodeInvalid, intake.CodeUnknownType, intake.CodeTooLarge}, refused.Code) {
		t.Fatal(err)
	}
	if refused.Detail == "" || refused.Detail != task.CleanText(refused.Detail, 600) {
		t.Fatalf("a detail of %d bytes: %q", len(refused.Detail), refused.Detail)
	}
	for operation, n := range f.db.Calls() {
		if operation != "GetItem" {
			t.Fatalf("%d calls of %s for %v", n, operation, err)
		}
	}
	if f.journal.String() != "" {
		t.Fatalf("%s for %v", f.journal, err)
	}
}

var target = regexp.MustCompile(`^(?i)https?://[^#]+$`)

var visible = regexp.MustCompile(`^[!-~]{1,128}$`)

// checkBounds: what was accepted is within them.
func checkBounds(t *testing.T, r intake.Request) {
	t.Helper()
	var compact bytes.Buffer
	switch err := json.Compact(&compact, r.Input); {
	case err != nil || compact.Len() > 1000:
		t.Fatalf("an input of %d bytes, %v", compact.Len(), err)
	case !visible.MatchString(r.Tenant):
		t.Fatalf("the tenant %q", r.Tenant)
	case r.IdempotencyKey != nil && !visible.MatchString(*r.IdempotencyKey):
		t.Fatalf("the key %q", *r.IdempotencyKey)
	case !slices.Contains([]task.Priority{"", "normal", "bulk"}, r.Priority):
		t.Fatalf("the priority %q", r.Priority)
	case r.CallbackURL != "" && (!target.MatchString(r.CallbackURL) || len(r.CallbackURL) > 2048):
		t.Fatalf("the callback %q", r.CallbackURL)
	case r.Delay < 0 || r.Delay > 15*time.Minute:
		t.Fatalf("the delay %s", r.Delay)
	case r.TTL != nil && r.Deadline != nil:
		t.Fatal("a ttl and a deadline")
	case r.TTL != nil && (*r.TTL <= 0 || *r.TTL > 168*time.Hour):
		t.Fatalf("the ttl %s", *r.TTL)
	case r.Deadline != nil:
		// Milliseconds count, as in the table.
		if ahead := time.Until(task.At(*r.Deadline).Time); ahead <= 0 || ahead > 168*time.Hour {
			t.Fatalf("a deadline in %s", ahead)
		}
	}
}
