package jsonscan_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spillway-go/spillway/pkg/internal/jsonscan"
)

// value builds what encoding/json would make of the next value, numbers as
// text.
func value(s *jsonscan.Scanner) any {
	switch s.Kind() {
	case '{':
		m := map[string]any{}
		s.Object(func(key string) { m[key] = value(s) })
		return m
	case '[':
		a := []any{}
		s.Array(func() { a = append(a, value(s)) })
		return a
	case '"':
		return s.String()
	case '0':
		return json.Number(s.Raw())
	case 't', 'f':
		return s.Raw() == "true"
	default:
		if !s.Null() {
			s.Skip()
		}
		return nil
	}
}

func parse(text string) (any, error) {
	s := jsonscan.New(text)
	v := value(s)
	s.End()
	return v, s.Err()
}

func standard(text string) (v any, err error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if !json.Valid([]byte(text)) {
		return nil, errors.New("invalid")
	}
	err = dec.Decode(&v)
	return v, err
}

var texts = []string{
	`null`, `true`, `false`, `0`, `-0`, `-12.5e+3`, `1E9`, `""`, `"a"`, `{}`, `[]`, ` [ 1 , "2" , { "a" : null } ] `,
	`{"a":1,"a":2}`, `"\"\\\/\b\f\n\r\t"`, `"\u00e9\u20AC\ud83d\ude00"`, `"\ud800"`, `"\ud800\u0041"`, `"\ude00\ud83d"`, `"\ud800\n"`,
	`{"body":"{\"task_id\":\"x\",\"input\":{\"a\":\"\\u00e9\"}}","next":"plain","last":"\n"}`,
	`"` + strings.Repeat("a", 7) + `"`, `"` + strings.Repeat("a", 8) + `\"` + strings.Repeat("é", 9) + `"`,
	strings.Repeat("[", 10000) + strings.Repeat("]", 10000),
	``, ` `, `{`, `}`, `[`, `[1`, `[1,`, `[1,]`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{a:1}`, `{"a" 1}`, `{1:2}`, `[1 2]`,
	`"`, `"a`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"a\nb\"", "\"1234567\x01\"", "\"\x00\"", `01`, `1.`, `.5`, `+1`, `1e`, `1e+`, `-`, `--1`,
	`tru`, `nul`, `nulll`, `truefalse`, `1 2`, `{} {}`, `NaN`, `'a'`, "\ufeff1", "\x00",
	strings.Repeat("[", 10001) + strings.Repeat("]", 10001),
}

func compare(t *testing.T, text string) {
	t.Helper()
	got, err := parse(text)
	want, wantErr := standard(text)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%.80q: %v, encoding/json: %v", text, err, wantErr)
	}
	if err != nil && !errors.Is(err, jsonscan.ErrSyntax) {
		t.Fatalf("%.80q: %v is no ErrSyntax", text, err)
	}
	if err == nil && utf8.ValidString(text) { // encoding/json mends what is not UTF-8
		if !reflect.DeepEqual(got, want) { // cmp.Diff takes for ever on what is nested deeply
			t.Fatalf("%.80q is %#v, want %#v", text, got, want)
		}
	}
	s := jsonscan.New(text)
	s.Skip()
	s.End()
	if (s.Err() == nil) != (wantErr == nil) {
		t.Fatalf("Skip %.80q: %v, encoding/json: %v", text, s.Err(), wantErr)
	}
}

func TestAgreesWithStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		compare(t, text)
	}
	// Every ASCII character at every place within a word of eight bytes.
	for c := range byte(128) {
		for n := range 17 {
			compare(t, `"`+strings.Repeat("x", n)+string(rune(c))+strings.Repeat("y", 9)+`"`)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range texts {
		if len(text) < 1000 {
			f.Add(text)
		}
	}
	f.Fuzz(compare)
}

func TestFirstErrorStays(t *testing.T) {
	t.Parallel()
	s := jsonscan.New(`{"a":1,"b":2}`)
	stop := errors.New("enough")
	var keys []string
	s.Object(func(key string) {
		keys = append(keys, key)
		s.Skip()
		s.Fail(stop)
		s.Fail(errors.New("later"))
	})
	s.End()
	if got, kind := s.String(), s.Kind(); !errors.Is(s.Err(), stop) || got != "" || kind != ' ' || !slices.Equal(keys, []string{"a"}) {
		t.Errorf("err %v, string %q, kind %q, keys %v", s.Err(), got, kind, keys)
	}
}

// Whoever forgets to read a value must not send the scanner round in circles.
func TestValueNotRead(t *testing.T) {
	t.Parallel()
	s := jsonscan.New(`[1,2]`)
	s.Array(func() {})
	if s.Err() == nil {
		t.Error("no error")
	}
	s = jsonscan.New(`{"a":1}`)
	s.Object(func(string) {})
	if s.Err() == nil {
		t.Error("no error")
	}
}

func TestEarlierStringsStay(t *testing.T) {
	t.Parallel()
	var got []string
	s := jsonscan.New(`["\n1","\u00e9","plain","\ud800\ud800","\t\t"]`)
	s.Array(func() { got = append(got, s.String()) })
	if want := []string{"\n1", "é", "plain", "\ufffd\ufffd", "\t\t"}; s.Err() != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, s.Err(), want)
	}
}

func BenchmarkSkip(b *testing.B) {
	text := `{"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","receiptHandle":"` + strings.Repeat("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a", 10) +
		`","body":"{\"a\":\"` + strings.Repeat("b", 300) + `\"}"}`
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		s := jsonscan.New(text)
		s.Skip()
		if s.Err() != nil {
			b.Fatal(s.Err())
		}
	}
}
