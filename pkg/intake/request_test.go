package intake_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
)

func ttl(d time.Duration) func(*intake.Request) {
	return func(r *intake.Request) { r.TTL = &d }
}

func deadlineIn(d time.Duration) func(*intake.Request) {
	return func(r *intake.Request) { at := time.Now().Add(d); r.Deadline = &at }
}

func delay(d time.Duration) func(*intake.Request) {
	return func(r *intake.Request) { r.Delay = d }
}

func callback(url string) func(*intake.Request) {
	return func(r *intake.Request) { r.CallbackURL = url }
}

func TestRefused(t *testing.T) {
	t.Parallel()
	key := func(k string) func(*intake.Request) { return func(r *intake.Request) { r.IdempotencyKey = &k } }
	id := func(s string) func(*intake.Request) { return func(r *intake.Request) { r.ID = s } }
	raw := func(s string) func(*intake.Request) { return input(json.RawMessage(s)) }
	typed := func(s string) func(*intake.Request) { return func(r *intake.Request) { r.Type = s } }
	tests := []struct {
		name   string
		change func(*intake.Request)
		code   string
	}{
		{"no tenant", func(r *intake.Request) { r.Tenant = "" }, intake.CodeInvalid},
		{"a tenant that no message carries", func(r *intake.Request) { r.Tenant = "a b" }, intake.CodeInvalid},
		{"a long tenant", func(r *intake.Request) { r.Tenant = strings.Repeat("a", 129) }, intake.CodeInvalid},
		{"no type", typed(""), intake.CodeInvalid},
		{"unknown type", typed("report.shred"), intake.CodeUnknownType},
		{"no input", raw(""), intake.CodeInvalid},
		{"null", raw("null"), intake.CodeInvalid},
		{"malformed", raw("{"), intake.CodeInvalid},
		{"two values", raw("1 2"), intake.CodeInvalid},
		{"not UTF-8", raw("\"\xff\""), intake.CodeInvalid},
		{"too large", input(text(101)), intake.CodeTooLarge},
		{"too large and unknown", func(r *intake.Request) { r.Input, r.Type = text(101), "x" }, intake.CodeTooLarge},
		{"does not match", func(r *intake.Request) { r.Type, r.Input = "report.send", json.RawMessage(`{"pages":"all"}`) }, intake.CodeInvalid},
		{"unknown field", func(r *intake.Request) { r.Type, r.Input = "report.send", json.RawMessage(`{"cc":"x"}`) }, intake.CodeInvalid},
		{"priority", func(r *intake.Request) { r.Priority = "high" }, intake.CodeInvalid},
		{"ttl of zero", ttl(0), intake.CodeInvalid},
		{"negative ttl", ttl(-1), intake.CodeInvalid},
		{"long ttl", ttl(intake.MaxAhead + 1), intake.CodeInvalid},
		{"deadline now", deadlineIn(0), intake.CodeInvalid},
		{"deadline passed", deadlineIn(-time.Hour), intake.CodeInvalid},
		{"deadline before all time", func(r *intake.Request) { r.Deadline = new(time.Time) }, intake.CodeInvalid},
		{"deadline far", deadlineIn(intake.MaxAhead + time.Second), intake.CodeInvalid},
		{"both", func(r *intake.Request) { ttl(time.Hour)(r); deadlineIn(time.Hour)(r) }, intake.CodeInvalid},
		{"negative delay", delay(-1), intake.CodeInvalid},
		{"long delay", delay(intake.MaxDelay + 1), intake.CodeInvalid},
		{"empty key", key(""), intake.CodeInvalid},
		{"long key", key(strings.Repeat("k", intake.MaxKey+1)), intake.CodeInvalid},
		{"key with space", key("a b"), intake.CodeInvalid},
		{"key with DEL", key("a\x7f"), intake.CodeInvalid},
		{"key not ASCII", key("ключ"), intake.CodeInvalid},
		{"key not UTF-8", key("\xff"), intake.CodeInvalid},
		{"callback that is no URL", callback("x"), intake.CodeInvalid},
		{"callback of another scheme", callback("ftp://example.com"), intake.CodeInvalid},
		{"callback without host", callback("https:///done"), intake.CodeInvalid},
		{"callback not UTF-8", callback("https://example.com/\xff"), intake.CodeInvalid},
		{"long callback", callback("https://example.com/" + strings.Repeat("x", webhook.MaxURL)), intake.CodeInvalid},
		{"id that is no ULID", id("1"), intake.CodeInvalid},
		{"id in small letters", id("01kweg73e0edr6jv3cexgqjrb2"), intake.CodeInvalid},
		{"id beyond 128 bits", id("81KWEG73E0EDR6JV3CEXGQJRB2"), intake.CodeInvalid},
		{"id and key", func(r *intake.Request) { id(someID)(r); key("k")(r) }, intake.CodeInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, &intake.Options{MaxInput: 100})
			f.refuses(request("", tt.change), tt.code)
			if len(f.db.Calls()) > 1 { // the listing by refuses itself
				t.Errorf("calls %v", f.db.Calls())
			}
		})
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, &intake.Options{MaxInput: 100})
		now := time.Now()
		tests := []struct {
			name     string
			change   func(*intake.Request)
			deadline time.Duration
			delay    time.Duration
		}{
			{"defaults", func(*intake.Request) {}, intake.MaxAhead, 0},
			{"shortest ttl", ttl(time.Millisecond), time.Millisecond, 0},
			{"longest ttl", ttl(intake.MaxAhead), intake.MaxAhead, 0},
			{"ttl is cut to milliseconds", ttl(1999 * time.Microsecond), time.Millisecond, 0},
			{"farthest deadline", deadlineIn(intake.MaxAhead), intake.MaxAhead, 0},
			{"longest delay", delay(intake.MaxDelay), intake.MaxAhead, intake.MaxDelay},
			{"largest input", input(text(100)), intake.MaxAhead, 0},
			{"white space does not count", input(json.RawMessage("[" + strings.Repeat(" ", 500) + "1]")), intake.MaxAhead, 0},
			{"normal", func(r *intake.Request) { r.Priority = task.Normal }, intake.MaxAhead, 0},
		}
		for _, tt := range tests {
			row, _ := f.submit(request("", tt.change))
			if got := time.UnixMilli(row.Deadline).Sub(now); got != tt.deadline {
				t.Errorf("%s: deadline in %s, want %s", tt.name, got, tt.deadline)
			}
			claimable := time.Duration(0)
			if row.ClaimableAt > 0 {
				claimable = time.UnixMilli(row.ClaimableAt).Sub(now)
			}
			if sent := f.tasks.sent()[len(f.tasks.sent())-1]; claimable != tt.delay || sent.Delay != tt.delay {
				t.Errorf("%s: claimable in %s, message in %s, want %s", tt.name, claimable, sent.Delay, tt.delay)
			}
		}
		f.refuses(request("", deadlineIn(0)), intake.CodeInvalid) // this very instant
	})
}

// No configuration takes more than the largest input, which still fits a
// message at its worst.
func TestLargestInput(t *testing.T) {
	t.Parallel()
	f := newFixture(t, &intake.Options{MaxInput: 10 * intake.MaxInput, InlineInput: intake.MaxInput})
	worst := json.RawMessage(`"` + strings.Repeat("\uFFFE", (intake.MaxInput-2)/3) + `"`)
	f.submit(request("", input(worst)))
	if out := f.tasks.sent()[0]; out.Size() > 1<<20 {
		t.Errorf("the message has %d bytes", out.Size())
	}
	f.submit(request("", input(text(intake.MaxInput))))
	f.refuses(request("", input(text(intake.MaxInput+1))), intake.CodeTooLarge)
}
