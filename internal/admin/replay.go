package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
)

func dlqReplay(ctx context.Context, a *Admin, q adminapi.DLQReplayRequest) (any, error) {
	if q.Queue == adminapi.QueueSaga {
		return nil, &Error{adminapi.CodeUnsupported, `what a saga could not undo goes back to no queue: saga.list shows it, and saga.resume, saga.skip or saga.done takes it off ("spillway saga ls")`}
	}
	if q.Native {
		return replayNative(ctx, a, q)
	}
	return replay(ctx, a, redrive.KindReplay, q)
}

// replay is what replays of dead letters and retries of tasks have in common.
func replay(ctx context.Context, a *Admin, kind redrive.Kind, q adminapi.DLQReplayRequest) (any, error) {
	if kind == redrive.KindReplay && q.Queue == "" && q.PlanID == "" {
		q.Queue = adminapi.QueueTasks
	}
	filter, err := filterOf(q.Filter)
	if err != nil {
		return nil, err
	}
	req := redrive.Request{
		Kind: kind, Queue: q.Queue, Filter: filter, Max: q.Max, Rate: q.Rate, Canary: q.Canary, By: q.By, RequestID: requestID(ctx),
	}
	switch {
	case len(q.PlanID) > maxID:
		return nil, checkIDs("plan_id", q.PlanID)
	case q.PlanID != "" && (q.Filter != nil || q.DryRun):
		return nil, &Error{adminapi.CodeInvalid, "a plan has its filter, and has been tried: leave filter and dry_run out"}
	case q.DryRun:
		p, err := a.Redrive.Plan(ctx, req)
		if err != nil {
			return nil, withAdvice(kind, q.Queue, err)
		}
		return planned(p), nil
	case q.PlanID != "":
		r, err := a.Redrive.Execute(ctx, q.PlanID, kind, q.Queue, redrive.Settings{Rate: q.Rate, Max: q.Max, Canary: q.Canary, By: q.By, RequestID: req.RequestID})
		return replayed(ctx, r, err)
	default:
		r, err := a.Redrive.Run(ctx, req)
		return replayed(ctx, r, withAdvice(kind, q.Queue, err))
	}
}

// withAdvice names the command that replays what is behind the messages of the
// queue of stream failures, which go back to no queue.
func withAdvice(kind redrive.Kind, queue string, err error) error {
	if kind == redrive.KindReplay && queue == adminapi.QueueStream && errors.Is(err, redrive.ErrUnsupported) {
		return fmt.Errorf("%w; records of a stream are replayed by stream.replay (`spillway stream replay`)", err)
	}
	return err
}

func planned(p *redrive.Plan) *adminapi.Plan {
	out := &adminapi.Plan{
		JobID: p.ID, PlanID: p.ID, ExpiresAt: task.At(p.Until), Matched: p.Matched, Replay: p.Replay, Drop: p.Drop, Skip: p.Skip, Done: true, DryRun: true,
		Reasons: reasonsOf(p.Reasons), Destinations: p.Destinations, Groups: groupsOf(p.Groups), Messages: make([]adminapi.PlannedMessage, len(p.Messages)),
		Complete: p.Complete,
	}
	for i, m := range p.Messages {
		out.Messages[i] = adminapi.PlannedMessage{
			MessageID: m.MessageID, TaskID: m.TaskID, Type: m.Type, Run: m.Run, Action: adminapi.Action(m.Action), Reason: adminapi.Reason(m.Reason), To: m.To,
		}
	}
	switch {
	case !p.Complete:
		out.Note = "the queue was not looked through to its end, or others hold some of it: the plan covers what was seen"
	case p.Matched == 0:
		out.Note = "nothing matches"
	case len(p.Groups) > maxGroups:
		out.Note = fmt.Sprintf("these are the %d largest of %d groups", maxGroups, len(p.Groups))
	}
	return out
}

func replayed(ctx context.Context, r *redrive.Report, err error) (any, error) {
	if r == nil {
		return nil, err
	}
	if err != nil { // the report says that it stopped, and how to go on
		logStopped(ctx, r, err)
	}
	out := &adminapi.ReplayAnswer{
		JobID: r.JobID, PlanID: r.JobID, Status: adminapi.JobStatus(r.Status), Counts: countsOf(r.Counts), Done: r.Finished,
		Canary: (*adminapi.Canary)(r.Canary), Note: note(r),
	}
	if out.Note == "" && r.Finished && r.Matched == 0 {
		out.Note = "nothing matches"
	}
	return out, nil
}

func replayNative(ctx context.Context, a *Admin, q adminapi.DLQReplayRequest) (any, error) {
	if q.DryRun || q.PlanID != "" {
		return nil, &Error{adminapi.CodeInvalid, "native moves all messages: it takes no filter, max, canary, dry run or plan"}
	}
	filter, err := filterOf(q.Filter)
	if err != nil {
		return nil, err
	}
	req := redrive.Request{
		Queue: cmp.Or(q.Queue, adminapi.QueueTasks), Filter: filter, Max: q.Max, Rate: q.Rate, Canary: q.Canary, By: q.By, RequestID: requestID(ctx),
	}
	handle, jobID, err := a.Redrive.Move(ctx, req)
	if err != nil {
		return nil, err
	}
	return &adminapi.NativeAnswer{
		ReplayAnswer: adminapi.ReplayAnswer{
			JobID: jobID, PlanID: jobID, Status: adminapi.JobRunning, Counts: countsOf(redrive.Counts{}),
			Note: "SQS moves the messages now, and knows how many: aws sqs list-message-move-tasks shows it; what SQS moves is not in this job's ledger",
		},
		Native: true, TaskHandle: handle,
	}, nil
}
