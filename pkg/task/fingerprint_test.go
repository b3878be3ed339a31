package task_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/internal/allocs"
	"github.com/spillway-go/spillway/pkg/task"
)

func TestNormalizeMessage(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                 "",
		"connection reset": "connection reset",
		"dial tcp 10.0.3.17:5432: connect: connection refused":            "dial tcp #: connect: connection refused",
		`Get "https://shop.example/orders/17": context deadline exceeded`: "Get #: context deadline exceeded",
		"order 01JZ8X2M7V3Q4R5S6T7V8W9XYZ: not found":                     "order #: not found",
		"request 3f1c9a52-07b1-4e0d-9a8e-1f2d3c4b5a69 was throttled":      "request # was throttled",
		"panic: runtime error: index out of range [5] with length 3":      "panic: runtime error: index out of range [#] with length #",
		"invalid memory address 0xc000123456":                             "invalid memory address #",
		"mail to ada@shop.example bounced":                                "mail to # bounced",
		"mail to <ada.lovelace@shop.example>, bounced":                    "mail to <#>, bounced",
		"no lock since 2026-01-31T12:00:00.000Z (12m30.5s)":               "no lock since # (#)",
		"commit deadbeef cafebabe is gone":                                "commit # is gone",
		"facade decade":                                                   "facade decade",
		`can't open 'a file': it's gone`:                                  "can't open #: it's gone",
		`json: unknown field "title"`:                                     "json: unknown field #",
		`parsing {"id":7,"name":"Ada \"the\" L."}: EOF`:                   "parsing {#:#,#:#}: EOF",
		"timeout=30s, tries=5":                                            "timeout=#, tries=#",
		"rows [1 2 3 4] and 5, 6, 7":                                      "rows [#] and #",
		"a\tb\n\n c  ":                                                    "a b c",
		`"unfinished`:                                                     `"unfinished`,
		`answered "a very long st…`:                                       "answered #",
		"take user's 'own'":                                               "take user's #",
		"٣ apples":                                                        "# apples",
		"status 503":                                                      "status #",
		"/var/task/bootstrap7.log: no such file":                          "#: no such file",
		"`quoted`, then 'quoted'":                                         "#, then #",
		strings.Repeat("word ", 60):                                       strings.TrimSpace(strings.Repeat("word ", 40)),
		"a" + strings.Repeat("é", 150):                                    "a" + strings.Repeat("é", 99),
	} {
		if got := task.NormalizeMessage(in); got != want {
			t.Errorf("%q\nbecame %q,\nwant   %q", in, got, want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	f := task.Failure{Code: "http_503", Message: "shop.example answered 503 for order 17", Retryable: true}
	same := task.Failure{Code: "http_503", Message: "shop.example answered 503 for order 18"}
	if a, b := task.Fingerprint("webhook.deliver", f), task.Fingerprint("webhook.deliver", same); a != b {
		t.Errorf("one problem has the fingerprints %s and %s", a, b)
	}
	seen := map[string]bool{}
	for _, other := range []struct{ taskType, code, message string }{
		{"webhook.deliver", "http_503", "shop.example answered 503 for order 17"},
		{"report.build", "http_503", "shop.example answered 503 for order 17"},
		{"webhook.deliver", "http_502", "shop.example answered 503 for order 17"},
		{"webhook.deliver", "http_503", "shop.example answered"},
		{"webhook.deliver", "http_503", ""},
		{"webhook.deliverhttp_503", "", ""},
		{"", "", ""},
	} {
		got := task.Fingerprint(other.taskType, task.Failure{Code: other.code, Message: other.message})
		if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(got) || seen[got] {
			t.Errorf("%+v has the fingerprint %q", other, got)
		}
		seen[got] = true
	}
	// Where a long message is cut depends on the ids in it.
	long := strings.Repeat("and it went on and on ", 50)
	short := task.Fingerprint("x", task.FailureOf(errors.New("order 1 of 2: "+long)))
	if got := task.Fingerprint("x", task.FailureOf(errors.New("order 123456789 of 1000000000000000: "+long))); got != short {
		t.Errorf("one long problem has the fingerprints %s and %s", short, got)
	}
	// Stored in tables and shown to people: it must never change.
	if got := task.Fingerprint("webhook.deliver", f); got != "75d7913db513639d" {
		t.Errorf("the fingerprint is %s", got)
	}
}

// pieces are what error messages are made of, and what may confuse.
var pieces = []string{
	"order", "17", "a1", "3f1c9a52-07b1-4e0d-9a8e-1f2d3c4b5a69", "deadbeef", "it's", "\"", "'", "`", "\\", "quoted", "…", "#", "##",
	" ", "  ", "\t", ",", ", ", ":", ".", "(", "]", "{", "=", "@", "a@b", "é", "\xff", "0x0", "٣", "n", "-",
}

func TestNormalizingTwiceIsOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 40).Draw(t, "pieces"), "")
		checkNormalized(t, s)
	})
}

// checkNormalized checks what is true of every message.
func checkNormalized(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, s string,
) {
	t.Helper()
	once := task.NormalizeMessage(s)
	if twice := task.NormalizeMessage(once); twice != once {
		t.Fatalf("%q became %q, and that %q", s, once, twice)
	}
	if len(once) > 200 || len(once) > len(s) {
		t.Fatalf("%q became %q", s, once)
	}
	if strings.ContainsAny(once, "0123456789") {
		t.Fatalf("%q became %q", s, once)
	}
	for _, digits := range []string{"0", "9", "123456789"} {
		if other := anyDigits.ReplaceAllString(s, digits); task.NormalizeMessage(other) != once {
			t.Fatalf("%q became %q, with other digits %q", s, once, task.NormalizeMessage(other))
		}
	}
}

var anyDigits = regexp.MustCompile(`[0-9]+`)

func FuzzNormalizeMessage(f *testing.F) {
	for _, s := range []string{
		"", "order 17: not found", `Get "https://shop.example/17": EOF`, `"a\"b" 'c' d'e'f 5"6"`, "a@b @ c", "\xff1\xfe", "deadbeef", `1"2"3`, `"a"b" "c`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		allocs.Within(t, 1<<20+256*len(s), func() { checkNormalized(t, s[:min(len(s), 2000)]) })
	})
}
