package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spillway-go/spillway/internal/allocs"
	"github.com/spillway-go/spillway/pkg/task"
)

// FuzzText gives what the package reads from others a text: a handler's input,
// a time, a name, a message for people.
func FuzzText(f *testing.F) {
	for _, input := range []string{
		`{"id":"a","count":2,"tags":["b","c"]}`, `{"id":"a","count":1e0}`, `{"ID":"a"}`, `{"id":"a"}{"id":"b"}`, `{"id":"a"} }`,
		`{"id":"\ud800","tags":null}`, `{"cuont":1}`, ` null `, ``, `[[[[[[`, `{"id":7}`, `"` + strings.Repeat("x", 500) + `"`,
	} {
		f.Add(byte(0), input, 0)
	}
	for _, at := range []string{`"2026-01-31T12:00:00Z"`, `"2026-01-31T12:00:00.999999999+23:59"`, `"9999-12-31T23:59:59-00:01"`, `"0000-01-01T00:00:00+00:01"`, `1`} {
		f.Add(byte(1), at, 0)
	}
	for _, name := range []string{"webhook.deliver", "a_1.b2", "a..b", ".a", "A", "a\n", "é", strings.Repeat("a", 65)} {
		f.Add(byte(2), name, 64)
	}
	f.Add(byte(3), "it's \x00 ☃ \xff", 7)
	f.Add(byte(3), "…", 2)
	f.Add(byte(3), "all of it", math.MaxInt)
	f.Add(byte(3), "nothing", math.MinInt)
	checks := []func(*testing.T, string, int){checkHandler, checkTime, checkNames, checkMessages}
	f.Fuzz(func(t *testing.T, kind byte, text string, n int) {
		allocs.Within(t, 512<<10+64*len(text), func() { checks[int(kind)%len(checks)](t, text, n) })
	})
}

// checkHandler: the handler runs for one JSON object with known members only,
// and is not called otherwise.
func checkHandler(t *testing.T, input string, _ int) {
	t.Helper()
	var got []order
	m := task.NewMux()
	task.Handle(m, "order.place", func(_ context.Context, in order) (order, error) {
		got = append(got, in)
		return in, nil
	})
	refused := m.Check("order.place", json.RawMessage(input))
	result, err := m.Run(t.Context(), "order.place", json.RawMessage(input))
	if (refused == nil) != (err == nil) || (err == nil) != (len(got) == 1) {
		t.Fatalf("Check = %v, Run = %v, the handler ran %d times", refused, err, len(got))
	}
	if err != nil {
		failure := task.FailureOf(err)
		if failure.Code != task.CodeInvalidInput || failure.Retryable || failure.Message == "" {
			t.Fatalf("refused as %+v", failure)
		}
		checkMessage(t, failure.Message, 400)
		return
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(input), &members); err != nil {
		t.Fatalf("%q was taken: %v", input, err)
	}
	for name := range members {
		if !slices.ContainsFunc([]string{"id", "count", "tags"}, func(known string) bool { return strings.EqualFold(known, name) }) {
			t.Fatalf("%q was taken, with the member %q", input, name)
		}
	}
	var again order
	if err := task.Decode(result, &again); err != nil || !reflect.DeepEqual(again, got[0]) {
		t.Fatalf("%q came as %+v and left as %s, %v", input, got[0], result, err)
	}
}

// checkTime: whatever is read is written in one form, which reads the same.
func checkTime(t *testing.T, text string, _ int) {
	t.Helper()
	var at, again task.Time
	if json.Unmarshal([]byte(text), &at) != nil {
		return
	}
	written, err := json.Marshal(at)
	if y := at.Year(); err != nil && (y < 0 || y > 9999) {
		return // an offset led out of RFC 3339
	}
	if err != nil || len(written) != len(`"2026-01-31T12:00:00.000Z"`) {
		t.Fatalf("%s was read as %s and written as %s, %v", text, at, written, err)
	}
	if err := json.Unmarshal(written, &again); err != nil || !again.Equal(at.Time) {
		t.Fatalf("%s was read as %s, %v", written, again, err)
	}
}

var (
	typeForm    = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)
	visibleForm = regexp.MustCompile(`^[!-~]+$`)
)

// checkNames: the rules as their documentation has them, in another notation.
func checkNames(t *testing.T, name string, limit int) {
	t.Helper()
	if got, want := task.LegalType(name), len(name) <= task.MaxType && typeForm.MatchString(name); got != want {
		t.Fatalf("LegalType(%q) = %t", name, got)
	}
	if got, want := task.VisibleASCII(name, limit), len(name) <= limit && visibleForm.MatchString(name); got != want {
		t.Fatalf("VisibleASCII(%q, %d) = %t", name, limit, got)
	}
	err := task.NewMux().Check(name, nil)
	if err == nil {
		t.Fatalf("an empty mux knows %q", name)
	}
	checkMessage(t, err.Error(), 400)
}

func checkMessages(t *testing.T, text string, limit int) {
	t.Helper()
	checkCleanText(t, text, limit) // as TestCleanText does
	failure := task.FailureOf(task.Code(text, errors.New(text)))
	checkMessage(t, failure.Code, 64)
	checkMessage(t, failure.Message, 400)
}

// checkMessage: people and queues can read it.
func checkMessage(t *testing.T, message string, limit int) {
	t.Helper()
	if len(message) > limit || !utf8.ValidString(message) || strings.ContainsFunc(message, func(r rune) bool { return !legal(r) }) {
		t.Fatalf("message of %d bytes: %q", len(message), message)
	}
}
