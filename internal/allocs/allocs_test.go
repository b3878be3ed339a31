package allocs_test

import (
	"testing"

	"github.com/spillway-go/spillway/internal/allocs"
)

// counter notes failures instead of failing.
type counter struct {
	testing.TB
	failures int
}

func (c *counter) Errorf(string, ...any) { c.failures++ }

var kept []byte

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		name       string
		size, want int
	}{{"below", 1 << 20, 0}, {"above", 8 << 20, 1}} {
		c := &counter{TB: t}
		allocs.Within(c, 4<<20, func() { kept = make([]byte, tt.size) })
		if c.failures != tt.want {
			t.Errorf("%s the bound: %d failures", tt.name, c.failures)
		}
	}
}
