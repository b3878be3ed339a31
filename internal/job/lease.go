package job

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// lock takes the lock of a job. The error is [ErrBusy] when another job has it.
func (e *Engine[R, S, E]) lock(ctx context.Context, jobID string, req R) error {
	lock := e.spec.Lock(req)
	if lock == "" {
		return nil
	}
	now := time.Now()
	until := e.leaseEnd(ctx, now)
	it, err := e.control.change(ctx, lockPartition, lock, "SET job_id = :job, lease_until = :until, expires_at = :expires",
		"attribute_not_exists(pk) OR lease_until < :now OR job_id = :job",
		item{":job": str(jobID), ":until": num(until.UnixMilli()), ":now": num(now.UnixMilli()), ":expires": num(until.Add(time.Hour).Unix())})
	if errors.Is(err, errLost) {
		return fmt.Errorf("%w on the queue %q: %s; wait for it, or stop it", ErrBusy, lock, text(it, attrJob))
	}
	return err
}

// unlock lets go of a job's lock at an instant in milliseconds; 0 is at once.
func (e *Engine[R, S, E]) unlock(ctx context.Context, jobID string, req R, at int64) error {
	lock := e.spec.Lock(req)
	if lock == "" {
		return nil
	}
	_, err := e.control.change(ctx, lockPartition, lock, "SET lease_until = :until", "job_id = :job", item{":job": str(jobID), ":until": num(at)})
	if errors.Is(err, errLost) {
		return nil
	}
	return err
}

// take makes this process, which has the lock, the one that runs a job. The error
// is [ErrBusy] when another process does. anew is false in a hop, which honors a
// stop that was asked for before it; otherwise that is forgotten.
//
// The SDK repeats a write whose answer was lost, so the condition holds for what
// the same write has left there.
func (e *Engine[R, S, E]) take(ctx context.Context, j *Job[R, S], anew bool) error {
	update := "SET job_status = :running, holder = :me, lease_until = :until REMOVE tidy"
	if anew {
		update += ", stop_asked"
	}
	now := time.Now()
	it, err := e.control.change(ctx, jobPartition(j.ID), stateSort, update,
		"attribute_exists(pk) AND (job_status = :planned OR job_status = :stopped OR (job_status = :running AND (lease_until < :now OR attribute_not_exists(holder) OR holder = :me)))",
		item{
			":running": str(string(Running)), ":planned": str(string(Planned)), ":stopped": str(string(Stopped)),
			":me": str(rand.Text()[:13]), ":until": num(e.leaseEnd(ctx, now).UnixMilli()), ":now": num(now.UnixMilli()),
		})
	if err == nil {
		return e.readState(j, it)
	}
	if errors.Is(err, errLost) {
		err = fmt.Errorf("%w: %s is in other hands, or has ended", ErrBusy, j.ID)
		if current := Status(text(it, attrStatus)); current == Running {
			return err // and the lock with it
		}
	}
	return errors.Join(err, e.unlock(ctx, j.ID, j.Request, 0))
}

// leaseEnd is when a lease that is taken now ends.
func (e *Engine[R, S, E]) leaseEnd(ctx context.Context, now time.Time) time.Time {
	until := now.Add(e.opts.Lease)
	if end, ok := ctx.Deadline(); ok && end.Add(time.Second).Before(until) {
		until = end.Add(time.Second)
	}
	return until
}

// keep renews the lease of a job and of its lock, and writes how far the job is.
// The error is errLost when another process has taken it.
func (e *Engine[R, S, E]) keep(ctx context.Context, j *Job[R, S]) error {
	now := time.Now()
	until := num(e.leaseEnd(ctx, now).UnixMilli())
	j.State.progress().UpdatedAt = now.UnixMilli()
	if lock := e.spec.Lock(j.Request); lock != "" {
		if _, err := e.control.change(ctx, lockPartition, lock, "SET lease_until = :until", "job_id = :job", item{":job": str(j.ID), ":until": until}); err != nil {
			return err
		}
	}
	it, err := e.control.change(ctx, jobPartition(j.ID), stateSort, "SET detail = :detail, lease_until = :until", "holder = :me AND job_status = :running",
		item{":detail": j.detail(), ":until": until, ":me": str(j.holder), ":running": str(string(Running))})
	if err != nil {
		return err
	}
	j.stop = it[attrStop] != nil
	return nil
}

// leave gives a job up in a state. One that is left as [Running] goes on in
// another invocation: it keeps its lease and its lock for as long as that may
// take to begin. tidy says that the source holds nothing that is dealt with.
func (e *Engine[R, S, E]) leave(ctx context.Context, j *Job[R, S], status Status, tidy bool) error {
	now, p := time.Now(), j.State.progress()
	p.UpdatedAt = now.UnixMilli()
	if status.Ended() {
		p.FinishedAt = now.UnixMilli()
	}
	until := int64(0)
	if status == Running {
		until = now.Add(e.opts.Lease).UnixMilli()
	}
	detail := text(item{attrDetail: j.detail()}, attrDetail)
	update, values := "SET job_status = :status, detail = :detail, lease_until = :until", item{":status": str(string(status)), ":detail": str(detail), ":until": num(until), ":me": str(j.holder), ":running": str(string(Running))}
	if tidy {
		update, values[":tidy"] = update+", tidy = :tidy", num(1)
	}
	it, err := e.control.change(ctx, jobPartition(j.ID), stateSort, update+" REMOVE holder, stop_asked", "holder = :me AND job_status = :running", values)
	// The SDK repeats a write whose answer was lost. The first one has then left
	// the job as it should be.
	ours := it[attrHolder] == nil && text(it, attrStatus) == string(status) && text(it, attrDetail) == detail
	if err != nil && (!ours || !errors.Is(err, errLost)) {
		return err
	}
	j.Status, j.until, j.holder = status, time.UnixMilli(until), ""
	return e.unlock(ctx, j.ID, j.Request, until)
}
