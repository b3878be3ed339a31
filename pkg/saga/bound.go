package saga

import (
	"time"
)

// Bound is the worst that an execution can come to, with every attempt of every
// state on the way used up.
type Bound struct {
	Time        time.Duration // every attempt runs into its time-out, every wait is the longest
	Events      int           // of the history
	Payload     int           // bytes that a function is called with
	Longest     string        // the state that takes the most time,
	LongestTime time.Duration // and how much that is
}

// What a state adds to the history at the most: entered and exited, and for
// each attempt scheduled, started, submitted and how it ended
// (https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html).
const (
	stateEvents   = 2
	attemptEvents = 4
	// fixedEvents: the execution's own begin and end, and the states without a
	// Task that every machine has.
	fixedEvents = 20
)

// leg is a part of the way.
type leg struct {
	time   time.Duration
	events int
}

func (a leg) plus(b leg) leg { return leg{a.time + b.time, a.events + b.events} }

// Bound computes the worst case: the whole way forward, to the end that was
// almost reached, and all the way back. Attempts are counted for transient errors
// and for others apart, since Step Functions does so for each retrier.
func (d Definition) Bound() Bound {
	d = d.complete()
	b := Bound{Payload: d.MaxInput + 1024}
	pivot := d.pivot()
	var there, back, after leg
	worst := func(name string, timeout time.Duration, r Retry) leg {
		l := taskLeg(timeout, r, 2)
		if l.time > b.LongestTime {
			b.Longest, b.LongestTime = name, l.time
		}
		return l
	}
	sdk := taskLeg(sdkTimeout*time.Second, sdkRetry, 1)
	for i, st := range d.Stages {
		do, undo := leg{}, leg{}
		for _, s := range st.Steps {
			do = beside(do, worst(s.Name, s.Timeout, s.Retry))
			if s.Undo.By != "" {
				undo = beside(undo, worst(s.Undo.By, s.Undo.Timeout, s.Undo.Retry).plus(sdk)) // and to be parked
			}
			if s.Result != "" {
				b.Payload += MaxResult + len(s.Result) + 4
			}
		}
		do = do.plus(sdk).plus(leg{0, 4 * stateEvents})
		if i > pivot {
			after = after.plus(do)
		} else {
			there, back = there.plus(do), back.plus(undo).plus(leg{0, 3 * stateEvents})
		}
	}
	// Back from the very end: success could not be written, then the two ends
	// of a failure. Forward to the end: parked, and written. Either may begin
	// with a look at the row.
	total := there.plus(back).plus(sdk).plus(sdk).plus(sdk).plus(sdk)
	if on := there.plus(after).plus(sdk).plus(sdk).plus(sdk); on.time > total.time {
		total.time = on.time
	}
	total.events = there.plus(back).plus(after).events + 6*sdk.events + fixedEvents
	b.Time, b.Events = total.time, total.events
	return b
}

// beside is what two branches come to: the longer time, the events of both.
func beside(a, b leg) leg { return leg{max(a.time, b.time), a.events + b.events} }

// taskLeg is a Task with its retries, by so many retriers of the same kind.
func taskLeg(timeout time.Duration, r Retry, retriers int) leg {
	attempts := 1 + retriers*(r.Attempts-1)
	l := leg{time.Duration(attempts) * timeout, stateEvents + attempts*attemptEvents}
	wait := float64(r.Interval)
	for range r.Attempts - 1 {
		l.time += time.Duration(retriers) * time.Duration(min(wait, float64(r.Cap)))
		wait = min(wait*r.Rate, float64(r.Cap))
	}
	return l
}
