package task

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fingerprint names the failures that are one and the same problem: 16
// hexadecimal digits made of the task's type, the error code and the message
// without its variable parts (see [NormalizeMessage]).
func Fingerprint(taskType string, f Failure) string {
	// A type and a code have no zero byte, so no two triples run together.
	sum := sha256.Sum256([]byte(taskType + "\x00" + f.Code + "\x00" + NormalizeMessage(cutText(f.Message, maxMessage))))
	return hex.EncodeToString(sum[:8])
}

// maxNormalized is how much of a normalised message counts, in bytes. It is
// less than what [FailureOf] keeps of a message: where that cut falls depends
// on how long the ids before it are.
const maxNormalized = 200

// NormalizeMessage replaces what differs between two occurrences of one error
// by #: quoted strings, e-mail addresses, hexadecimal numbers, and every word
// with a digit in it, such as ids, numbers, addresses, ports and times. Several
// in a row are one. Only the beginning of a long message is kept. Normalising
// again changes nothing.
func NormalizeMessage(message string) string {
	for {
		s := cutText(normalize(message), maxNormalized)
		if s == message {
			return s
		}
		message = s // what was replaced may have bared a quote: until nothing changes
	}
}

// normalize is one pass over a message. Its result is never longer.
func normalize(message string) string {
	var out []string // words and separators
	for rest := message; rest != ""; {
		var word string
		if n := quoted(rest); n > 0 {
			word, rest = "#", rest[n:]
		} else if first, size := utf8.DecodeRuneInString(rest); separates(first) {
			word, rest = rest[:size], rest[size:]
		} else {
			n := wordEnd(rest)
			word, rest = generic(rest[:n]), rest[n:]
		}
		out = append(out, word)
	}
	return strings.Join(strings.Fields(strings.Join(collapse(out), "")), " ")
}

// collapse makes one of several # with nothing but space and commas in between.
func collapse(words []string) []string {
	out := words[:0]
	last := -1 // where the latest # is in out, if nothing but space and commas follows it
	for _, w := range words {
		switch {
		case w == "#" && last >= 0:
			out = out[:last+1]
			continue
		case w == "#":
			last = len(out)
		case w != "," && strings.TrimSpace(w) != "":
			last = -1
		}
		out = append(out, w)
	}
	return out
}

// separates reports whether a word ends here. What addresses, paths, times and
// ids are made of does not.
func separates(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;=()[]{}<>|", r) }

// wordEnd returns the length of the word that s begins with: up to a separator,
// or to a quote that is no apostrophe.
func wordEnd(s string) int {
	before := 'a'
	for i, r := range s {
		if i > 0 && (separates(r) || quotes(r) && !inWord(before)) {
			return i
		}
		before = r
	}
	return len(s)
}

func quotes(r rune) bool { return r == '"' || r == '\'' || r == '`' }

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// quoted returns the length of the quoted string that s begins with; 0 if it
// begins with none. One that was cut off reaches to the end.
func quoted(s string) int {
	q := s[0]
	if !quotes(rune(q)) {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case q:
			next, _ := utf8.DecodeRuneInString(s[i+1:])
			if !inWord(next) { // else an apostrophe
				return i + 1
			}
		}
	}
	if strings.HasSuffix(s, "…") {
		return len(s)
	}
	return 0
}

// generic is # for a word that differs from one occurrence to the next, with
// the punctuation around it kept.
func generic(word string) string {
	const around = `.:!?"'` + "`"
	core := strings.Trim(word, around)
	if !variable(core) {
		return word
	}
	i := strings.Index(word, core)
	return word[:i] + "#" + word[i+len(core):]
}

func variable(word string) bool {
	at := strings.IndexByte(word, '@')
	return strings.ContainsFunc(word, unicode.IsDigit) || at > 0 && at < len(word)-1 || hexadecimal(word)
}

// hexadecimal reports whether a word without digits is a number all the same.
// No English word is as long.
func hexadecimal(word string) bool {
	return len(word) >= 8 && !slices.ContainsFunc([]byte(word), func(c byte) bool {
		return !strings.ContainsRune("abcdefABCDEF", rune(c))
	})
}
