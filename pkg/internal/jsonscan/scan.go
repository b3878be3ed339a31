// Package jsonscan reads JSON text front to back, value by value, without
// building anything that the caller does not ask for. It is strict: what
// encoding/json refuses, it refuses, up to the nesting that it follows.
//
//	s := jsonscan.New(text)
//	s.Object(func(key string) {
//		switch key {
//		case "id":
//			id = s.String()
//		default:
//			s.Skip()
//		}
//	})
//	s.End()
//	if err := s.Err(); err != nil { … }
//
// The first error stays: every later call returns a zero value and calls
// nothing, so that one look at [Scanner.Err] at the end is enough. Strings are
// parts of the text where they can be, and share one buffer, of the text's
// size, where they hold escapes; holding one of them holds the whole.
package jsonscan

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values, as encoding/json does.
const maxDepth = 10000

// ErrSyntax is wrapped by every error of a [Scanner].
var ErrSyntax = errors.New("unexpected JSON")

// Scanner reads one text. Make one with [New] or [Scanner.Reset]; it is not
// safe for concurrent use, and must not be copied.
type Scanner struct {
	text    string
	i       int
	depth   int
	err     error
	decoded strings.Builder // strings that held escapes
}

// New returns a [Scanner] at the beginning of text.
func New(text string) *Scanner { return &Scanner{text: text} }

// Reset makes s as New would. It serves a Scanner that is part of a struct.
func (s *Scanner) Reset(text string) { *s = Scanner{text: text} }

// Err returns the first error, or nil.
func (s *Scanner) Err() error { return s.err }

// Fail makes err the scanner's error, unless it has one: reading ends here.
func (s *Scanner) Fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *Scanner) syntax(what string) {
	s.Fail(fmt.Errorf("%w: %s at byte %d", ErrSyntax, what, s.i))
}

// Kind tells the next value by its first byte: one of { [ " t f n, 0 for a
// number, and space for what is none.
func (s *Scanner) Kind() byte {
	switch c := s.peek(); c {
	case '{', '[', '"', 't', 'f', 'n':
		return c
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	default:
		return ' '
	}
}

// End checks that nothing follows but white space.
func (s *Scanner) End() {
	if s.peek() != 0 || s.i < len(s.text) {
		s.syntax("more than one value")
	}
}

// Object reads an object and calls member for each key, in order; member must
// read the key's value.
func (s *Scanner) Object(member func(key string)) {
	if !s.enter('{') {
		return
	}
	if s.peek() == '}' {
		s.leave()
		return
	}
	for s.err == nil {
		if s.peek() != '"' {
			s.syntax("no key")
			return
		}
		key := s.String()
		if s.peek() != ':' {
			s.syntax("no colon after a key")
			return
		}
		s.i++
		member(key)
		if !s.another('}') {
			return
		}
	}
}

// Array reads an array and calls element for each of its values, which element
// must read.
func (s *Scanner) Array(element func()) {
	if !s.enter('[') {
		return
	}
	if s.peek() == ']' {
		s.leave()
		return
	}
	for s.err == nil {
		element()
		if !s.another(']') {
			return
		}
	}
}

// String reads a string. Half a surrogate pair becomes U+FFFD; bytes that are
// not UTF-8 stay as they are.
func (s *Scanner) String() string {
	start, plain := s.quoted()
	switch {
	case plain:
		return s.text[start : s.i-1]
	case s.err != nil:
		return ""
	default:
		return s.unescape(start)
	}
}

// Text reads a string, or null as an empty one.
func (s *Scanner) Text() string {
	if s.peek() == 'n' {
		s.literal("null")
		return ""
	}
	return s.String()
}

// Raw reads any value and returns its text.
func (s *Scanner) Raw() string {
	s.peek()
	start := s.i
	s.Skip()
	if s.err != nil {
		return ""
	}
	return s.text[start:s.i]
}

// Skip reads any value.
func (s *Scanner) Skip() {
	switch c := s.peek(); c {
	case '"':
		s.skipString()
	case '{':
		s.Object(s.skipMember)
	case '[':
		s.Array(s.Skip)
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

func (s *Scanner) skipMember(string) { s.Skip() }

// Begin returns where the next value begins, for [Scanner.Since].
func (s *Scanner) Begin() int {
	s.peek()
	return s.i
}

// Since returns the text from begin to what was read last.
func (s *Scanner) Since(begin int) string { return s.text[begin:s.i] }

// Null reads null and reports whether it was there; any other value is left
// to be read.
func (s *Scanner) Null() bool {
	if s.peek() != 'n' {
		return false
	}
	s.literal("null")
	return s.err == nil
}

// peek returns the next byte that is not white space, 0 at the end or after an
// error.
func (s *Scanner) peek() byte {
	if s.err != nil {
		return 0
	}
	if s.i < len(s.text) && s.text[s.i] > ' ' {
		return s.text[s.i]
	}
	return s.beyondSpace()
}

// beyondSpace is peek for when there may be white space, which there seldom is.
func (s *Scanner) beyondSpace() byte {
	for s.i < len(s.text) {
		switch c := s.text[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

func (s *Scanner) enter(open byte) bool {
	if s.peek() != open {
		s.syntax("no " + string(open))
		return false
	}
	if s.depth++; s.depth > maxDepth {
		s.syntax("nested too deeply")
		return false
	}
	s.i++
	return true
}

func (s *Scanner) leave() {
	s.i++
	s.depth--
}

// another reads what follows a member or an element, and reports whether one
// more comes.
func (s *Scanner) another(closing byte) bool {
	switch s.peek() {
	case ',':
		s.i++
		return true
	case closing:
		s.leave()
	default:
		s.syntax("neither a comma nor the end")
	}
	return false
}

func (s *Scanner) literal(word string) {
	if !strings.HasPrefix(s.text[s.i:], word) {
		s.syntax("no value")
		return
	}
	s.i += len(word)
}

// number reads a number as the grammar has it (RFC 8259, section 6).
func (s *Scanner) number() {
	if s.err != nil {
		return
	}
	if s.at('-') {
		s.i++
	}
	switch {
	case s.at('0'):
		s.i++
	case !s.digits():
		s.syntax("no value")
		return
	}
	if s.at('.') {
		if s.i++; !s.digits() {
			s.syntax("no digit after the point")
			return
		}
	}
	if s.at('e') || s.at('E') {
		if s.i++; s.at('+') || s.at('-') {
			s.i++
		}
		if !s.digits() {
			s.syntax("no digit in the exponent")
		}
	}
}

func (s *Scanner) at(c byte) bool { return s.i < len(s.text) && s.text[s.i] == c }

// digits reads a run of digits and reports whether there was one.
func (s *Scanner) digits() bool {
	start := s.i
	for s.i < len(s.text) && s.text[s.i]-'0' <= 9 {
		s.i++
	}
	return s.i > start
}

// quoted reads a string up to its end, or up to its first escape, which it
// leaves to be read. It returns where the characters begin, and whether the
// string ended.
func (s *Scanner) quoted() (start int, plain bool) {
	if s.peek() != '"' {
		s.syntax("no string")
		return 0, false
	}
	start = s.i + 1
	s.i = special(s.text, start)
	if s.i < len(s.text) && s.text[s.i] == '"' {
		s.i++
		return start, true
	}
	s.inside()
	return start, false
}

// run reads ordinary characters and, if that is what ends them, the closing
// quote, which it reports; else an escape is next.
func (s *Scanner) run() (closed bool) {
	s.i = special(s.text, s.i)
	if s.i < len(s.text) && s.text[s.i] == '"' {
		s.i++
		return true
	}
	s.inside()
	return false
}

// inside checks that a run of characters ended with an escape.
func (s *Scanner) inside() {
	switch {
	case s.i >= len(s.text):
		s.syntax("a string without an end")
	case s.text[s.i] != '\\':
		s.syntax("a control character in a string")
	}
}

// special returns the index, at or after i, of the first byte that ends a run
// of ordinary characters in a string: a quote, a backslash or a control
// character. It looks at eight bytes at a time ("Determine if a word has a byte
// less than n", Bit Twiddling Hacks), since most of an event is inside of
// strings.
func special(text string, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(text); i += 8 {
		b := text[i : i+8]
		w := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		found := ((w-ones*' ')&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
		if found != 0 { // the lowest of these bits is right, those above it may not be
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(text) && text[i] >= ' ' && text[i] != '"' && text[i] != '\\' {
		i++
	}
	return i
}

// skipString reads a string that nobody asks for.
func (s *Scanner) skipString() {
	_, closed := s.quoted()
	for !closed && s.err == nil {
		s.escape()
		closed = s.err == nil && s.run()
	}
}

// escape reads the escape that is next and returns what it stands for.
func (s *Scanner) escape() rune {
	if s.i+1 < len(s.text) {
		c := s.text[s.i+1]
		switch c {
		case '"', '\\', '/':
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			return s.unicode()
		default:
			c = 0
		}
		if c != 0 {
			s.i += 2
			return rune(c)
		}
	}
	s.syntax("an unknown escape")
	return 0
}

// unicode reads \uXXXX, or two of them that are a surrogate pair.
func (s *Scanner) unicode() rune {
	r, ok := hex4(s.text[s.i:])
	if !ok {
		s.syntax("an unknown escape")
		return 0
	}
	s.i += 6
	if !utf16.IsSurrogate(r) {
		return r
	}
	low, ok := hex4(s.text[s.i:])
	if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
		s.i += 6
	}
	return r
}

// hex4 returns the code unit of the escape \uXXXX at the beginning of text.
func hex4(text string) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	var r rune
	for i := 2; i < 6; i++ {
		c := text[i]
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape reads the rest of a string that began at start and is at its first
// escape. No escape is shorter than what it stands for, so the buffer never
// grows after the first time, and what was returned before stays as it was.
func (s *Scanner) unescape(start int) string {
	if s.decoded.Cap() == 0 {
		s.decoded.Grow(len(s.text) - start)
	}
	from := s.decoded.Len()
	for s.err == nil {
		s.decoded.WriteString(s.text[start:s.i])
		s.decoded.WriteRune(s.escape())
		start = s.i
		if s.err == nil && s.run() {
			s.decoded.WriteString(s.text[start : s.i-1])
			return s.decoded.String()[from:]
		}
	}
	return ""
}
