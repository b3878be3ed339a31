package redrive

import "time"

// pace keeps the steps of a job to a rate: each message has its moment, an
// equal distance apart, and a step begins at the moment of its first one. What
// is late catches up, but no more than a little: the schedule moves on after a
// pause.
type pace struct {
	every time.Duration // between two messages; 0 without a rate
	next  time.Time     // the moment of the next one
}

// maxLag is how far behind its moments a job may be and still catch up: no
// second sees more than twice the rate.
const maxLag = time.Second

// newPace goes on with a schedule that had got to an instant in milliseconds,
// or begins one.
func newPace(rate float64, pacedAt int64) *pace {
	p := &pace{next: time.Now()}
	if rate > 0 {
		p.every = time.Duration(float64(time.Second) / rate)
	}
	if at := time.UnixMilli(pacedAt); pacedAt > 0 && time.Since(at) < maxLag {
		p.next = at
	}
	return p
}

// size is how many messages a step should hold: what is sent within a quarter
// of a second, at most ten.
func (p *pace) size() int {
	if p.every == 0 {
		return stepSize
	}
	return int(min(max(time.Second/4/p.every, 1), stepSize))
}

// stepSize is how many messages SQS takes in one call.
const stepSize = 10

// moment takes the moment of the next n messages.
func (p *pace) moment(n int) time.Time {
	if earliest := time.Now().Add(-maxLag); p.next.Before(earliest) {
		p.next = earliest
	}
	at := p.next
	p.next = at.Add(time.Duration(n) * p.every)
	return at
}

// at is where the schedule is, in milliseconds.
func (p *pace) at() int64 { return p.next.UnixMilli() }
