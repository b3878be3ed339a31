package event

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spillway-go/spillway/pkg/internal/jsonscan"
)

// Image is an item, or its keys, as the JSON of DynamoDB's attribute values:
// {"id":{"S":"a"},"n":{"N":"1"}}. It is decoded only when it is asked for.
type Image string

// Unmarshal stores the item in v as encoding/json would from plain JSON: every
// attribute is a member, {"id":"a","n":1}. Numbers keep all their digits, so
// decode those beyond a float64 into a [json.Number]. Binary values are base64
// text, which a []byte field takes; sets are arrays. Tags are those of
// encoding/json; dynamodbav means nothing here. An empty image stores nothing.
// The error wraps [ErrMalformed], or is one of encoding/json.
func (i Image) Unmarshal(v any) error {
	if i == "" {
		return nil
	}
	plain, err := i.JSON()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("decode an item: %w", err)
	}
	return nil
}

// JSON returns the item as plain JSON, see [Image.Unmarshal]; null for an empty
// image. It is never longer than the image. The error is [ErrMalformed].
func (i Image) JSON() ([]byte, error) {
	if i == "" {
		return []byte("null"), nil
	}
	p := plainer{Scanner: jsonscan.New(string(i)), out: make([]byte, 0, len(i))}
	p.members()
	p.End()
	if p.Err() != nil {
		return nil, fmt.Errorf("%w: an image: %w", ErrMalformed, p.Err())
	}
	return p.out, nil
}

// plainer writes attribute values as plain JSON.
type plainer struct {
	*jsonscan.Scanner
	out []byte
}

func (p *plainer) members() {
	p.out = append(p.out, '{')
	first := true
	p.Object(func(key string) {
		p.comma(&first)
		p.out = appendQuoted(p.out, key)
		p.out = append(p.out, ':')
		p.value()
	})
	p.out = append(p.out, '}')
}

func (p *plainer) elements(element func()) {
	p.out = append(p.out, '[')
	first := true
	p.Array(func() {
		p.comma(&first)
		element()
	})
	p.out = append(p.out, ']')
}

// value writes one attribute value: an object whose only key is its type.
func (p *plainer) value() {
	types := 0
	p.Object(func(kind string) {
		if types++; types > 1 {
			p.Fail(fmt.Errorf("%w: an attribute with two types", ErrMalformed))
			return
		}
		switch kind {
		case "S", "B":
			p.text()
		case "N":
			p.number()
		case "BOOL":
			p.raw("a truth value", 't', 'f')
		case "NULL":
			p.Skip()
			p.out = append(p.out, "null"...)
		case "M":
			p.members()
		case "L":
			p.elements(p.value)
		case "SS", "BS":
			p.elements(p.text)
		case "NS":
			p.elements(p.number)
		default:
			p.Fail(fmt.Errorf("%w: an attribute of the type %.20q", ErrMalformed, kind))
		}
	})
	if types == 0 {
		p.Fail(fmt.Errorf("%w: an attribute without a type", ErrMalformed))
	}
}

// number writes a number, which DynamoDB keeps as text.
func (p *plainer) number() {
	n := p.String()
	if s := jsonscan.New(n); p.Err() == nil && (s.Kind() != '0' || s.Raw() != n) {
		p.Fail(fmt.Errorf("%w: %.40q is not a number", ErrMalformed, n))
	}
	p.out = append(p.out, n...)
}

// text writes a string as it stands there, escapes and all.
func (p *plainer) text() { p.raw("a string", '"') }

// raw writes a value of these kinds as it stands there.
func (p *plainer) raw(what string, kinds ...byte) {
	if !slices.Contains(kinds, p.Kind()) {
		p.Fail(fmt.Errorf("%w: an attribute is not %s as its type says", ErrMalformed, what))
		return
	}
	p.out = append(p.out, p.Raw()...)
}

func (p *plainer) comma(first *bool) {
	if !*first {
		p.out = append(p.out, ',')
	}
	*first = false
}

// canonical returns keys in a form that equal ones share: no white space, no
// escape that is not needed, sorted by name. What cannot be keys gives "".
func (i Image) canonical() string {
	type key struct{ name, kind, value string }
	var room [2]key // a table has one or two
	keys := room[:0]
	s := jsonscan.New(string(i))
	s.Object(func(name string) {
		k := key{name: name}
		s.Object(func(kind string) {
			if k.kind != "" || kind == "" {
				s.Fail(ErrMalformed)
				return
			}
			k.kind, k.value = kind, s.String()
		})
		if k.kind == "" {
			s.Fail(ErrMalformed)
		}
		keys = append(keys, k)
	})
	s.End()
	if s.Err() != nil || len(keys) == 0 {
		return ""
	}
	byName := func(a, b key) int { return strings.Compare(a.name, b.name) }
	if slices.IsSortedFunc(keys, byName) && canonicalBytes(string(i)) {
		return string(i)
	}
	slices.SortStableFunc(keys, byName)
	out := make([]byte, 0, len(i))
	for n, k := range keys {
		out = append(out, "{,"[min(n, 1)])
		out = appendQuoted(out, k.name)
		out = append(out, ":{"...)
		out = appendQuoted(out, k.kind)
		out = append(out, ':')
		out = appendQuoted(out, k.value)
		out = append(out, '}')
	}
	return string(append(out, '}'))
}

// canonicalBytes reports whether text has neither escapes nor white space, not
// even inside of strings.
func canonicalBytes(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] == '\\' {
			return false
		}
	}
	return true
}

// appendQuoted appends s as a JSON string, with escapes only where there is no
// other way.
func appendQuoted(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			out = append(out, c)
			continue
		}
		if short := strings.IndexByte("\"\\\b\f\n\r\t", c); short >= 0 {
			out = append(out, '\\', `"\bfnrt`[short])
			continue
		}
		out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
	return append(out, '"')
}
