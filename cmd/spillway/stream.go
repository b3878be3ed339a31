package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
)

func (o *operator) streamCommand() *cobra.Command {
	return o.group("stream", "Show and replay stream records that failed",
		`Show and replay stream records that failed.

Works through the stack's admin function, which your identity must be allowed to
invoke (lambda:InvokeFunction). A record is kept in the archive until it expires;
one for whose key a later record was processed already is refused.

Exit codes: 0 done, 1 failed or refused, 2 used wrongly, or nobody there to say
yes, 3 a record failed again, 130 interrupted.`,
		o.streamListCommand(), o.streamReplayCommand())
}

func (o *operator) streamListCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:               "ls",
		Aliases:           []string{"list"},
		Short:             "List the ranges and records that failed",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().IntVar(&limit, "max", 100, "how many to show at most, 1 to 1000")
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		if limit < 1 || limit > 1000 {
			return usagef("--max must be 1 to 1000")
		}
		return o.withAdmin(func(ctx context.Context, _ []string) error {
			list, raw, err := ask(ctx, o, adminapi.StreamList, adminapi.StreamListRequest{Max: limit})
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			return o.showRecords(list)
		})(ctx, args)
	})
	return cmd
}

func (o *operator) showRecords(list *adminapi.StreamListAnswer) error {
	p := &printer{w: o.out}
	width, _ := o.screen(o.out)
	if len(list.Ranges) > 0 {
		rows := make([][]string, len(list.Ranges))
		for i, r := range list.Ranges {
			rows[i] = []string{
				clean(string(r.State)), since(r.ArrivedAt.Time), left(r.KeepUntil.Time), strconv.Itoa(r.Records), clean(r.Condition),
				clean(r.First), clean(r.Last), clean(r.ShardID),
			}
		}
		p.printf("ranges\n")
		p.table(width, []column{
			{title: "STATE"},
			{title: "AGE", right: true},
			{title: "LEAVES STREAM", right: true},
			{title: "RECORDS", right: true},
			{title: "CONDITION"},
			{title: "FIRST"},
			{title: "LAST"},
			{title: "SHARD"},
		}, rows)
	}
	if len(list.Records) > 0 {
		rows := make([][]string, len(list.Records))
		for i, r := range list.Records {
			rows[i] = []string{
				clean(r.ID), clean(string(r.State)), since(r.ArchivedAt.Time), left(r.KeepUntil.Time), strconv.Itoa(r.Attempts),
				clean(string(r.ArchivedBy)), clean(r.Key), why(r.Error.Code, r.Error.Message, ""),
			}
		}
		if len(list.Ranges) > 0 {
			p.printf("\nrecords\n")
		}
		p.table(width, []column{
			{title: "ID"},
			{title: "STATE"},
			{title: "AGE", right: true},
			{title: "LEAVES STREAM", right: true},
			{title: "ATTEMPTS", right: true},
			{title: "BY"},
			{title: "KEY"},
			{title: "ERROR"},
		}, rows)
	}
	if p.err != nil {
		return p.err
	}
	notes := &printer{w: o.errw}
	if len(list.Ranges)+len(list.Records) == 0 {
		notes.printf("no records\n")
	}
	return notes.err
}

// left is the time until t.
func left(t time.Time) string {
	switch d := time.Until(t); {
	case t.IsZero():
		return ""
	case d <= 0:
		return "expired"
	default:
		return "in " + shortDuration(d)
	}
}

func (o *operator) streamReplayCommand() *cobra.Command {
	var (
		limit  int
		rate   float64
		ids    []string
		dryRun bool
		yes    bool
	)
	cmd := &cobra.Command{
		Use:               "replay",
		Short:             "Hand archived records to their consumer again",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	fl := cmd.Flags()
	fl.IntVar(&limit, "max", 0, "how many records at most (default: all)")
	fl.Float64Var(&rate, "rate", 0, "how many a second at most (default: as fast as it goes)")
	fl.StringSliceVar(&ids, "id", nil, "only this record; may be given several times")
	fl.BoolVar(&dryRun, "dry-run", false, "only show what would be done")
	fl.BoolVarP(&yes, "yes", "y", false, "do not ask")
	complete(cmd, "max")
	complete(cmd, "rate")
	complete(cmd, "id")
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		switch {
		case fl.Changed("max") && limit < 1:
			return usagef("--max must be at least 1")
		case fl.Changed("rate") && (rate <= 0 || math.IsInf(rate, 0) || math.IsNaN(rate)):
			return usagef("--rate must be more than 0")
		case fl.Changed("id") && strings.Join(ids, "") == "":
			return usagef("--id is empty, which would match everything: leave it out for that")
		}
		req := adminapi.StreamReplayRequest{Max: limit, Rate: rate, IDs: ids}
		return o.withAdmin(func(ctx context.Context, _ []string) error {
			if dryRun || !yes {
				dry := req
				dry.DryRun = true
				out, raw, err := change(ctx, o, adminapi.StreamReplay, dry)
				if err != nil || (dryRun && o.json()) {
					return o.answer(raw, err)
				}
				p := o.notes()
				p.printf("%s matched", quantity(out.Matched, "record"))
				if out.Refused > 0 {
					p.printf(", %d to be refused", out.Refused)
				}
				if !out.Done {
					p.printf(", and there are more")
				}
				p.printf("\n")
				o.showRecordOutcomes(p, out.Records)
				if dryRun || out.Matched == 0 {
					return o.answer(raw, p.err)
				}
				words := append([]string{"stream", "replay"}, givenWords(fl, "max", "rate", "id")...)
				if err := o.confirm(ctx, fmt.Sprintf("Hand %s to the consumer again?", quantity(out.Matched-out.Refused, "record")), o.commandLine(append(words, "--yes")...)); err != nil {
					return err
				}
			}
			return o.replayRecords(ctx, req)
		})(ctx, args)
	})
	return cmd
}

// recordSum is what has come of all calls of a stream's replay.
type recordSum struct {
	OK       bool                     `json:"ok"`
	Matched  int                      `json:"matched"`
	Replayed int                      `json:"replayed"`
	Refused  int                      `json:"refused"`
	Failed   int                      `json:"failed"`
	Done     bool                     `json:"done"`
	Records  []adminapi.RecordOutcome `json:"records"`

	known map[string]int // where a record is in Records
}

// add counts what a call brought, and reports whether that was any progress.
// Records that failed come up again in the next call.
func (s *recordSum) add(out *adminapi.StreamReplayAnswer) (progress bool) {
	for _, e := range out.Records {
		i, known := s.known[e.ID]
		switch {
		case !known:
			s.known[e.ID] = len(s.Records)
			s.Records = append(s.Records, e)
			progress = true
		case s.Records[i].Outcome != adminapi.StreamReplayed && s.Records[i].Outcome != e.Outcome:
			s.Records[i] = e
			progress = true
		}
	}
	s.Replayed, s.Refused, s.Failed = 0, 0, 0
	for _, e := range s.Records {
		switch e.Outcome {
		case adminapi.StreamReplayed:
			s.Replayed++
		case adminapi.StreamRefused:
			s.Refused++
		case adminapi.StreamFailed:
			s.Failed++
		default: // of a dry run
		}
	}
	s.Matched, s.Done = max(s.Matched, out.Matched, len(s.Records)), out.Done
	return progress
}

// replayRecords calls until all is done: one call takes what fits into it.
func (o *operator) replayRecords(ctx context.Context, req adminapi.StreamReplayRequest) error {
	sum := recordSum{OK: true, Records: []adminapi.RecordOutcome{}, known: map[string]int{}}
	most, wanted, rate := req.Max, req.IDs, req.Rate
	var failed error
	for !sum.Done && (most == 0 || len(sum.Records) < most) {
		if most > 0 && req.JobID == "" {
			req.Max = most - len(sum.Records)
		}
		out, raw, err := change(ctx, o, adminapi.StreamReplay, req)
		if err != nil && len(sum.Records) == 0 {
			return o.answer(raw, err)
		}
		if failed = err; failed != nil {
			break
		}
		if !sum.add(out) && !sum.Done {
			failed = &exitError{exitFailed, "the replay comes no further: records that fail are in the way, or the admin function's log says more; --id replays single ones"}
			break
		}
		if out.StopAsked {
			failed = &exitError{exitFailed, "the replay was stopped: spillway dlq jobs " + clean(out.JobID) + " shows it"}
			break
		}
		if out.Status == adminapi.JobStopped { // out of time: the job goes on with its own records
			req.JobID, req.IDs, req.Max, req.Rate = out.JobID, nil, 0, 0
			continue
		}
		req.JobID, req.Rate = "", rate
		// Those that were tried are not wanted again.
		req.IDs = slices.DeleteFunc(slices.Clone(wanted), func(id string) bool { _, known := sum.known[id]; return known })
		if len(wanted) > 0 && len(req.IDs) == 0 {
			break
		}
	}
	if err := o.showSum(&sum); err != nil {
		return err
	}
	switch {
	case failed != nil:
		return failed
	case sum.Failed > 0:
		return &exitError{exitNotSucceed, quantity(sum.Failed, "record") + " failed again"}
	default:
		return nil
	}
}

func (o *operator) showSum(sum *recordSum) error {
	if o.json() {
		return writeJSON(o.out, sum)
	}
	p := &printer{w: o.out}
	p.printf("%s: %d replayed, %d refused, %d failed again\n", quantity(sum.Matched, "record"), sum.Replayed, sum.Refused, sum.Failed)
	o.showRecordOutcomes(p, sum.Records)
	return p.err
}

func (o *operator) showRecordOutcomes(p *printer, ends []adminapi.RecordOutcome) {
	if len(ends) == 0 {
		return
	}
	rows := make([][]string, len(ends))
	for i, e := range ends {
		rows[i] = []string{clean(e.ID), clean(string(e.Outcome)), clean(string(e.Reason))}
	}
	p.table(0, []column{{title: "ID"}, {title: "OUTCOME"}, {title: "REASON"}}, rows)
}
