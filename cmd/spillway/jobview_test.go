package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMeter(t *testing.T) {
	t.Parallel()
	var m meter
	began := time.Now()
	for _, tt := range []struct {
		after time.Duration
		n     int
		want  float64
	}{
		{0, 100, 0},
		{500 * time.Millisecond, 150, 0}, // too early to tell
		{2 * time.Second, 200, 50},
		{10 * time.Second, 600, 50},
		{40 * time.Second, 600, 0}, // what was long ago does not count
		{42 * time.Second, 620, 10},
	} {
		m.add(began.Add(tt.after), tt.n)
		if got := m.rate(); got != tt.want {
			t.Errorf("after %s: %v a second, want %v", tt.after, got, tt.want)
		}
	}
}

// Where there is no screen, a line every few looks tells the pace.
func TestJobLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		v := &jobView{out: &printer{w: &out}, every: 5 * time.Second, began: time.Now()}
		for n := range 12 {
			v.update(frame{what: "replaying", done: n * 50, total: 2000, detail: "all well"})
			time.Sleep(time.Second)
		}
		v.note("a word")
		v.end(frame{what: "replaying", done: 2000, total: 2000, detail: "done"})
		want := strings.Join([]string{
			"   0s  replaying 0/2000  0%  all well",
			"   5s  replaying 250/2000  12%  50/s  35s left  all well",
			"  10s  replaying 500/2000  25%  50/s  30s left  all well",
			"a word",
			"  12s  replaying 2000/2000  100%  done",
			"",
		}, "\n")
		if diff := cmp.Diff(out.String(), want); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}

// A view that was never shown has no end.
func TestJobViewOfNothing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := &jobView{out: &printer{w: &out}, width: 20}
	v.end(frame{what: "replaying"})
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
	v.update(frame{what: "replaying"}) // neither room nor a total
	if n := len(strings.Split(out.String(), "\n")); n != 3 {
		t.Errorf("%q", out.String())
	}
}
