package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// writeRaw writes an answer as it came, indented.
func (o *operator) writeRaw(raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil
	}
	var buf bytes.Buffer
	if err := json.Indent(&buf, raw, "", "  "); err != nil {
		return err
	}
	buf.WriteByte('\n')
	_, err := o.out.Write(buf.Bytes())
	return err
}

// notes is where that goes which is not the result.
func (o *operator) notes() *printer {
	if o.json() {
		return &printer{w: o.errw}
	}
	return &printer{w: o.out}
}

// finish plays the job, follows its tasks if that is wanted, and reports. What
// is known by then is reported, however it ended.
func (r *jobRun) finish(ctx context.Context, follow bool) error {
	err := r.play(ctx)
	followed := false
	if err == nil {
		if werr := r.reportJob(); werr != nil {
			return werr
		}
		if followed = follow && r.job.Status == adminapi.JobDone && r.job.Replayed > 0; followed {
			if err = r.follow(ctx); err != nil {
				r.leave(ctx)
			}
			if werr := r.reportOutcomes(); werr != nil {
				return werr
			}
		}
	}
	if r.op.json() {
		if werr := r.op.writeRaw(r.raw); werr != nil {
			return werr
		}
	}
	if err != nil {
		return err
	}
	return r.verdict(followed)
}

// leave says where the tasks can be followed that are not followed any more.
func (r *jobRun) leave(ctx context.Context) {
	if ctx.Err() != nil {
		p := &printer{w: r.op.errw}
		p.printf("\nall was sent, and the tasks go on. See what becomes of them with\n  %s\n", r.op.commandLine("dlq", "jobs", r.id))
	}
}

// reportJob says what the job did.
func (r *jobRun) reportJob() error {
	if r.op.json() {
		return nil
	}
	j, p := r.job, &printer{w: r.op.out}
	took := shortDuration(time.Since(r.view.began))
	if j.Status == adminapi.JobDone {
		p.printf("%s in %s: %s\n", quantity(j.Handled(), "message"), took, counted(j))
	} else {
		p.printf("ended after %s in %s: %s\n", r.reach(), took, counted(j))
	}
	p.table(0, []column{{right: true}, {}}, indent(ranked(j.Reasons)))
	if j.AtLeastOnce > 0 {
		p.printf("%s had no task in the table: such may arrive twice\n", quantity(j.AtLeastOnce, "message"))
	}
	if c := j.Canary; c != nil && j.Status == adminapi.JobCanaryFailed {
		p.printf("canary: of %s, %d succeeded and %d failed; the rest was not sent\n", quantity(c.Size, "task"), c.Succeeded, c.Failed)
	}
	if j.Note != "" {
		p.printf("%s\n", clean(j.Note))
	}
	return p.err
}

// indent sets the first column in.
func indent(rows [][]string) [][]string {
	for _, row := range rows {
		row[0] = "  " + row[0]
	}
	return rows
}

// reportOutcomes says how the tasks ended.
func (r *jobRun) reportOutcomes() error {
	if r.op.json() || r.job.Outcomes == nil {
		return nil
	}
	p := &printer{w: r.op.out}
	p.printf("the tasks:\n")
	p.table(0, []column{{right: true}, {}}, indent(outcomeRows(r.job.Outcomes)))
	return p.err
}

// outcomeRows are the counts that are not zero.
func outcomeRows(o *adminapi.Outcomes) [][]string {
	var rows [][]string
	add := func(n int, what string) {
		if n > 0 {
			rows = append(rows, []string{fmt.Sprint(n), what})
		}
	}
	add(o.Succeeded, "succeeded")
	add(o.FailedSame, "failed the same way")
	add(o.FailedOther, "failed another way")
	add(o.Canceled, "canceled")
	add(o.Expired, "expired")
	add(o.Later, "replayed again since")
	add(o.Gone, "without a task, or past its retention")
	add(o.Pending, "not finished yet")
	return rows
}

// verdict makes the exit code of how the job ended, and of how its tasks did if
// they were followed.
func (r *jobRun) verdict(followed bool) error {
	j := r.job
	switch {
	case j.Status == adminapi.JobCanaryFailed:
		return &exitError{exitNotSucceed, fmt.Sprintf("the canary failed: `%s` shows what with%s", r.op.commandLine("dlq", "groups"), r.hint())}
	case j.Status == adminapi.JobStopped:
		return &exitError{exitFailed, "the job was stopped" + r.hint()}
	case j.Failed > 0:
		return &exitError{exitFailed, fmt.Sprintf("%s could not be sent, and stayed where they were. See which with\n  %s",
			quantity(j.Failed, "message"), r.op.commandLine("dlq", "jobs", r.id, "--max", "1000"))}
	case followed && j.Outcomes != nil && j.Outcomes.Unsuccessful() > 0:
		return &exitError{exitNotSucceed, fmt.Sprintf("%s did not succeed. See which with\n  %s",
			quantity(j.Outcomes.Unsuccessful(), "task"), r.op.commandLine("dlq", "jobs", r.id, "--max", "1000"))}
	default:
		return nil
	}
}
