package task

import (
	"strings"
	"unicode/utf8"
)

// CleanText cuts s to at most limit bytes at a character border and replaces
// what SQS refuses in bodies and attributes: it accepts tab, line feed,
// carriage return, U+0020–U+D7FF, U+E000–U+FFFD and U+10000–U+10FFFF
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
// It costs in proportion to limit, however long s is.
func CleanText(s string, limit int) string {
	limit = max(limit, 0)
	// No replacement is shorter than what it replaces. So what lies beyond these
	// bytes is beyond limit too, and so are the halves of a character cut here.
	if len(s)-limit > utf8.UTFMax {
		s = s[:limit+utf8.UTFMax]
	}
	clean := strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r <= 0xFFFD, r >= 0x10000:
			return r
		default:
			return utf8.RuneError
		}
	}, s)
	if len(clean) <= limit {
		return clean
	}
	if limit < len("…") {
		return cutText(clean, limit)
	}
	return cutText(clean, limit-len("…")) + "…"
}

// cutText returns at most limit bytes of s, cut at a character border. A limit
// is not negative.
func cutText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// VisibleASCII reports whether s is 1 to limit visible ASCII characters: what
// fits into headers, group ids and keys as it is.
func VisibleASCII(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
