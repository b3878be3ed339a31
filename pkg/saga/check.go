package saga

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	sagaName  = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	stepName  = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{1,39}$`)
	fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	errorCode = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
)

const (
	minAttempts = 2 // a throttle says nothing about the function
	maxAttempts = 100
	// An execution's history ends at 25,000 events, and the execution with it,
	// past every Catch; a payload may have 256 KiB, and one that is larger is a
	// States.DataLimitExceeded, which States.ALL does not catch
	// (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html,
	// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html).
	maxHistory = 25_000
	maxPayload = 240 << 10 // and what surrounds it
	// maxTime is the longest that an execution may run: a day less than the row of
	// a deferred task is kept at the least, and half of what the ledger keeps.
	maxTime = 14 * 24 * time.Hour
)

// Check reports everything that is wrong with the definition, each with what to
// do about it.
func (d Definition) Check() error {
	c := checker{Definition: d.complete(), seen: map[string]string{}}
	c.names()
	c.stages()
	if len(c.errs) == 0 {
		c.bounds()
	}
	return errors.Join(c.errs...)
}

// ownCodes are what handlers and machines call errors of their own.
var ownCodes = []string{
	codeError, codePanic, CodeInvalidCall, CodeCompensated, "canceled", "aborted", "compensation_failed", "forward_failed", codeUnrecorded,
}

type checker struct {
	Definition
	seen map[string]string // every state's name, and what it is
	errs []error
}

func (c *checker) wrong(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("saga %s: "+format, append([]any{c.Name}, args...)...))
}

func (c *checker) names() {
	if !sagaName.MatchString(c.Name) {
		c.wrong("%q is no name of a saga: use lower-case words joined by hyphens, such as book-trip", c.Name)
	}
	if c.Within <= 0 || c.Within > maxTime {
		c.wrong("Within is %s: say how long an execution may take at most, up to the 14 days for which its task and its records are certainly kept", c.Within)
	}
	if c.MaxInput < 0 {
		c.wrong("MaxInput is %d: leave it out for %d, or give a number of bytes", c.MaxInput, defaultMaxInput)
	}
	if len(c.Stages) == 0 {
		c.wrong("there is no stage: give at least one, with saga.One")
	}
}

// reserved are the states that every machine has.
var reserved = []string{
	"Begin", "Recovering", "ReadTask", "StillOpen", "NothingToRecover", "Pivoted", "GoForward", "UndoAll", "Undone", "RecordSucceeded", "Succeeded",
	"RecordFailed", "RecordCanceled", "Compensated", "RecordCompensationFailed", "CompensationFailed", "RecordForwardFailed", "ForwardFailed", "Unrecorded",
}

func (c *checker) state(name, what string) {
	if other, ok := c.seen[name]; ok {
		c.wrong("%s would be a state for %s and for %s: rename one of them", name, other, what)
		return
	}
	c.seen[name] = what
}

func (c *checker) stages() {
	for _, name := range reserved {
		c.seen[name] = "the machine itself"
	}
	results := map[string]string{}
	for i, st := range c.Stages {
		if len(st.Steps) == 0 {
			c.wrong("stage %d has no step: remove it", i+1)
			continue
		}
		alone := len(st.Steps) == 1
		if alone && st.Name != "" {
			c.wrong("stage %s has one step only: use saga.One, or give it another", st.Name)
		}
		if !alone {
			c.group(st)
		}
		c.state(recordState(st), "what comes before "+stageName(st))
		for _, s := range st.Steps {
			c.step(i, s, results)
		}
	}
}

func (c *checker) group(st Stage) {
	if !stepName.MatchString(st.Name) {
		c.wrong("%q is no name of a parallel stage: use 2 to 40 letters and digits beginning with an upper-case letter, such as BookTransport", st.Name)
	}
	c.state(st.Name, "the parallel stage "+st.Name)
	c.state(outcomeState(st.Name), "the outcome of "+st.Name)
	c.state(st.Name+"Done", "the outcome of "+st.Name)
	c.state(undoGroupState(st), "undoing "+st.Name)
	c.state(outcomeState(undoGroupState(st)), "undoing "+st.Name)
	for _, s := range st.Steps {
		if s.Pivot {
			c.wrong("the pivot %s runs beside other steps: a point of no return is one step, give it a stage of its own", s.Name)
		}
	}
}

func (c *checker) step(stage int, s Step, results map[string]string) {
	if !stepName.MatchString(s.Name) {
		c.wrong("%q is no name of a step: Step Functions takes at most 80 characters for a state, and names are made of this one; use 2 to 40 letters and digits beginning with an upper-case letter, such as BookHotel", s.Name)
		return
	}
	c.state(s.Name, "the step "+s.Name)
	pivot := c.pivot()
	parallel := len(c.Stages[stage].Steps) > 1
	if parallel {
		c.state(endedState(s.Name), "the end of "+s.Name)
	}
	switch u := s.Undo; {
	case s.Pivot && stage != pivot:
		c.wrong("%s is a second pivot: there is one point of no return, make one of them a plain step", s.Name)
	case stage > pivot && (u.By != "" || u.Nothing != ""):
		c.wrong("%s comes after the pivot and has an Undo: nothing is undone after the point of no return; put it before the pivot, or remove the Undo", s.Name)
	case stage > pivot && parallel:
		c.wrong("%s comes after the pivot and runs beside others: give each of them a stage of its own", s.Name)
	case stage > pivot && len(s.Business) > 0:
		c.wrong("%s comes after the pivot and has failures of the business: it may not refuse any more; put it before the pivot, or remove Business", s.Name)
	case stage > pivot:
		c.state(parkState(s.Name), "parking "+s.Name)
	case u.By == "" && u.Nothing == "":
		c.wrong("%s has no compensation: name it in Undo.By, or say in Undo.Nothing why there is nothing to undo", s.Name)
	case u.By != "" && u.Nothing != "":
		c.wrong("%s is undone by %s and has nothing to undo: remove Undo.By or Undo.Nothing", s.Name, u.By)
	case u.By != "" && !stepName.MatchString(u.By):
		c.wrong("%q is no name of a compensation: use 2 to 40 letters and digits beginning with an upper-case letter, such as CancelHotel", u.By)
	case u.By != "":
		c.state(u.By, "the compensation of "+s.Name)
		c.state(parkState(u.By), "parking "+u.By)
		if parallel {
			c.state(u.By+"Parked", "parking "+u.By)
			c.state("Needs"+u.By, "deciding on "+u.By)
			c.state(u.By+"Skipped", "deciding on "+u.By)
		}
		c.timing(u.By, u.Timeout, u.Retry)
	}
	c.timing(s.Name, s.Timeout, s.Retry)
	if s.Result != "" {
		if !fieldName.MatchString(s.Result) {
			c.wrong("%s has the result %q: use lower-case letters, digits and underscores, such as hotel", s.Name, s.Result)
		}
		if other := results[s.Result]; other != "" {
			c.wrong("%s and %s have the same result %s: the second would replace the first, rename it", other, s.Name, s.Result)
		}
		results[s.Result] = s.Name
	}
	for i, code := range s.Business {
		if !errorCode.MatchString(code) {
			c.wrong("%s has the failure %q: use lower-case words joined by underscores, such as sold_out; names like States.Timeout or Lambda.Unknown are no failures of the business, they may hide an action that was done", s.Name, code)
		}
		if slices.Contains(ownCodes, code) {
			c.wrong("%s has the failure %s, which says nothing of whether it was done: give the business codes of its own", s.Name, code)
		}
		if slices.Contains(s.Business[:i], code) {
			c.wrong("%s has the failure %s twice: remove one", s.Name, code)
		}
	}
}

func (c *checker) timing(name string, timeout time.Duration, r Retry) {
	if timeout < time.Second || timeout%time.Second != 0 || timeout > 24*time.Hour {
		c.wrong("%s has a time-out of %s: give whole seconds, from 1 s to 24 h", name, timeout)
	}
	var wrong []string
	if r.Attempts < minAttempts || r.Attempts > maxAttempts {
		wrong = append(wrong, fmt.Sprintf("%d attempts (%d to %d)", r.Attempts, minAttempts, maxAttempts))
	}
	if r.Interval < time.Second || r.Interval%time.Second != 0 {
		wrong = append(wrong, fmt.Sprintf("an interval of %s (whole seconds, at least 1)", r.Interval))
	}
	if r.Rate < 1 || r.Rate > 10 || r.Rate != r.Rate {
		wrong = append(wrong, fmt.Sprintf("a rate of %g (1 to 10)", r.Rate))
	}
	if r.Cap < r.Interval || r.Cap%time.Second != 0 || r.Cap >= 31_622_400*time.Second {
		wrong = append(wrong, fmt.Sprintf("a cap of %s (whole seconds, at least the interval)", r.Cap))
	}
	if len(wrong) > 0 {
		c.wrong("%s is retried with %s: correct it, or leave Retry empty for the default", name, strings.Join(wrong, ", "))
	}
}

func (c *checker) bounds() {
	b := c.Bound()
	if b.Time > c.Within {
		c.wrong("it may take %s, longer than Within, which is %s: most of it is %s with %s; lower its Timeout or Retry, or raise Within", b.Time, c.Within, b.Longest, b.LongestTime)
	}
	if b.Events > maxHistory {
		c.wrong("its history may have %d events, and Step Functions ends an execution at %d: lower the attempts, or split the saga", b.Events, maxHistory)
	}
	if b.Payload > maxPayload {
		c.wrong("a step may be called with %d bytes, and %d is the most that is safe: lower MaxInput (%d), or leave out results of steps, each of which may have %d", b.Payload, maxPayload, c.MaxInput, MaxResult)
	}
}
