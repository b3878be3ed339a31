package batch

import "slices"

// lanes are records that have to follow one another, such as those of one
// message group: each waits until the one before it has succeeded. A nil
// *lanes has none.
type lanes struct {
	next  []int  // the record that waits for this one, 0 if none does
	waits []bool // for another one
	freed []int  // whose predecessors have succeeded, in order; at most one for each slot
}

// newLanes puts records of the same key into one lane.
func newLanes(n int, key func(i int) string) *lanes {
	l := &lanes{next: make([]int, n), waits: make([]bool, n)}
	tail := make(map[string]int, n)
	for i := range n {
		k := key(i)
		if before, ok := tail[k]; ok {
			l.next[before], l.waits[i] = i, true
		}
		tail[k] = i
	}
	return l
}

// leads reports whether record i is the first of its lane.
func (l *lanes) leads(i int) bool { return l == nil || !l.waits[i] }

// release frees the record that waits for i.
func (l *lanes) release(i int) {
	if l == nil || l.next[i] == 0 {
		return
	}
	at, _ := slices.BinarySearch(l.freed, l.next[i])
	l.freed = slices.Insert(l.freed, at, l.next[i])
}

// first removes the first record that was freed, if it comes before limit.
func (l *lanes) first(limit int) (int, bool) {
	if l == nil || len(l.freed) == 0 || l.freed[0] >= limit {
		return 0, false
	}
	i := l.freed[0]
	l.freed = slices.Delete(l.freed, 0, 1)
	return i, true
}
