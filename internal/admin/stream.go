package admin

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/task"
)

// Streams are the records of streams that were set aside.
type Streams interface {
	List(ctx context.Context, limit int) ([]rescue.Record, error)
	Ranges(ctx context.Context, limit int) ([]rescue.FailedRange, error)
	Replay(ctx context.Context, q rescue.ReplayRequest) (rescue.Replay, error)
}

var _ Streams = (*rescue.Replayer)(nil)

// maxStreams is how many ranges and records an answer holds.
const maxStreams = 1000

func streamList(ctx context.Context, a *Admin, q adminapi.StreamListRequest) (*adminapi.StreamListAnswer, error) {
	limit, err := streamLimit(q.Max)
	if err != nil {
		return nil, err
	}
	ranges, err := a.Streams.Ranges(ctx, limit)
	if err != nil {
		return nil, err
	}
	records, err := a.Streams.List(ctx, limit)
	if err != nil {
		return nil, err
	}
	out := &adminapi.StreamListAnswer{Ranges: make([]adminapi.StreamRange, len(ranges)), Records: make([]adminapi.StreamRecord, len(records))}
	for i, r := range ranges {
		out.Ranges[i] = adminapi.StreamRange{
			ID: r.ID, Source: r.Source, Stream: r.Stream, ShardID: r.ShardID, First: r.First, Last: r.Last, Records: r.Records, Condition: r.Condition,
			State: adminapi.RangeState(r.State), Reason: r.Reason, Consumer: r.Consumer, ArrivedAt: r.ArrivedAt, KeepUntil: r.KeepUntil,
		}
	}
	for i, r := range records {
		out.Records[i] = adminapi.StreamRecord{
			ID: r.ID, Source: r.Source, Stream: r.Stream, ShardID: r.ShardID, SequenceNumber: r.SequenceNumber, EventID: r.EventID, Key: r.Key,
			Consumer: r.Consumer, Error: adminapi.RecordError(r.Error), Attempts: r.Attempts, ArchivedAt: r.ArchivedAt, ArchivedBy: adminapi.ArchivedBy(r.ArchivedBy),
			KeepUntil: r.KeepUntil, State: adminapi.RecordState(r.State), Reason: r.Reason, ReplayedAt: r.ReplayedAt, Size: r.Size,
		}
	}
	return out, nil
}

func streamLimit(asked int) (int, error) {
	switch {
	case asked == 0:
		return 100, nil
	case asked < 0 || asked > maxStreams:
		return 0, &Error{adminapi.CodeInvalid, "max is between 1 and 1000"}
	default:
		return asked, nil
	}
}

func streamReplay(ctx context.Context, a *Admin, q adminapi.StreamReplayRequest) (*adminapi.StreamReplayAnswer, error) {
	limit, err := streamLimit(q.Max)
	if err != nil {
		return nil, err
	}
	if len(q.IDs) > maxStreams {
		return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("there are %d ids: at most %d are taken", len(q.IDs), maxStreams)}
	}
	if err := checkIDs("ids", q.IDs...); err != nil {
		return nil, err
	}
	if q.Rate != 0 && (q.Rate < redrive.MinRate || q.Rate > redrive.MaxRate) {
		return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("rate is %v records a second; it is between %v and %d", q.Rate, redrive.MinRate, redrive.MaxRate)}
	}
	req := rescue.ReplayRequest{IDs: q.IDs, Max: limit, Rate: q.Rate, DryRun: q.DryRun, By: q.By, RequestID: requestID(ctx)}
	if q.JobID != "" {
		if err := checkIDs("job_id", q.JobID); err != nil {
			return nil, err
		}
		if q.DryRun || q.Max > 0 || q.Rate > 0 || len(q.IDs) > 0 {
			return nil, &Error{adminapi.CodeInvalid, "a job has its records, and is not tried: leave max, rate, ids and dry_run out"}
		}
		req = rescue.ReplayRequest{JobID: q.JobID, By: q.By, RequestID: req.RequestID}
	}
	r, err := a.Streams.Replay(ctx, req)
	if err != nil && len(r.Records) == 0 {
		return nil, err
	}
	slog.InfoContext(ctx, "stream replay", slog.String("by", task.CleanText(q.By, maxBy)), slog.Bool("dry_run", q.DryRun), slog.Int("matched", r.Matched),
		slog.Int("replayed", r.Replayed), slog.Int("refused", r.Refused), slog.Int("failed", r.Failed), slog.Any("error", err))
	out := &adminapi.StreamReplayAnswer{
		Matched: r.Matched, Replayed: r.Replayed, Refused: r.Refused, Failed: r.Failed, Done: r.Done, Note: streamNote(r),
		JobID: r.JobID, Status: adminapi.JobStatus(r.Status), StopAsked: r.StopAsked,
	}
	if r.Records != nil {
		out.Records = make([]adminapi.RecordOutcome, len(r.Records))
	}
	for i, one := range r.Records {
		out.Records[i] = adminapi.RecordOutcome{ID: one.ID, Outcome: adminapi.StreamOutcome(one.Outcome), Reason: adminapi.StreamReason(one.Reason)}
	}
	return out, nil
}

func streamNote(r rescue.Replay) string {
	switch {
	case r.StopAsked:
		return "the replay was stopped: the command with its job_id goes on with it"
	case !r.Done:
		return "not all was tried: repeat the command to go on"
	default:
		return ""
	}
}
