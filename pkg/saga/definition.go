package saga

import "time"

// Definition describes a saga: the stages in their order, each with what
// undoes it. [Definition.Render] makes a state machine of it.
type Definition struct {
	// Name is the saga's, in lower-case words joined by hyphens. Its state
	// machine says it.
	Name string

	// Within bounds how long an execution may take, from its start to the end of
	// the last compensation, with every attempt running into its time-out. It is
	// a promise that is checked, not a time-out of the machine: one of those ends
	// an execution past every Catch, and compensates nothing.
	Within time.Duration

	// MaxInput bounds the task's input, in bytes of JSON: every step is called
	// with it. Defaults to 64 KiB.
	MaxInput int

	// Stages run one after the other. At least one.
	Stages []Stage
}

// Stage is one step, or several that run at once. Make one with [One] or
// [AtOnce].
type Stage struct {
	Name  string // of several: names the state that runs them
	Steps []Step
}

// One is a stage of one step.
func One(s Step) Stage { return Stage{Steps: []Step{s}} }

// AtOnce is a stage whose steps run in parallel. It has failed when one of them
// has, and it ends when all of them have ended: none is cut off in the middle.
func AtOnce(name string, steps ...Step) Stage { return Stage{Name: name, Steps: steps} }

// Step is one action of a saga, a Lambda function, and what undoes it.
type Step struct {
	// Name is the action's, and its state's: letters and digits beginning with
	// an upper-case letter, as BookHotel. Its function is the substitution
	// ${BookHotelFunctionArn}.
	Name string

	// Result is the name in the saga's result that the action's answer gets.
	// Empty leaves it out.
	Result string

	// Undo is how the action is undone. It is required up to the pivot, and
	// refused after it.
	Undo Reversal

	// Pivot marks the point of no return. Before it, and for it, a failure
	// compensates; once it has succeeded the saga goes forward, whatever a
	// caller or a failure says: what comes after it is retried for as long as
	// its Retry has it.
	Pivot bool

	// Business are the codes of failures of the business, such as sold_out: the
	// action says that it did nothing and that no retry can help. It is not
	// retried and not compensated. Every other error may hide an action that was
	// done, and is retried and then compensated.
	Business []string

	// Timeout bounds one attempt, in whole seconds. It should be longer than the
	// function's own time-out. Defaults to 20 seconds.
	Timeout time.Duration

	// Retry is how often and when the action is tried. Defaults to
	// [DefaultRetry].
	Retry Retry
}

// Reversal is what undoes a step: a compensation, or a reason why there is
// nothing to undo.
type Reversal struct {
	// By is the compensation's name, as CancelHotel. Its function is the
	// substitution ${CancelHotelFunctionArn}.
	By string

	// Nothing says, in words, why there is nothing to undo. It excludes By.
	Nothing string

	// Timeout and Retry are as those of [Step].
	Timeout time.Duration
	Retry   Retry
}

// Retry is how often a function is called, and how long the waits are. Each
// wait is drawn between zero and what Interval, Rate and Cap give (full jitter,
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
type Retry struct {
	Attempts int           // the first one included, 2 to 100
	Interval time.Duration // the first wait at the most, in whole seconds
	Rate     float64       // by which it grows, between 1 and 10
	Cap      time.Duration // the longest wait, in whole seconds
}

// DefaultRetry is what an empty [Retry] stands for: four attempts, as those of
// AWS's own examples.
var DefaultRetry = Retry{Attempts: 4, Interval: time.Second, Rate: 2, Cap: 8 * time.Second}

const (
	defaultTimeout  = 20 * time.Second
	defaultMaxInput = 64 << 10
)

// complete returns d with its defaults filled in.
func (d Definition) complete() Definition {
	if d.MaxInput == 0 {
		d.MaxInput = defaultMaxInput
	}
	stages := make([]Stage, len(d.Stages))
	for i, st := range d.Stages {
		steps := make([]Step, len(st.Steps))
		for k, s := range st.Steps {
			s.Timeout, s.Retry = withDefaults(s.Timeout, s.Retry)
			if s.Undo.By != "" {
				s.Undo.Timeout, s.Undo.Retry = withDefaults(s.Undo.Timeout, s.Undo.Retry)
			}
			steps[k] = s
		}
		stages[i] = Stage{Name: st.Name, Steps: steps}
	}
	d.Stages = stages
	return d
}

func withDefaults(timeout time.Duration, r Retry) (time.Duration, Retry) {
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if r == (Retry{}) {
		r = DefaultRetry
	}
	return timeout, r
}

// pivot is the stage of the pivot; the number of stages without one.
func (d Definition) pivot() int {
	for i, st := range d.Stages {
		for _, s := range st.Steps {
			if s.Pivot {
				return i
			}
		}
	}
	return len(d.Stages)
}

// steps calls fn for every step in order, with its stage.
func (d Definition) steps(fn func(stage int, s Step)) {
	for i, st := range d.Stages {
		for _, s := range st.Steps {
			fn(i, s)
		}
	}
}

// Claims is what [Verify] has to prove of the saga's machine.
func (d Definition) Claims() Claims {
	var c Claims
	pivot := d.pivot()
	d.steps(func(stage int, s Step) {
		c.Steps = append(c.Steps, Claim{
			Action: s.Name, Compensation: s.Undo.By, Stage: stage, Pivot: s.Pivot, Forward: stage > pivot, Business: s.Business,
		})
	})
	return c
}
