package admin

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

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

var errChaosDisabled = &Error{CodeChaosDisabled, "this stack has no fault injection: deploy it with the parameter ChaosEnabled=true, and never where others work"}

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
		return &Error{CodeUnsupported, fmt.Sprintf("faults of %s cannot be injected yet: only steps can fail, which are %s", target, strings.Join(all, ", "))}
	default:
		return &Error{CodeInvalid, fmt.Sprintf("there is no target %q: known are %s", task.CleanText(string(target), 64), strings.Join(all, ", "))}
	}
}

// fault is one that is set.
type fault struct {
	Target    chaos.Target `json:"target"`
	Fault     chaos.Fault  `json:"fault"`
	Rate      float64      `json:"rate,omitempty"`
	TimesLeft *int         `json:"times_left,omitempty"` // absent with a rate
	Latency   string       `json:"latency,omitempty"`
	Until     task.Time    `json:"until"`
	By        string       `json:"by,omitempty"`
}

func faultOf(a chaos.Active) fault {
	f := fault{Target: a.Target, Fault: a.Fault, Rate: a.Rate, Until: task.At(a.Until), By: a.By}
	if a.Rate == 0 {
		f.TimesLeft = &a.TimesLeft
	}
	if a.Latency > 0 {
		f.Latency = a.Latency.String()
	}
	return f
}

type chaosSetQuery struct {
	Target  chaos.Target `json:"target"`
	Fault   chaos.Fault  `json:"fault"`
	Rate    float64      `json:"rate"`
	Times   int          `json:"times"`
	Latency string       `json:"latency"`
	For     string       `json:"for"`
	By      string       `json:"by"`
}

func chaosSet(ctx context.Context, a *Admin, q chaosSetQuery) (any, error) {
	if a.Chaos == nil {
		return nil, errChaosDisabled
	}
	if err := a.Chaos.checkTarget(q.Target); err != nil {
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
		Target: q.Target, Fault: q.Fault, Rate: q.Rate, Times: q.Times, Latency: latency, For: span, By: by,
	})
	if err != nil {
		return nil, err
	}
	slog.WarnContext(ctx, "fault set", slog.String("target", string(q.Target)), slog.String("fault", string(q.Fault)), slog.Float64("rate", q.Rate),
		slog.Int("times", q.Times), slog.Time("until", set.Until), slog.String("by", by))
	return faultOf(*set), nil
}

type chaosClearQuery struct {
	Target chaos.Target `json:"target"`
	By     string       `json:"by"`
}

func chaosClear(ctx context.Context, a *Admin, q chaosClearQuery) (any, error) {
	if a.Chaos == nil {
		return nil, errChaosDisabled
	}
	if q.Target != "" {
		if err := a.Chaos.checkTarget(q.Target); err != nil {
			return nil, err
		}
	}
	cleared, err := a.Chaos.Faults.Clear(ctx, q.Target)
	if err != nil {
		return nil, err
	}
	slog.InfoContext(ctx, "faults cleared", slog.Any("targets", cleared), slog.String("by", task.CleanText(q.By, maxBy)))
	if cleared == nil {
		cleared = []chaos.Target{}
	}
	return struct {
		Cleared []chaos.Target `json:"cleared"`
	}{cleared}, nil
}

func chaosStatus(ctx context.Context, a *Admin, _ struct{}) (any, error) {
	if a.Chaos == nil {
		return nil, errChaosDisabled
	}
	set, err := a.Chaos.Faults.List(ctx)
	if err != nil {
		return nil, err
	}
	faults := make([]fault, len(set))
	for i, one := range set {
		faults[i] = faultOf(one)
	}
	return struct {
		Enabled bool    `json:"enabled"`
		Faults  []fault `json:"faults"`
	}{true, faults}, nil
}

// duration reads a field that is a duration as Go writes them; empty is 0.
func duration(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, &Error{CodeInvalid, fmt.Sprintf(`%q is %q, which is no duration such as "90s"`, field, task.CleanText(text, 64))}
	}
	return d, nil
}
