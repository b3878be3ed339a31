package job

import "time"

// pace keeps the steps of a job to a rate: each item has its moment, an equal
// distance apart, and a step begins at the moment of its first one. What is late
// catches up by [maxLag] at most: the schedule moves on after a pause.
type pace struct {
	every time.Duration // between two items; 0 without a rate
	next  time.Time     // the moment of the next one
	step  int           // how many items a step has at most
}

// maxLag is how far behind its moments a job may be and still catch up: no
// second sees more than twice the rate.
const maxLag = time.Second

// newPace goes on with a job's schedule, or begins one.
func newPace(of *Progress, step int) *pace {
	p := &pace{next: time.Now(), step: max(step, 1)}
	if of.Rate > 0 {
		p.every = time.Duration(float64(time.Second) / of.Rate)
	}
	if at := time.UnixMilli(of.PacedAt); of.PacedAt > 0 && time.Since(at) < maxLag {
		p.next = at
	}
	return p
}

// size is how many items the next step holds: those of a quarter of a second.
func (p *pace) size() int {
	if p.every == 0 {
		return p.step
	}
	return int(min(max(time.Second/4/p.every, 1), time.Duration(p.step)))
}

// slow reports whether full steps would be too large for the rate.
func (p *pace) slow() bool { return p.size() < p.step }

// moment takes the moment of the next n items.
func (p *pace) moment(n int) time.Time {
	if earliest := time.Now().Add(-maxLag); p.next.Before(earliest) {
		p.next = earliest
	}
	at := p.next
	p.next = at.Add(time.Duration(n) * p.every)
	return at
}

// at is how far the schedule is, in milliseconds.
func (p *pace) at() int64 { return p.next.UnixMilli() }
