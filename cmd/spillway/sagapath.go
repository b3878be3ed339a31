package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// stepTook is how long a step has taken, so far if it still runs.
func stepTook(s *adminapi.SagaStep) time.Duration {
	if s.Outcome == adminapi.StepRunning && !s.EnteredAt.IsZero() {
		return time.Since(s.EnteredAt.Time)
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
	adminapi.SagaStep
	role   sagaRole
	parked sagaParked
}

// sagaPath is an execution whose path is to be drawn.
type sagaPath struct{ *adminapi.SagaShowAnswer }

// retrace finds out what the steps of a path were for.
func (d sagaPath) retrace() []drawnStep {
	steps := make([]drawnStep, len(d.Path))
	for i, s := range d.Path {
		steps[i] = drawnStep{SagaStep: s, parked: d.parkedOf(s.State)}
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
func (d sagaPath) books(state string) bool {
	if slices.Contains(ending, state) {
		return true
	}
	if strings.HasPrefix(state, "Record") {
		return !d.entered("Record" + state)
	}
	of, parks := strings.CutPrefix(state, "Park")
	return parks && d.entered(of)
}

func (d sagaPath) entered(state string) bool {
	return slices.ContainsFunc(d.Path, func(s adminapi.SagaStep) bool { return s.State == state })
}

// parkedOf reports whether this execution has parked a step, and whether it
// still waits. Of a queue that could not be looked through it is not said that
// something has left it.
func (d sagaPath) parkedOf(state string) sagaParked {
	if !slices.ContainsFunc(d.Path, func(s adminapi.SagaStep) bool { return s.State == "Park"+state && s.Outcome == adminapi.StepOK }) {
		return notParked
	}
	waits := slices.ContainsFunc(d.Parked.Parked, func(p adminapi.ParkedStep) bool { return p.Step == state })
	if waits || d.Note != "" {
		return parked
	}
	return parkedOnce
}

// shown reports whether a step is worth a line. Books are when something is
// wrong with them, since nothing else tells it.
func (s *drawnStep) shown() bool {
	return s.role != stepBooks || s.Outcome != adminapi.StepOK
}
