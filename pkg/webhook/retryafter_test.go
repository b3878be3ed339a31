package webhook

import (
	"net/http"
	"testing"
	"time"
)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	tests := []struct {
		value string
		want  time.Duration // 0 is none
	}{
		{"1", time.Second},
		{" 120 ", 2 * time.Minute},
		{"0007", 7 * time.Second},
		{"43200", 12 * time.Hour},
		{"43201", 12 * time.Hour},
		{"604800", 12 * time.Hour},
		{date(30 * time.Second), 30 * time.Second},
		{date(48 * time.Hour), 12 * time.Hour},
		{now.Add(time.Minute).Format(time.RFC850), time.Minute},
		{now.Add(time.Minute).Format(time.ANSIC), time.Minute},

		{"", 0},
		{"0", 0},
		{"-5", 0},
		{"+5", 0},
		{"1.5", 0},
		{"1e3", 0},
		{"5s", 0},
		{"soon", 0},
		{"99999999", 0}, // three years
		{"4294967296", 0},
		{"99999999999999999999999", 0},
		{date(0), 0},
		{date(-time.Hour), 0},
		{date(400 * 24 * time.Hour), 0},
		{"Fri, 31 Dec 9999 23:59:59 GMT", 0},
		{"Mon, 01 Jan 0001 00:00:00 GMT", 0},
		{now.Add(time.Minute).Format(time.RFC3339), 0},
	}
	for _, tt := range tests {
		got, ok := parseRetryAfter(tt.value, now)
		if got != tt.want || ok != (tt.want > 0) {
			t.Errorf("%q: got %v, %t, want %v", tt.value, got, ok, tt.want)
		}
	}
}
