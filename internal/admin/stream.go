package admin

import (
	"context"
	"fmt"
	"log/slog"

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

type streamQuery struct {
	Max int `json:"max"`
}

func streamList(ctx context.Context, a *Admin, q streamQuery) (any, error) {
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
	out := struct {
		Ranges  []rescue.FailedRange `json:"ranges"`
		Records []rescue.Record      `json:"records"`
	}{ranges, records}
	for i := range out.Ranges { // operators name streams, and ARNs stay inside
		out.Ranges[i].StreamARN = ""
	}
	for i := range out.Records {
		out.Records[i].StreamARN = ""
	}
	if out.Ranges == nil {
		out.Ranges = []rescue.FailedRange{}
	}
	if out.Records == nil {
		out.Records = []rescue.Record{}
	}
	return out, nil
}

func streamLimit(asked int) (int, error) {
	switch {
	case asked == 0:
		return 100, nil
	case asked < 0 || asked > maxStreams:
		return 0, &Error{CodeInvalid, "max is between 1 and 1000"}
	default:
		return asked, nil
	}
}

type streamReplayQuery struct {
	Max    int      `json:"max"`
	DryRun bool     `json:"dry_run"`
	IDs    []string `json:"ids"`
	By     string   `json:"by"`
}

func streamReplay(ctx context.Context, a *Admin, q streamReplayQuery) (any, error) {
	limit, err := streamLimit(q.Max)
	if err != nil {
		return nil, err
	}
	if len(q.IDs) > maxStreams {
		return nil, &Error{CodeInvalid, fmt.Sprintf("there are %d ids: at most %d are taken", len(q.IDs), maxStreams)}
	}
	if err := checkIDs("ids", q.IDs...); err != nil {
		return nil, err
	}
	r, err := a.Streams.Replay(ctx, rescue.ReplayRequest{IDs: q.IDs, Max: limit, DryRun: q.DryRun})
	if err != nil && len(r.Records) == 0 {
		return nil, err
	}
	// The records themselves say what became of them; who asked is in the log,
	// beside AWS's own trail.
	slog.InfoContext(ctx, "stream replay", slog.String("by", task.CleanText(q.By, maxBy)), slog.Bool("dry_run", q.DryRun), slog.Int("matched", r.Matched),
		slog.Int("replayed", r.Replayed), slog.Int("refused", r.Refused), slog.Int("failed", r.Failed), slog.Any("error", err))
	return struct {
		rescue.Replay
		Note string `json:"note,omitempty"`
	}{r, streamNote(r)}, nil
}

func streamNote(r rescue.Replay) string {
	if !r.Done {
		return "not all was tried: repeat the command to go on"
	}
	return ""
}
