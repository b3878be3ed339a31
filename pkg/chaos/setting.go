package chaos

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ErrInvalid is what settings are refused with.
var ErrInvalid = errors.New("invalid fault")

// Bounds of a setting.
const (
	DefaultFor = 10 * time.Minute // how long a fault is set, if nothing is said
	MaxFor     = time.Hour
	MaxTimes   = 1000             // the hits of a fault are kept in its item
	MaxLatency = 15 * time.Minute // no function of Lambda's runs for longer
)

// Setting is a fault to be set.
type Setting struct {
	Target Target
	Fault  Fault
	// Execution limits the fault to the calls of one execution of a saga, by what
	// [Options.Execution] says of them. It goes before the target's other fault.
	// Defaults to all calls.
	Execution string
	// Rate is the share of calls that is hit, up to 1.
	Rate float64
	// Times is how many calls are hit, the next ones. Either this is given or
	// Rate.
	Times int
	// Latency is how long [Latency] waits. It belongs to that fault only.
	Latency time.Duration
	// For is how long the fault is set. Defaults to [DefaultFor].
	For time.Duration
	// By is who asks, to be shown to others. May be empty.
	By string
}

// Active is a fault that is set.
type Active struct {
	Target    Target
	Execution string // empty if it is set for all
	Fault     Fault
	Rate      float64 // 0 if it is set for a number of times
	TimesLeft int     // calls that are still to be hit; 0 once all were
	Latency   time.Duration
	Until     time.Time
	By        string

	id string // of this setting: another one in its place has another
}

// spent reports that a fault hits no call any more.
func (a *Active) spent(now time.Time) bool {
	return !now.Before(a.Until) || a.Rate == 0 && a.TimesLeft == 0
}

var (
	targetForm = regexp.MustCompile(`^[a-z]+(\.[A-Za-z][A-Za-z0-9_-]{0,79})?$`)
	// executionForm is how executions of Step Functions may be called that need no quoting.
	executionForm = regexp.MustCompile(`^[A-Za-z0-9_-]{0,80}$`)
)

// validate says in a sentence what cannot be meant. All its errors are
// [ErrInvalid].
func (s Setting) validate() error {
	var wrong string
	switch {
	case !targetForm.MatchString(string(s.Target)):
		wrong = fmt.Sprintf("%q is no target: one is called as in saga.BookFlight", cut(string(s.Target)))
	case !executionForm.MatchString(s.Execution):
		wrong = fmt.Sprintf("%q is no execution: one is called by a task's id and its run, as in 01KWEG8Y106S6Y1T5Q9W3V7R2K-1", cut(s.Execution))
	case !slices.Contains(faults, s.Fault):
		wrong = fmt.Sprintf("there is no fault %q: known are %s", cut(string(s.Fault)), names())
	case s.Rate != 0 && s.Times != 0:
		wrong = "rate and times exclude each other: a rate hits a share of all calls, times the next so many"
	case s.Rate == 0 && s.Times == 0:
		wrong = fmt.Sprintf("it needs a rate (more than 0, at most 1) or times (1 to %d)", MaxTimes)
	case s.Times != 0 && (s.Times < 0 || s.Times > MaxTimes):
		wrong = fmt.Sprintf("times is %d: it is between 1 and %d", s.Times, MaxTimes)
	case s.Times == 0 && !(s.Rate > 0 && s.Rate <= 1): // so that NaN is none either
		wrong = fmt.Sprintf("rate is %v: it is more than 0 and at most 1, which hits every call", s.Rate)
	case s.Fault == Latency && (s.Latency < time.Millisecond || s.Latency > MaxLatency):
		wrong = fmt.Sprintf("latency is %s: this fault needs one, from 1ms to %s", s.Latency, short(MaxLatency))
	case s.Fault != Latency && s.Latency != 0:
		wrong = fmt.Sprintf("a latency goes with the fault %s only", Latency)
	case s.For != 0 && (s.For < time.Second || s.For > MaxFor):
		wrong = fmt.Sprintf("for is %s: a fault is set for 1s to %s", s.For, short(MaxFor))
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInvalid, wrong)
}

func names() string {
	all := make([]string, len(faults))
	for i, f := range faults {
		all[i] = string(f)
	}
	return strings.Join(all, ", ")
}

// cut keeps a sentence one when a whole document was given for a name.
func cut(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// short is a duration without its zeros: 15m.
func short(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}
