package webhook

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/pkg/task"
)

func TestInputURL(t *testing.T) {
	t.Parallel()
	long := "https://h.example/" + strings.Repeat("a", MaxURL)
	tests := []struct{ url, want string }{
		{"https://hooks.example.com/a?b=c", ""},
		{"http://hooks.example.com:8080", ""},
		{"HTTPS://EXAMPLE.com", ""},
		{"https://xn--bcher-kva.example/", ""},
		{"https://under_score.example./", ""},
		{"https://192.0.2.1/", ""}, // not public, but that is the guard's to say
		{"https://[2001:db8::1]:8443/", ""},
		{"http://127.0.0.1:1/", ""},
		{long[:MaxURL], ""},
		{"https://h.example/a b", ""},
		{"https://3com.example", ""},
		{"https://0xample", ""},

		{"", "is missing"},
		{long[:MaxURL+1], "at most 2048"},
		{"hooks.example.com", "must begin with"},
		{"//hooks.example.com", "must begin with"},
		{"ftp://hooks.example.com", "must begin with"},
		{"file:///etc/passwd", "must begin with"},
		{"https:hooks.example.com", "has no host"},
		{"https:///path", "has no host"},
		{"https://:443/", "has no host"},
		{"https://user:hunter2@h.example/", "user information"},
		{"https://@h.example/", "user information"},
		{"https://user:hun/ter2@h.example/", "not a valid URL"},
		{"https://h.example/#part", "fragment"},
		{"https://h.example/#", "fragment"},
		{"https://h.example:0/", "port"},
		{"https://h.example:65536/", "port"},
		{"https://h.example:http/", "not a valid URL"},
		{"https://h.example\\@evil.example/", "not a valid URL"},
		{"https://h.example/\n", "not a valid URL"},
		{"https://h%00.example/", "not a valid URL"},
		{"https://bücher.example/", "DNS name in ASCII"},
		{"https://①②⑦.⓪.⓪.①/", "DNS name in ASCII"},
		{"https://" + strings.Repeat("a.", 127) + "example/", "at most 253"},
		{"https://[fe80::1%25eth0]/", "without zone"},
		{"https://[::1/", "not a valid URL"},
		{"https://2130706433/", "dotted-decimal"},
		{"https://0x7f000001/", "dotted-decimal"},
		{"https://0x7f.0.0.0x1/", "dotted-decimal"},
		{"https://0177.0.0.01/", "dotted-decimal"},
		{"https://127.1/", "dotted-decimal"},
		{"https://127.0.0.1./", "dotted-decimal"},
		{"https://256.0.0.1/", "dotted-decimal"},
	}
	for _, tt := range tests {
		in := input(tt.url)
		err := in.Validate()
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%.60q: %v", tt.url, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%.60q: got %v, want %q", tt.url, err, tt.want)
		case err != nil && (strings.Contains(err.Error(), "hun") || !strings.HasPrefix(err.Error(), "url: ")):
			t.Errorf("%.60q: the error %q quotes the URL or does not name the field", tt.url, err)
		}
	}
}

func TestInputEventAndPayload(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, event, payload, want string }{
		{"object", "invoice.paid", `{"a":1}`, ""},
		{"null", "e", `null`, ""},
		{"string", "!~", `"x"`, ""},
		{"longest event", strings.Repeat("e", MaxEvent), `[]`, ""},
		{"no event", "", `{}`, "event: must have"},
		{"long event", strings.Repeat("e", MaxEvent+1), `{}`, "event: must have"},
		{"space", "a b", `{}`, "event: may only"},
		{"line feed", "a\nb", `{}`, "event: may only"},
		{"not ASCII", "é", `{}`, "event: may only"},
		{"no payload", "e", ``, "payload: is missing"},
		{"not JSON", "e", `{`, "payload: is not JSON"},
	}
	for _, tt := range tests {
		in := Input{URL: "https://h.example", Event: tt.event, Payload: json.RawMessage(tt.payload)}
		err := in.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestMuxChecksInput(t *testing.T) {
	t.Parallel()
	mux := task.NewMux()
	task.Handle(mux, Type, New(nil, nil).Deliver) // nil secrets are enough to check
	tests := []struct {
		input string
		ok    bool
	}{
		{`{"url":"https://h.example","event":"e","payload":{"a":1}}`, true},
		{`{"url":"https://h.example","event":"e","payload":null}`, true},
		{`{"url":"https://h.example","event":"e"}`, false},
		{`{"url":"https://h.example","event":"e","payload":1,"secret":"x"}`, false},
		{`{"url":"https://h.example","event":"e","payload":1}{}`, false},
		{`{"url":["https://h.example"],"event":"e","payload":1}`, false},
		{`null`, false},
	}
	for _, tt := range tests {
		if err := mux.Check(Type, json.RawMessage(tt.input)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.input, err)
		}
	}
}

func TestBodyKeepsPayload(t *testing.T) {
	t.Parallel()
	got, err := encodeBody(body{
		Type: "a<b", Timestamp: task.At(created),
		Data: json.RawMessage("{ \"z\": 1.50, \"a\": 12345678901234567890,\n\"z\": \"<&>\\u00e9\u2028\" }"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"a<b","timestamp":"2026-01-31T12:00:00.123Z","data":{"z":1.50,"a":12345678901234567890,"z":"<&>\u00e9` + "\u2028" + `"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDeliverChecksAgain(t *testing.T) {
	t.Parallel()
	d, _ := deliverer(t, nil)
	_, err := d.Deliver(inTask(t.Context(), 1), Input{URL: "https://u:hunter2@h.example", Event: "e", Payload: json.RawMessage("1")})
	if f := task.FailureOf(err); f.Code != task.CodeInvalidInput || f.Retryable || strings.Contains(f.Message, "hunter2") {
		t.Errorf("got %+v", f)
	}
	_, err = d.Deliver(t.Context(), input("https://h.example"))
	if err == nil || !task.IsPermanent(err) {
		t.Errorf("outside of a task: %v", err)
	}
	_, err = New(nil, nil).Deliver(inTask(t.Context(), 1), input("https://h.example"))
	if f := task.FailureOf(err); f.Code != CodeSecret || !f.Retryable {
		t.Errorf("without secrets: %+v", f)
	}
	if errors.Unwrap(err) == nil {
		t.Error("the code hides its cause")
	}
}
