package main

import (
	"slices"
	"strings"
	"time"
)

// sagaStep is a state that an execution has entered.
type sagaStep struct {
	State     string    `json:"state"`
	Type      string    `json:"type"`
	Outcome   string    `json:"outcome"`
	Undoes    string    `json:"undoes"` // the step that a compensation is for
	Error     string    `json:"error"`
	Cause     string    `json:"cause"`
	Attempts  int       `json:"attempts"`
	EnteredAt time.Time `json:"entered_at"`
	TookMS    int64     `json:"took_ms"`
}

// took is how long the step has taken, so far if it still runs.
func (s *sagaStep) took() time.Duration {
	if s.Outcome == "running" && !s.EnteredAt.IsZero() {
		return time.Since(s.EnteredAt)
	}
	return time.Duration(s.TookMS) * time.Millisecond
}

// What a step was for.
type sagaRole int

const (
	stepBooks sagaRole = iota // keeps the books only
	stepForward
	stepBack // undoes another
	stepEnd
)

// What became of a step that could not be done or undone.
type sagaParked int

const (
	notParked sagaParked = iota
	parked
	parkedOnce // somebody has seen to it since
)

// drawnStep is a step with its part in the saga.
type drawnStep struct {
	sagaStep
	role   sagaRole
	parked sagaParked
}

// retrace finds out what the steps of a path were for.
func (d *sagaDetail) retrace() []drawnStep {
	steps := make([]drawnStep, len(d.Path))
	for i, s := range d.Path {
		steps[i] = drawnStep{sagaStep: s, parked: d.parkedOf(s.State)}
		switch {
		case s.Type == "Fail", s.Type == "Succeed":
			steps[i].role = stepEnd
		case s.Undoes != "":
			steps[i].role = stepBack
		case s.Type != "Task", d.books(s.State):
			steps[i].role = stepBooks
		default:
			steps[i].role = stepForward
		}
	}
	return steps
}

// ending are the states with which every saga writes down how it ended, and the
// one with which a recovery begins.
var ending = []string{"RecordSucceeded", "RecordFailed", "RecordCanceled", "RecordCompensationFailed", "RecordForwardFailed", "ReadTask"}

// books reports whether a state only writes down what another does: before a
// step, in the end, or when it is parked. A step may be called Record… or Park…
// too; then it has such a state of its own before it, or none that it parks.
func (d *sagaDetail) books(state string) bool {
	if slices.Contains(ending, state) {
		return true
	}
	if strings.HasPrefix(state, "Record") {
		return !d.entered("Record" + state)
	}
	of, parks := strings.CutPrefix(state, "Park")
	return parks && d.entered(of)
}

func (d *sagaDetail) entered(state string) bool {
	return slices.ContainsFunc(d.Path, func(s sagaStep) bool { return s.State == state })
}

// parkedOf reports whether this execution has parked a step, and whether it
// still waits. Of a queue that could not be looked through it is not said that
// something has left it.
func (d *sagaDetail) parkedOf(state string) sagaParked {
	if !slices.ContainsFunc(d.Path, func(s sagaStep) bool { return s.State == "Park"+state && s.Outcome == "ok" }) {
		return notParked
	}
	waits := slices.ContainsFunc(d.Parked, func(p parkedStep) bool { return p.Step == state })
	if waits || d.Note != "" {
		return parked
	}
	return parkedOnce
}

// shown reports whether a step is worth a line. Books are when something is
// wrong with them, since nothing else tells it.
func (s *drawnStep) shown() bool {
	return s.role != stepBooks || s.Outcome != "ok"
}
