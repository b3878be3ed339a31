package webhook

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestParseSecret(t *testing.T) {
	t.Parallel()
	encode := func(n int) string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", n))) }
	tests := []struct{ name, secret, want string }{
		{"shortest", "whsec_" + encode(24), ""},
		{"longest", "whsec_" + encode(64), ""},
		{"pasted with a line feed", "whsec_" + encode(32) + "\n", ""},
		{"empty", "", "does not begin with whsec_"},
		{"no prefix", encode(32), "does not begin with whsec_"},
		{"private key", "whsk_" + encode(64), "does not begin with whsec_"},
		{"not base64", "whsec_kkkk!kkk", "not base64"},
		{"URL alphabet", "whsec_" + strings.Repeat("-_", 20), "not base64"},
		{"too short", "whsec_" + encode(23), "has 23 bytes"},
		{"too long", "whsec_" + encode(65), "has 65 bytes"},
	}
	for _, tt := range tests {
		_, err := ParseSecret(tt.secret)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "kkk") {
			t.Errorf("%s: the error shows the value: %v", tt.name, err)
		}
	}
}

// The signature that is wanted was computed with openssl dgst -mac HMAC.
func TestSign(t *testing.T) {
	t.Parallel()
	s := mustSecret(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	got, err := s.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if err != nil || got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, id := range []string{"", "a.b"} {
		if _, err := s.Sign(id, time.Unix(0, 0), nil); err == nil {
			t.Errorf("the id %q was signed", id)
		}
	}
	if _, err := (Secret{}).Sign("a", time.Unix(0, 0), nil); err == nil {
		t.Error("an empty secret signed")
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	s := mustSecret(t, currentKey)
	type around struct {
		Exported   Secret
		unexported Secret
		list       []Secret
	}
	a := around{s, s, []Secret{s}}
	l := &logs{}
	l.logger().Info("x", slog.Any("a", s), slog.Any("b", a), slog.Any("c", []Secret{s}), slog.Any("d", &a))
	slog.New(slog.NewTextHandler(l, nil)).Info("x", slog.Any("a", s), slog.Any("b", a), slog.Any("c", &s))
	marshaled, _ := json.Marshal(a)
	out := l.String() + string(marshaled)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
		out += fmt.Sprintf(verb+verb+verb+verb, s, &s, a, []Secret{s})
	}
	raw := string(s.key())
	for _, leak := range []string{
		raw, strings.TrimPrefix(currentKey, secretPrefix), fmt.Sprintf("%x", raw), fmt.Sprintf("%X", raw),
		strings.Trim(fmt.Sprintf("%v", []byte(raw[:6])), "[]"), fmt.Sprintf("%#v", []byte(raw[:6]))[7:20],
	} {
		if strings.Contains(out, leak) {
			t.Errorf("%q leaks in %s", leak, out)
		}
	}
	if s.String() != redacted || fmt.Sprint(s) != redacted {
		t.Errorf("got %v", s)
	}
}
