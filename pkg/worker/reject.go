package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// reject sends messages whose task is not ours to settle to the dead-letter
// queue and acknowledges what has arrived there. (Tasks that we hold are
// buried, see [shift.settle].)
func (s *shift) reject(ctx context.Context, jobs []*job, code, reason string) {
	if len(jobs) == 0 {
		return
	}
	records := make([]workqueue.FailureRecord, len(jobs))
	for i, j := range jobs {
		records[i] = workqueue.NewFailure(ctx, task.Failure{Code: code, Message: cmp.Or(j.refusal, reason)}, j.rec.ReceiveCount)
	}
	for i, err := range s.sendLetters(ctx, jobs, records) {
		id := slog.String("message_id", jobs[i].rec.MessageID)
		if err != nil {
			s.log.ErrorContext(ctx, "message not rejected", id, slog.Any("error", err))
			jobs[i].back(outageWait, WhyUnavailable)
			continue
		}
		s.log.WarnContext(ctx, "message rejected", id, slog.String("code", code), slog.String("reason", records[i].Message))
		s.tellMoved(ctx, jobs[i], DeadLetters, WhyRejected, code, time.Time{})
		s.rejected++
		jobs[i].ack()
	}
}

// rejectAbsent rejects messages that look like ours and have no row.
func (s *shift) rejectAbsent(ctx context.Context, jobs []*job) {
	s.reject(ctx, jobs, workqueue.CodeForeign, "there is no task with this id, or it is not kept any more")
}

// sendLetters sends the dead letters of messages and returns one outcome for
// each. What a letter cannot carry is archived before.
func (s *shift) sendLetters(ctx context.Context, jobs []*job, records []workqueue.FailureRecord) []error {
	errs := make([]error, len(jobs))
	var letters []workqueue.Outgoing
	var index []int
	for i, j := range jobs {
		letter, dropped := workqueue.DeadLetter(j.rec, records[i], j.run())
		if len(dropped) > 0 {
			if errs[i] = s.archive(ctx, j.rec.MessageID, dropped); errs[i] != nil {
				continue
			}
		}
		letters, index = append(letters, letter), append(index, i)
	}
	if len(letters) > 0 {
		for n, err := range s.w.dead.SendBatch(ctx, letters) {
			errs[index[n]] = err
		}
	}
	return errs
}

// archivePart is how much of what a dead letter cannot carry goes into one
// item of the table. A message's attributes can be larger than any item.
const archivePart = 256 << 10

// archive keeps what a dead letter cannot carry, as JSON cut into parts named
// after the message: its id, then id.1, id.2, …
func (s *shift) archive(ctx context.Context, id string, dropped any) error {
	data, err := json.Marshal(dropped)
	for n := 0; err == nil && len(data) > 0; n++ {
		name, cut := id, min(len(data), archivePart)
		if n > 0 {
			name += "." + strconv.Itoa(n)
		}
		for cut < len(data) && !utf8.RuneStart(data[cut]) {
			cut--
		}
		err = s.w.table.Archive(ctx, name, data[:cut])
		data = data[cut:]
	}
	if err != nil {
		return fmt.Errorf("archive what the dead letter cannot carry: %w", err)
	}
	return nil
}
