package workqueue

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// MaxEntries is how many entries SQS takes in one batch call.
const MaxEntries = 10

// batchCall is a kind of call that SQS takes in batches of entries.
type batchCall struct {
	// name of the call, for errors.
	name string
	// size returns the bytes of entry i; nil counts entries only.
	size func(i int) int
	// one makes the call for a single entry.
	one func(ctx context.Context, i int) error
	// many makes it for several, named by entryID, and returns the ids of
	// those that took effect and the failures of those that did not.
	many func(ctx context.Context, entries []int) (done []*string, failed []types.BatchResultErrorEntry, err error)
	// outcome turns an entry's or a call's failure into the caller's error; nil
	// leaves it as it is.
	outcome func(error) error
}

func entryID(i int) *string { return aws.String(strconv.Itoa(i)) }

// idsOf are the ids of the entries that succeeded.
func idsOf[E any](entries []E, id func(*E) *string) []*string {
	ids := make([]*string, len(entries))
	for i := range entries {
		ids[i] = id(&entries[i])
	}
	return ids
}

// run makes the call for all pending entries, in batches, and writes their
// outcomes to errs. Entries that failed without the sender's fault are tried
// again together, after a pause.
func (q *Queue) run(ctx context.Context, c *batchCall, pending []int, errs []error) {
	for attempt := 1; len(pending) > 0; attempt++ {
		if attempt > 1 {
			if err := q.pause(ctx, attempt-1); err != nil {
				for _, i := range pending {
					errs[i] = fmt.Errorf("%w (not tried again: %w)", errs[i], err)
				}
				return
			}
		}
		var again []int
		for len(pending) > 0 {
			n := q.fill(c, pending)
			again = append(again, q.call(ctx, c, pending[:n], errs)...)
			pending = pending[n:]
		}
		if attempt >= q.opts.Attempts {
			return
		}
		pending = again
	}
}

// fill returns how many of the pending entries the next call takes.
func (q *Queue) fill(c *batchCall, pending []int) int {
	n, bytes := 0, 0
	for n < len(pending) && n < MaxEntries {
		if c.size != nil {
			bytes += c.size(pending[n])
			if n > 0 && bytes > q.opts.MaxBytes {
				break
			}
		}
		n++
	}
	return n
}

// call makes one call and writes its entries' outcomes to errs. It returns the
// entries that are worth another attempt.
func (q *Queue) call(ctx context.Context, c *batchCall, entries []int, errs []error) (again []int) {
	fail := func(i int, err error) {
		if c.outcome != nil {
			err = c.outcome(err)
		}
		errs[i] = fmt.Errorf("%s: %w", c.name, err)
	}
	if len(entries) == 1 {
		errs[entries[0]] = nil
		if err := c.one(ctx, entries[0]); err != nil {
			fail(entries[0], err)
		}
		return nil
	}
	done, failed, err := c.many(ctx, entries)
	if err != nil {
		for _, i := range entries {
			fail(i, err)
		}
		return nil
	}
	open := make(map[string]int, len(entries)) // entries without an outcome yet
	for _, i := range entries {
		open[strconv.Itoa(i)] = i
	}
	// Failures first: an entry in both lists is not known to have worked.
	for _, f := range failed {
		i, ok := open[aws.ToString(f.Id)]
		if !ok {
			continue
		}
		delete(open, aws.ToString(f.Id))
		fail(i, &EntryError{Code: aws.ToString(f.Code), Message: aws.ToString(f.Message), SenderFault: f.SenderFault})
		if !f.SenderFault || throttled(aws.ToString(f.Code)) {
			again = append(again, i)
		}
	}
	for _, id := range done {
		if i, ok := open[aws.ToString(id)]; ok {
			errs[i] = nil
			delete(open, aws.ToString(id))
		}
	}
	for _, i := range open {
		fail(i, ErrNoOutcome)
	}
	return again
}

// throttled recognises refusals that count as the sender's fault and pass all
// the same.
func throttled(code string) bool {
	return strings.Contains(code, "Throttl") || strings.HasSuffix(code, "SlowDown")
}
