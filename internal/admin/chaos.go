package admin

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/task"
)

// Chaos is fault injection in a stack that was deployed with it.
type Chaos struct {
	Faults  *chaos.Store
	Targets []chaos.Target // that functions ask for
}

// unbuilt are targets that the commands reserve, and nothing asks for yet.
var unbuilt = []chaos.Target{"http", "dynamodb", "sqs", "sfn"}

var errChaosDisabled = &Error{adminapi.CodeChaosDisabled, "this stack has no fault injection: deploy it with the parameter ChaosEnabled=true, and never where others work"}

// checkTarget refuses a target that nothing asks for, whose fault would be set
// and never seen.
func (c *Chaos) checkTarget(target chaos.Target) error {
	all := make([]string, len(c.Targets))
	for i, t := range c.Targets {
		all[i] = string(t)
	}
	switch {
	case slices.Contains(c.Targets, target):
		return nil
	case slices.Contains(unbuilt, target):
		return &Error{adminapi.CodeUnsupported, fmt.Sprintf("faults of %s cannot be injected yet: only steps can fail, which are %s", target, strings.Join(all, ", "))}
	default:
		return &Error{adminapi.CodeInvalid, fmt.Sprintf("there is no target %q: known are %s", task.CleanText(string(target), 64), strings.Join(all, ", "))}
	}
}

func faultOf(a chaos.Active) adminapi.Fault {
	f := adminapi.Fault{Target: string(a.Target), Execution: a.Execution, Fault: adminapi.FaultKind(a.Fault), Rate: a.Rate, Until: task.At(a.Until), By: a.By}
	if a.Rate == 0 {
		f.TimesLeft = &a.TimesLeft
	}
	if a.Latency > 0 {
		f.Latency = a.Latency.String()
	}
	return f
}

func chaosSet(ctx context.Context, a *Admin, q adminapi.ChaosSetRequest) (*adminapi.Fault, error) {
	if a.Chaos == nil {
		return nil, errChaosDisabled
	}
	if err := a.Chaos.checkTarget(chaos.Target(q.Target)); err != nil {
		return nil, err
	}
	latency, err := duration("latency", q.Latency)
	if err != nil {
		return nil, err
	}
	span, err := duration("for", q.For)
	if err != nil {
		return nil, err
	}
	by := task.CleanText(q.By, maxBy)
	set, err := a.Chaos.Faults.Set(ctx, chaos.Setting{
		Target: chaos.Target(q.Target), Execution: q.Execution, Fault: chaos.Fault(q.Fault), Rate: q.Rate, Times: q.Times, Latency: latency, For: span, By: by,
	})
	if err != nil {
		return nil, err
	}
	slog.WarnContext(ctx, "fault set", slog.String("target", q.Target), slog.String("fault", string(q.Fault)), slog.Float64("rate", q.Rate),
		slog.String("execution", q.Execution), slog.Int("times", q.Times), slog.Time("until", set.Until), slog.String("by", by))
	f := faultOf(*set)
	return &f, nil
}

func chaosClear(ctx context.Context, a *Admin, q adminapi.ChaosClearRequest) (*adminapi.ChaosClearAnswer, error) {
	if a.Chaos == nil {
		return nil, errChaosDisabled
	}
	if q.Target != "" {
		if err := a.Chaos.checkTarget(chaos.Target(q.Target)); err != nil {
			return nil, err
		}
	}
	if q.Target != "" && q.Execution != "" {
		return nil, &Error{adminapi.CodeInvalid, `"target" and "execution" exclude each other: an execution's faults are cleared at all targets`}
	}
	clearFaults := func() ([]chaos.Target, error) { return a.Chaos.Faults.Clear(ctx, chaos.Target(q.Target)) }
	if q.Execution != "" {
		clearFaults = func() ([]chaos.Target, error) { return a.Chaos.Faults.ClearExecution(ctx, q.Execution) }
	}
	cleared, err := clearFaults()
	if err != nil {
		return nil, err
	}
	slog.InfoContext(ctx, "faults cleared", slog.Any("targets", cleared), slog.String("by", task.CleanText(q.By, maxBy)))
	answer := &adminapi.ChaosClearAnswer{Cleared: make([]string, len(cleared))}
	for i, target := range cleared {
		answer.Cleared[i] = string(target)
	}
	return answer, nil
}

func chaosStatus(ctx context.Context, a *Admin, _ struct{}) (*adminapi.ChaosStatusAnswer, error) {
	if a.Chaos == nil {
		return nil, errChaosDisabled
	}
	set, err := a.Chaos.Faults.List(ctx)
	if err != nil {
		return nil, err
	}
	answer := &adminapi.ChaosStatusAnswer{Enabled: true, Faults: make([]adminapi.Fault, len(set))}
	for i, one := range set {
		answer.Faults[i] = faultOf(one)
	}
	return answer, nil
}

// duration reads a field that is a duration as Go writes them; empty is 0.
func duration(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, &Error{adminapi.CodeInvalid, fmt.Sprintf(`%q is %q, which is no duration such as "90s"`, field, task.CleanText(text, 64))}
	}
	return d, nil
}
