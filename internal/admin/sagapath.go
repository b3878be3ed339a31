package admin

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/task"
)

// step is a state that an execution has entered, while its history is read.
type step struct {
	adminapi.SagaStep
	entered  time.Time
	failures int
	open     bool
}

const (
	historyPage  = 1000
	historyPages = 25 // an execution has 25,000 events at the most
	maxPath      = 500
	maxCause     = 400
)

// path reads the states of an execution from its history.
func (s *Sagas) path(ctx context.Context, arn string) (steps []adminapi.SagaStep, cut bool, err error) {
	p := pathReader{of: map[int64]int{}}
	in := &sfn.GetExecutionHistoryInput{ExecutionArn: &arn, MaxResults: historyPage, IncludeExecutionData: aws.Bool(false)}
	for range historyPages {
		out, err := s.Executions.GetExecutionHistory(ctx, in)
		if err != nil {
			return nil, false, err
		}
		for i := range out.Events {
			p.event(&out.Events[i])
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	p.end()
	shown := min(len(p.steps), maxPath)
	steps = make([]adminapi.SagaStep, shown)
	for i := range steps {
		steps[i] = p.steps[i].SagaStep
	}
	return steps, shown < len(p.steps) || in.NextToken != nil, nil
}

// pathReader puts events in their states. AWS says of each event which one was
// before it, which keeps parallel branches apart; an emulator may not.
type pathReader struct {
	steps []step
	of    map[int64]int // which step an event belongs to
	ended bool
	last  time.Time
}

func (p *pathReader) event(e *types.HistoryEvent) {
	at := aws.ToTime(e.Timestamp)
	p.last = at
	kind := string(e.Type)
	switch {
	case e.StateEnteredEventDetails != nil:
		p.steps = append(p.steps, step{SagaStep: adminapi.SagaStep{
			State: aws.ToString(e.StateEnteredEventDetails.Name), Type: strings.TrimSuffix(kind, "StateEntered"), EnteredAt: task.At(at),
		}, entered: at, open: true})
		p.of[e.Id] = len(p.steps) - 1
		return
	case e.StateExitedEventDetails != nil:
		p.exit(aws.ToString(e.StateExitedEventDetails.Name), at)
		return
	case strings.HasPrefix(kind, "Execution"):
		p.ended = p.ended || kind != "ExecutionStarted"
		return
	case strings.HasPrefix(kind, "ParallelState"):
		p.parallel(e, kind)
		return
	}
	i := p.current(e)
	if i < 0 {
		return
	}
	p.of[e.Id] = i
	s := &p.steps[i]
	if strings.HasSuffix(kind, "StateAborted") { // another branch has failed
		s.close(adminapi.StepEnded, at)
		return
	}
	if kind == "TaskScheduled" || kind == "LambdaFunctionScheduled" {
		s.Attempts++
	}
	if why, cause, failed := failureOf(e); failed {
		s.failures++
		s.Error, s.Cause = task.CleanText(why, 64), task.CleanText(messageOf(cause), maxCause)
	}
}

// current is the step that an event is about: that of the event before it, or
// the latest that is open.
func (p *pathReader) current(e *types.HistoryEvent) int {
	if i, ok := p.of[e.PreviousEventId]; ok && e.PreviousEventId != 0 && p.steps[i].open {
		return i
	}
	return p.latest("Task")
}

// latest is the step of a type that was entered last and is open, or else -1.
func (p *pathReader) latest(kind string) int {
	for i := len(p.steps) - 1; i >= 0; i-- {
		if p.steps[i].open && p.steps[i].Type == kind {
			return i
		}
	}
	return -1
}

// parallel is what happens to a state with branches: each start is an attempt,
// and a failure ends what its branches are in.
func (p *pathReader) parallel(e *types.HistoryEvent, kind string) {
	i := p.latest("Parallel")
	if i < 0 {
		return
	}
	p.of[e.Id] = i
	switch kind {
	case "ParallelStateStarted":
		p.steps[i].Attempts++
	case "ParallelStateFailed":
		p.steps[i].failures++
		for j := i + 1; j < len(p.steps); j++ {
			if s := &p.steps[j]; s.open {
				s.close(s.outcome(adminapi.StepEnded), p.last)
			}
		}
	}
}

func (p *pathReader) exit(name string, at time.Time) {
	for i := len(p.steps) - 1; i >= 0; i-- {
		if s := &p.steps[i]; s.open && s.State == name {
			s.close(s.outcome(adminapi.StepOK), at)
			return
		}
	}
}

// outcome is failed if the last attempt was, and else what it looks like.
func (s *step) outcome(seems adminapi.StepOutcome) adminapi.StepOutcome {
	if s.failures > 0 && s.failures >= s.Attempts {
		return adminapi.StepFailed
	}
	return seems
}

func (s *step) close(outcome adminapi.StepOutcome, at time.Time) {
	s.open, s.Outcome, s.TookMS = false, outcome, at.Sub(s.entered).Milliseconds()
}

// end says what became of states that were never left.
func (p *pathReader) end() {
	for i := range p.steps {
		s := &p.steps[i]
		switch {
		case !s.open:
		case p.ended:
			s.close(s.outcome(adminapi.StepEnded), p.last)
		default:
			s.Outcome = adminapi.StepRunning
		}
	}
}

// failureOf is the error of an event that has one.
func failureOf(e *types.HistoryEvent) (why, cause string, failed bool) {
	switch {
	case e.TaskFailedEventDetails != nil:
		return aws.ToString(e.TaskFailedEventDetails.Error), aws.ToString(e.TaskFailedEventDetails.Cause), true
	case e.TaskTimedOutEventDetails != nil:
		return aws.ToString(e.TaskTimedOutEventDetails.Error), aws.ToString(e.TaskTimedOutEventDetails.Cause), true
	case e.TaskStartFailedEventDetails != nil:
		return aws.ToString(e.TaskStartFailedEventDetails.Error), aws.ToString(e.TaskStartFailedEventDetails.Cause), true
	case e.TaskSubmitFailedEventDetails != nil:
		return aws.ToString(e.TaskSubmitFailedEventDetails.Error), aws.ToString(e.TaskSubmitFailedEventDetails.Cause), true
	case e.EvaluationFailedEventDetails != nil:
		return aws.ToString(e.EvaluationFailedEventDetails.Error), aws.ToString(e.EvaluationFailedEventDetails.Cause), true
	case e.LambdaFunctionFailedEventDetails != nil:
		return aws.ToString(e.LambdaFunctionFailedEventDetails.Error), aws.ToString(e.LambdaFunctionFailedEventDetails.Cause), true
	case e.LambdaFunctionTimedOutEventDetails != nil:
		return aws.ToString(e.LambdaFunctionTimedOutEventDetails.Error), aws.ToString(e.LambdaFunctionTimedOutEventDetails.Cause), true
	default:
		return "", "", false
	}
}

// messageOf is a cause in words: a function's is JSON with its message.
func messageOf(cause string) string {
	var failure struct {
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal([]byte(cause), &failure) == nil && failure.Message != "" {
		return failure.Message
	}
	return cause
}
