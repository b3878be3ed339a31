package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxRetryAfter is how long a receiver can put us off: what SQS can hide a
	// message for.
	maxRetryAfter = 12 * time.Hour
	// absurdRetryAfter is where a wait stops being a plan; such a header is
	// taken for a mistake and not followed at all.
	absurdRetryAfter = 366 * 24 * time.Hour
)

// parseRetryAfter reads a Retry-After header as RFC 9110 section 10.2.3 has it,
// a number of seconds or an HTTP date, and reports whether there is a wait to
// keep: cut to 12 hours. Anything malformed, absurd (beyond a year), or not
// ahead is no wait, so that the usual backoff applies instead of an immediate
// retry.
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0, false
	}
	var wait time.Duration
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return 0, false
		}
		wait = time.Duration(seconds) * time.Second
	} else {
		at, err := http.ParseTime(value)
		if err != nil {
			return 0, false
		}
		wait = at.Sub(now) // saturates
	}
	if wait <= 0 || wait > absurdRetryAfter {
		return 0, false
	}
	return min(wait, maxRetryAfter), true
}
