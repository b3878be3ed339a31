// Package allocs holds code under test to a bound of memory: what decodes
// foreign bytes may allocate in proportion to them, and no more.
package allocs

import (
	"runtime/metrics"
	"testing"
)

// tries is how often a call may be repeated: what the runtime allocates by
// itself, and what it counts late, happens to one call but not to all of them.
const tries = 3

// Within calls f and fails the test when that allocates more than limit bytes
// on the heap, freed ones included. A call above the limit is repeated, so f
// has to bear that. All goroutines count: no other test may run meanwhile, and
// beside a fuzz target none does.
func Within(tb testing.TB, limit int, f func()) {
	tb.Helper()
	var n uint64
	for range tries {
		before := allocated()
		f()
		if n = allocated() - before; n <= uint64(max(limit, 0)) {
			return
		}
	}
	tb.Errorf("%d bytes were allocated, the bound is %d", n, limit)
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
