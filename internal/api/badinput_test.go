package api

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// What cannot be accepted answers with its code, and stores and sends nothing.
func TestBadInput(t *testing.T) {
	t.Parallel()
	const (
		invalid   = "invalid_request"
		mediaType = "unsupported_media_type"
	)
	body := func(more string) []func(*request) {
		return []func(*request){withBody(`{"type":"shop.order","input":{"item":"tea"},` + more + `}`)}
	}
	only := func(text string) []func(*request) { return []func(*request){withBody(text)} }
	at := func(ahead time.Duration) string {
		return `"deadline":"` + time.Now().Add(ahead).UTC().Format(time.RFC3339Nano) + `"`
	}
	tests := []struct {
		name    string
		changes []func(*request)
		status  int
		code    string
		detail  string // a part of it
	}{
		{"malformed JSON", only(`{"type":`), 400, invalid, "not JSON"},
		{"empty body", only(""), 400, invalid, "not JSON"},
		{"only white space", only(" \n"), 400, invalid, "not JSON"},
		{"two values", only(`{} }`), 400, invalid, "not JSON"},
		{"trailing comma", only(`{"type":"shop.note","input":1,}`), 400, invalid, "not JSON"},
		{"single quotes", only(`{'type':'shop.note'}`), 400, invalid, "not JSON"},
		{"not a number", only(`{"type":"shop.note","input":NaN}`), 400, invalid, "not JSON"},
		{"byte order mark", only("\uFEFF{}"), 400, invalid, "not JSON"},
		{"an array", only(`[{"type":"shop.note","input":1}]`), 400, invalid, "not a JSON object"},
		{"null", only(`null`), 400, invalid, "not a JSON object"},
		{"a string", only(`"task"`), 400, invalid, "not a JSON object"},
		{"deep", only(`{"type":"shop.note","input":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`), 400, invalid, "depth"},
		{"not base64", []func(*request){func(r *request) { r.IsBase64Encoded = true }}, 400, invalid, "base64"},
		{"invalid UTF-8", []func(*request){withBody("{\"type\":\"shop.note\",\"input\":\"\xff\"}"), inBase64}, 400, invalid, "UTF-8"},
		{"half a surrogate", []func(*request){withBody("{\"type\":\"shop.note\",\"input\":\"\xed\xa0\x80\"}"), inBase64}, 400, invalid, "UTF-8"},

		{"no content type", []func(*request){without("Content-Type")}, 415, mediaType, "application/json"},
		{"text", []func(*request){with("Content-Type", "text/plain")}, 415, mediaType, "application/json"},
		{"another JSON", []func(*request){with("Content-Type", "application/merge-patch+json")}, 415, mediaType, "application/json"},
		{"a form", []func(*request){with("Content-Type", "application/x-www-form-urlencoded")}, 415, mediaType, "application/json"},
		{"malformed content type", []func(*request){with("Content-Type", "application/json; charset")}, 415, mediaType, "application/json"},
		{"two content types", []func(*request){with("Content-Type", "text/plain", "application/json")}, 415, mediaType, "application/json"},

		{"no type", only(`{"input":{}}`), 400, invalid, `"type" is missing`},
		{"empty type", only(`{"type":"","input":{}}`), 400, invalid, `"type" is missing`},
		{"type null", only(`{"type":null,"input":{}}`), 400, invalid, `"type" is null`},
		{"type not a string", only(`{"type":7,"input":{}}`), 400, invalid, `"type" is not the name of a task type`},
		{"unknown type", only(`{"type":"shop.return","input":{}}`), 400, "unknown_task_type", "shop.order"},
		{"type in capitals", only(`{"type":"Shop.Order","input":{}}`), 400, "unknown_task_type", ""},
		{"type with illegal characters", only(`{"type":"\ufffe\u0000","input":{}}`), 400, "unknown_task_type", ""},

		{"unknown field", body(`"retries":3`), 400, invalid, `"retries" is not a field`},
		{"field in capitals", only(`{"Type":"shop.note","input":1}`), 400, invalid, `"Type" is not a field`},
		{"tenant", body(`"tenant":"root"`), 400, invalid, `"tenant" is not a field`},
		{"id", body(`"id":"01KWEG73E0EDR6JV3CEXGQJRB2"`), 400, invalid, `"id" is not a field`},
		{"a field twice", body(`"type":"shop.note"`), 400, invalid, `"type" is there twice`},

		{"no input", only(`{"type":"shop.order"}`), 400, invalid, `"input" is missing`},
		{"input null", only(`{"type":"shop.order","input":null}`), 400, invalid, "null"},
		{"input of another type", only(`{"type":"shop.order","input":["tea"]}`), 400, invalid, "array is of the wrong type"},
		{"a field of another type", only(`{"type":"shop.order","input":{"item":1}}`), 400, invalid, `"item" is of the wrong type`},
		{"unknown field of the input", only(`{"type":"shop.order","input":{"item":"tea","sugar":1}}`), 400, invalid, "sugar"},
		{"input refused by its type", only(`{"type":"shop.order","input":{"count":1}}`), 400, invalid, "item: is missing"},

		// With a key the table is asked whether this repeats an earlier request (TestKeyAfterTheDeadline in package intake).
		{"deadline passed", append(body(at(-time.Second)), without("Idempotency-Key")), 400, invalid, "has passed"},
		{"deadline too far", body(at(7*24*time.Hour + time.Minute)), 400, invalid, "ahead"},
		{"deadline without zone", body(`"deadline":"2099-01-01T00:00:00"`), 400, invalid, "RFC 3339"},
		{"deadline as a date", body(`"deadline":"2099-01-01"`), 400, invalid, "RFC 3339"},
		{"deadline with a comma", body(`"deadline":"2099-01-01T00:00:00,5Z"`), 400, invalid, "RFC 3339"},
		{"deadline with a short hour", body(`"deadline":"2099-01-01T1:00:00Z"`), 400, invalid, "RFC 3339"},
		{"deadline on 30 February", body(`"deadline":"2099-02-30T01:00:00Z"`), 400, invalid, "RFC 3339"},
		{"deadline as a number", body(`"deadline":4070908800`), 400, invalid, "RFC 3339"},
		{"deadline empty", body(`"deadline":""`), 400, invalid, "RFC 3339"},
		{"deadline null", body(`"deadline":null`), 400, invalid, `"deadline" is null`},
		{"deadline and ttl", body(at(time.Hour) + `,"ttl":"1h"`), 400, invalid, "not both"},

		{"ttl of zero", body(`"ttl":"0s"`), 400, invalid, `"ttl"`},
		{"negative ttl", body(`"ttl":"-1s"`), 400, invalid, `"ttl"`},
		{"ttl too long", body(`"ttl":"168h1ns"`), 400, invalid, `"ttl"`},
		{"ttl beyond all", body(`"ttl":"9999999999h"`), 400, invalid, `"ttl"`},
		{"ttl as a number", body(`"ttl":90`), 400, invalid, `"ttl" is not a duration`},
		{"ttl without unit", body(`"ttl":"90"`), 400, invalid, `"ttl" is not a duration`},
		{"ttl in days", body(`"ttl":"1d"`), 400, invalid, `"ttl" is not a duration`},
		{"ttl empty", body(`"ttl":""`), 400, invalid, `"ttl" is not a duration`},
		{"ttl null", body(`"ttl":null`), 400, invalid, `"ttl" is null`},

		{"negative delay", body(`"delay":"-1ns"`), 400, invalid, `"delay"`},
		{"delay too long", body(`"delay":"15m1ns"`), 400, invalid, `"delay"`},
		{"delay as an object", body(`"delay":{}`), 400, invalid, `"delay" is not a duration`},
		{"delay null", body(`"delay":null`), 400, invalid, `"delay" is null`},

		{"unknown priority", body(`"priority":"urgent"`), 400, invalid, `"priority"`},
		{"priority in capitals", body(`"priority":"Bulk"`), 400, invalid, `"priority"`},
		{"priority empty", body(`"priority":""`), 400, invalid, `"priority" is empty`},
		{"priority as a number", body(`"priority":1`), 400, invalid, `"priority" is not`},
		{"priority null", body(`"priority":null`), 400, invalid, `"priority" is null`},

		{"callback null", body(`"callback_url":null`), 400, invalid, `"callback_url" is null`},
		{"callback empty", body(`"callback_url":""`), 400, invalid, `"callback_url" is not a URL that begins with https://`},
		{"callback as an object", body(`"callback_url":{}`), 400, invalid, `"callback_url" is not a URL`},
		{"callback without scheme", body(`"callback_url":"example.com/done"`), 400, invalid, `"callback_url" must begin with https:// or http://`},
		{"callback of another scheme", body(`"callback_url":"ftp://example.com/done"`), 400, invalid, `"callback_url" must begin with`},
		{"callback without host", body(`"callback_url":"https:///done"`), 400, invalid, `"callback_url" has no host`},
		{"callback with a password", body(`"callback_url":"https://a:b@example.com/"`), 400, invalid, "user information"},
		{"callback with a fragment", body(`"callback_url":"https://example.com/#a"`), 400, invalid, "fragment"},
		{"callback with a port too many", body(`"callback_url":"https://example.com:65536/"`), 400, invalid, "port"},
		{"callback to an odd address", body(`"callback_url":"http://0x7f000001/"`), 400, invalid, "dotted-decimal"},
		{"callback with a line break", body(`"callback_url":"https://example.com/\n"`), 400, invalid, "not a valid URL"},
		{"callback too long", body(`"callback_url":"https://example.com/` + strings.Repeat("x", 2048) + `"`), 400, invalid, "2068 bytes"},

		{"key empty", []func(*request){withKey("")}, 400, invalid, "Idempotency-Key"},
		{"key too long", []func(*request){withKey(strings.Repeat("k", 129))}, 400, invalid, "Idempotency-Key"},
		{"key with a space", []func(*request){withKey("a b")}, 400, invalid, "Idempotency-Key"},
		{"key of a space", []func(*request){withKey(" ")}, 400, invalid, "Idempotency-Key"},
		{"key with a control character", []func(*request){withKey("a\x7f")}, 400, invalid, "Idempotency-Key"},
		{"key with a tab", []func(*request){withKey("a\tb")}, 400, invalid, "Idempotency-Key"},
		{"key beyond ASCII", []func(*request){withKey("clé")}, 400, invalid, "Idempotency-Key"},
		{"two keys", []func(*request){with("idempotency-key", "a", "b")}, 400, invalid, "Idempotency-Key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			p := f.do(event(t, "submit", tt.changes...)).problem(tt.status, tt.code)
			if !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("detail %q says nothing of %q", p.Detail, tt.detail)
			}
			for _, inner := range []string{"json:", "Go ", "taskRequest", "api."} {
				if strings.Contains(p.Detail, inner) {
					t.Errorf("detail %q speaks of %q", p.Detail, inner)
				}
			}
			if len(p.Detail) > 600 {
				t.Errorf("the detail has %d bytes", len(p.Detail))
			}
			f.untouched()
		})
	}
}

// A client's text that comes back in an answer is cut and cleaned.
func TestBadInputIsNotRepeatedAtLength(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\u0001é", 50_000)
	for _, body := range []string{
		`{"type":"shop.note","input":1,"` + strings.Repeat("é", 50_000) + `":1}`,
		`{"type":"` + strings.Repeat("é", 50_000) + `","input":1}`,
		`{"type":"shop.note","input":1,"priority":"` + strings.Repeat(`\u0001`, 50_000) + `"}`,
		`{"type":"shop.order","input":{"` + strings.Repeat("x", 900) + `":1}}`,
		`{"type":"shop.note","input":1,"callback_url":"` + strings.Repeat("é", 50_000) + `"}`,
		`{"type":"shop.note","input":1,"ttl":"` + strings.ReplaceAll(long, "\u0001", `\u0000`) + `"}`,
	} {
		f := newFixture(t)
		a := f.do(event(t, "submit", withBody(body)))
		if a.StatusCode != http.StatusBadRequest || len(a.Body) > 2000 {
			t.Errorf("answer %d of %d bytes", a.StatusCode, len(a.Body))
		}
		if strings.ContainsAny(a.Body, "\x00\x01") {
			t.Errorf("control characters in %q", a.Body)
		}
		f.untouched()
	}
}

// Characters that JSON allows and SQS refuses are no reason to refuse a task.
func TestCharactersThatQueuesRefuse(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"noncharacters": "\uFFFE\uFFFF", "escaped": `\ufffe\uffff`, "control": `\u0000\u001f`, "lone surrogate": `\ud800`, "tags": `<script>&`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.do(event(t, "submit", withBody(`{"type":"shop.note","input":"`+text+`"}`))).task(http.StatusAccepted)
			if n := len(f.tasks.messages(t)); n != 1 {
				t.Fatalf("%d messages", n)
			}
			if out := f.tasks.sent[0].Body; strings.ContainsAny(out, "\uFFFE\uFFFF\x00\x1f") {
				t.Errorf("the message holds what SQS refuses: %q", out)
			}
		})
	}
}
