package saga

import (
	"fmt"
	"strings"

	"github.com/spillway-go/spillway/pkg/saga/internal/proof"
)

// Claims is what [Verify] has to prove of a machine.
type Claims struct {
	// Steps in the order of their stages.
	Steps []Claim
}

// Claim says of one action what undoes it and when it runs.
type Claim struct {
	Action       string   // name of its state, and of the step it is called with
	Compensation string   // the same of what undoes it; empty when there is nothing to undo
	Stage        int      // actions of one number may run at once; a higher number runs later
	Pivot        bool     // the point of no return: once it is done, nothing is undone
	Forward      bool     // runs after the pivot, and is never undone
	Business     []string // errors by which it says that it did nothing
}

// Defect is one way in which a machine does not keep its claims.
type Defect struct {
	// Kind is a short name that stays the same, such as "no catch-all" or
	// "compensation skipped".
	Kind string

	// State is the one to look at.
	State string

	// Path is an execution that shows it, state by state with how each ended.
	// Empty for what can be seen without running.
	Path []string

	// Detail says what is missing.
	Detail string
}

// String is the defect in one line.
func (d Defect) String() string {
	s := d.Kind + ": " + d.State + ": " + d.Detail
	if len(d.Path) > 0 {
		s += " [" + strings.Join(d.Path, " > ") + "]"
	}
	return s
}

// VerifyError is a machine that is not proven, with all defects that were found.
// What lies behind a defect on its path is not looked at, so there may be more.
type VerifyError struct{ Defects []Defect }

// Error lists the defects, one a line.
func (e *VerifyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the machine is not proven, %d defects:", len(e.Defects))
	for _, d := range e.Defects {
		b.WriteString("\n\t" + d.String())
	}
	return b.String()
}

// Verify proves that a state machine, given in Amazon States Language, leaves
// nothing behind. It reads the machine's JSON only and shares no code with
// [Definition.Render].
//
// It runs the machine on paper: through every outcome of every Task (success,
// each error that is named anywhere, any other, a time-out, a throttle), through
// every combination of outcomes of parallel branches, once as a fresh execution
// and once as one that recovers. What the machine cannot know is taken both ways.
// On each of these paths:
//
//   - an action begins only after those of the stages before it, in its turn, and
//     after a write of the task's row that a requested cancel makes fail;
//   - what was done, or may have been, is compensated once, in reverse order of
//     the stages, whatever other compensations do; what cannot have run is not;
//   - nothing is compensated after the pivot, nor without a failure;
//   - a compensation that failed for good is sent to the saga failures queue by
//     name, and the execution ends in CompensationFailed;
//   - the task's row has the end that fits when the execution ends. The end
//     Unrecorded, for a row that cannot be written, is the one exception: a
//     recovery follows it.
//
// A Task runs an action or a compensation when its name is the step's; its function
// has to have that name in its own, as ${BookHotelFunctionArn}.
//
// The ends are Succeeded, Compensated, CompensationFailed, ForwardFailed (what
// comes after the pivot was sent to the queue) and Unrecorded. A variable
// <Action>_is ('pending', 'done', 'unknown', 'refused') or <Compensation>_parked
// (true, false) has to say the truth. An error is a [VerifyError].
//
// Verify does not know whether functions keep their contract, whether payloads
// fit (see [Definition.Check]), or what expressions compute beyond comparisons of
// variables with literals.
func Verify(machine []byte, c Claims) error {
	steps := make([]proof.Step, len(c.Steps))
	for i, s := range c.Steps {
		steps[i] = proof.Step(s)
	}
	found := proof.Prove(machine, steps)
	if len(found) == 0 {
		return nil
	}
	e := &VerifyError{Defects: make([]Defect, len(found))}
	for i, d := range found {
		e.Defects[i] = Defect(d)
	}
	return e
}
