package proof

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// status is what became of an action.
type status byte

const (
	pending status = iota // not begun
	refused               // a failure of the business: nothing was done
	done
	mayBe   // it may have been done
	settled // done or mayBe, and its compensation was tried: no difference any more
)

// words are the values by which a status variable says so.
var words = [...]string{pending: "pending", refused: "refused", done: "done", mayBe: "unknown", settled: "?"}

// reversal is what became of a compensation.
type reversal byte

const (
	untried reversal = iota
	undone
	failed // for good
	parked // failed, and sent to the queue
	lost   // its branch was cut off: nobody knows
)

func (r reversal) failed() bool { return r >= failed }

type act struct {
	is     status
	ran    bool // in this execution
	parked bool // a step after the pivot that was sent to the queue
	undo   reversal
}

// config is a state and what matters of how it was reached.
type config struct {
	at    *state
	input int32   // the state's input, in walker.data
	vars  []int32 // by walker.vars
	acts  []act   // by walker.steps

	failure    bool  // something failed, so there is reason to compensate
	canceled   bool  // a write said that a cancel may have been requested
	open, past truth // of a recovery: what the row said; past is also of a mark that was written
	progress   byte  // the latest progress write, see noProgress
	unwritten  bool  // the task just now failed to read or end the row
	written    string
}

// What the latest progress write was.
const (
	noProgress = iota
	anyProgress
	cancelableProgress
)

func (c *config) clone() *config {
	n := *c
	n.vars, n.acts = slices.Clone(c.vars), slices.Clone(c.acts)
	return &n
}

// key is the configuration as text: equal keys have equal futures.
func (c *config) key() string {
	b := make([]byte, 0, 16+4*len(c.vars)+2*len(c.acts))
	b = binary.LittleEndian.AppendUint16(b, uint16(c.at.id)) //nolint:gosec // a machine has fewer states
	b = binary.LittleEndian.AppendUint32(b, uint32(c.input)) //nolint:gosec // only compared
	for _, v := range c.vars {
		b = binary.LittleEndian.AppendUint16(b, uint16(v)) //nolint:gosec // fewer literals
	}
	for _, a := range c.acts {
		b = append(b, byte(a.is)<<4|byte(a.undo), bit(a.ran)|bit(a.parked)<<1)
	}
	b = append(b, bit(c.failure)|bit(c.canceled)<<1|bit(c.unwritten)<<2, byte(c.open)<<2|byte(c.past), c.progress)
	return string(append(b, c.written...))
}

// describe is what can be seen of a configuration from outside: not its
// variables, which show in what follows.
func (c *config) describe() string {
	return fmt.Sprintf("%s %v %t %t %d %d %d %t %s", c.at.name, c.acts, c.failure, c.canceled, c.open, c.past, c.progress, c.unwritten, c.written)
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// set changes an action's status. A status variable that was compared and
// forgotten is known to have said the old one.
func (w *walker) set(c *config, i int, is status) {
	a := &c.acts[i]
	if v := w.isVar[i]; a.is != is && v >= 0 && c.vars[v] == asItIs {
		c.vars[v] = w.numberOf(words[a.is])
	}
	a.is = is
}

// forget drops what has no influence any more: values of variables that no
// Choice ahead reads, and differences between actions that are dealt with.
// Without it the paths of a machine with many compensations are too many.
func (w *walker) forget(c *config, compared bool) {
	for i, v := range c.vars {
		if v <= anything || c.at.live[i] || w.isEmpty(v) || w.parkedVar[i] {
			continue
		}
		if !w.statusVar[i] {
			c.vars[i] = anything
		}
	}
	if !compared {
		return
	}
	for i := range c.acts {
		v, a := w.isVar[i], &c.acts[i]
		if v >= 0 && c.vars[v] != unassigned {
			if c.at.live[v] {
				continue
			}
			c.vars[v] = asItIs
		}
		switch {
		case a.undo != untried && (a.is == done || a.is == mayBe):
			a.is = settled
		case a.is == refused && c.failure:
			a.is = pending
		}
		if a.undo == lost {
			a.undo = parked // both end in CompensationFailed, and nothing is due
		}
	}
}

func (w *walker) isEmpty(v int32) bool { return v >= firstLiteral && w.literals[v-firstLiteral] == "" }
