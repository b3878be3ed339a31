package saga_test

import (
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/internal/aslmutate"
	"github.com/spillway-go/spillway/pkg/saga"
	"github.com/spillway-go/spillway/pkg/saga/internal/proof"
)

// equivalent are mutants that keep every promise, by name, with the reason. Those
// whose behavior is computed to be the machine's own need no entry.
type equivalent struct{ name, reason string }

// data is what no path depends on.
var data = []equivalent{
	{`\.Assign\.(results|retryable)( |$)`, "what callers read of the result or the failure, which decides nothing in the machine"},
	{`\.Output\.result dropped`, "the same"},
	// The first stage has nothing to undo when its own write fails.
	{`^Record(BookHotel|Reserve|Do)\.Catch\[0\]\.Next = RecordCanceled`, "the write fails on a row that is open and this run's only for a cancel, and RecordCanceled asks for such a row itself"},
	{`^RecordSucceeded\.ConditionExpression = .* AND attribute_not_exists\(cancel_requested\)`, "a cancel at the very end is honored, and all is undone"},
}

// mutants runs the mutants of a machine, or one in so many, through the prover,
// and reports those that nobody rejects and nobody has a reason for.
func mutants(t *testing.T, machine []byte, claims saga.Claims, oneIn int, reasons ...equivalent) {
	t.Helper()
	if raceDetector {
		oneIn *= 10
	}
	steps := make([]proof.Step, len(claims.Steps))
	for i, s := range claims.Steps {
		steps[i] = proof.Step(s)
	}
	if err := saga.Verify(machine, claims); err != nil {
		t.Fatal(err)
	}
	patterns := map[string]*regexp.Regexp{}
	for _, e := range reasons {
		patterns[e.name] = regexp.MustCompile(e.name)
	}
	type mutant struct {
		name string
		text []byte
	}
	all := make(chan mutant)
	go func() {
		i := 0
		for name, text := range aslmutate.Mutants(machine) {
			if i++; i%oneIn == 0 {
				all <- mutant{name, text}
			}
		}
		close(all)
	}()
	var (
		mu              sync.Mutex
		count, same     int
		survivors, used []string
		behavior        = proof.Behavior(machine, steps)
		wait            sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for m := range all {
				holds := proof.Holds(m.text, steps)
				equal := holds && proof.Behavior(m.text, steps) == behavior
				mu.Lock()
				count++
				i := slices.IndexFunc(reasons, func(e equivalent) bool { return patterns[e.name].MatchString(m.name) })
				switch {
				case !holds:
				case i >= 0:
					used = append(used, m.name+": "+reasons[i].reason)
				case equal:
					same++
				default:
					survivors = append(survivors, m.name)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	slices.Sort(survivors)
	for _, s := range survivors {
		t.Errorf("survives: %s", s)
	}
	slices.Sort(used)
	t.Logf("%d mutants: %d rejected, %d of the same behavior, %d equivalent for a written reason, %d survive",
		count, count-same-len(used)-len(survivors), same, len(used), len(survivors))
	for _, u := range used {
		t.Log("equivalent: " + u)
	}
	if count*oneIn < 1000 {
		t.Errorf("only %d mutants", count)
	}
}

// Whatever edge, error, condition or assignment of a rendered machine is changed:
// Verify notices.
func TestVerifyKillsMutants(t *testing.T) {
	t.Parallel()
	skips := equivalent{
		`^RecordReserve\.Catch\[\d\]\.Next = (ReserveDone|Reserved|UndoReserve)$`,
		"nothing has run yet: each branch asks whether its action did, and skips",
	}
	for _, d := range []saga.Definition{line(), order(), trip.Saga} {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			machine, err := d.Render()
			if err != nil {
				t.Fatal(err)
			}
			mutants(t, machine, d.Claims(), 1, append(data, skips)...)
		})
	}
	for name, claims := range map[string]saga.Claims{"trip": tripClaims(), "parallel": parallelClaims(), "pivot": pivotClaims()} {
		t.Run("by hand "+name, func(t *testing.T) {
			t.Parallel()
			mutants(t, machineFile(t, name), claims, 5, append(data, skips)...)
		})
	}
}
