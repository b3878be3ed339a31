package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
)

const (
	// stopPolls is how many polls long a job is waited for after Ctrl-C.
	stopPolls = 10
	// lookLimit bounds one look at a job.
	lookLimit = 30 * time.Second
	// maxBlind is how many polls long a job may be out of sight, and
	maxBlind = 60
	// maxStalls how often it may stall without having come any further.
	maxStalls = 5
	// maxOverdue is how many polls an answer may come later than its job ends.
	maxOverdue = 10
	// maxFollowPolls is how many polls are between two looks at tasks that take
	// their time: each look reads all of them.
	maxFollowPolls = 10
)

// jobRun starts a job of the admin function and sees it to its end. The job
// does not live here but in the cloud, where it goes on from one invocation to
// the next; what is lost here is found again by its id.
type jobRun struct {
	op     *operator
	start  jobCall // begins the job
	again  jobCall // goes on with it when it has stalled; nil if that would be another job
	what   string  // "replaying"
	resume string  // the command line that goes on with it
	view   *jobView

	planned int                      // messages that it is about, 0 if not known
	isOurs  func(*adminapi.Job) bool // finds a job whose id its starting call answers late

	id     string          // known from the start if there is a plan
	job    *adminapi.Job   // as last seen
	raw    json.RawMessage // the answer that said so
	answer *adminapi.Job   // as the last call that came back left it

	calling  bool      // a call is open
	overdue  int       // looks at which its job was not running
	stalls   int       // in a row, without progress
	reached  int       // handled when it stalled last
	nextCall time.Time // not before
	blind    time.Time // since when looks fail; zero if they do not
}

// jobCall is a call that begins a job or goes on with it. It answers what is
// known of the job when the call ends.
type jobCall func(context.Context) (*adminapi.Job, json.RawMessage, error)

// jobAnswer is an answer that says how far a job came.
type jobAnswer[A any] interface {
	*A
	Job() adminapi.Job
}

// jobCallOf is the call of a command with such an answer.
func jobCallOf[Q, A any, P changes[Q], J jobAnswer[A]](o *operator, command adminapi.Command[Q, A], q Q) jobCall {
	return func(ctx context.Context) (*adminapi.Job, json.RawMessage, error) {
		answer, raw, err := change[Q, A, P](ctx, o, command, q)
		if err != nil {
			return nil, raw, err
		}
		j := J(answer).Job()
		return &j, raw, nil
	}
}

// answered is a call that has come to its end.
type answered struct {
	job *adminapi.Job
	raw json.RawMessage
	err error
}

// play returns once the job has ended. When ctx ends first it stops the job.
func (r *jobRun) play(ctx context.Context) error {
	// A call must outlive ctx, so that the job is stopped and not cut off.
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	answers := make(chan answered, 1)
	call := func(begin jobCall) {
		r.calling, r.overdue = true, 0
		open.Go(func() {
			j, raw, err := begin(calls)
			select {
			case answers <- answered{j, raw, err}:
			case <-calls.Done():
			}
		})
	}
	r.view = r.op.newJobView()
	call(r.start)
	tick := time.NewTicker(r.op.pace.poll)
	defer tick.Stop()
	for {
		select {
		case got := <-answers:
			r.calling = false
			if err := r.take(got); err != nil {
				return err
			}
		case <-tick.C:
		case <-ctx.Done():
			r.interrupt(ctx, answers)
			return ctx.Err()
		}
		if err := r.look(ctx); err != nil {
			if ctx.Err() != nil {
				continue
			}
			return err
		}
		if r.job == nil {
			continue
		}
		if r.blind.IsZero() && r.job.Status != adminapi.JobPlanned && !r.job.Status.Ended() {
			r.view.update(r.frame())
		}
		if r.calling && !r.lost() {
			continue
		}
		switch {
		case r.job.Status.Ended():
			r.view.end(r.frame())
			return nil
		case r.job.Status == adminapi.JobStalled || r.job.Status == adminapi.JobPlanned:
			if r.again == nil || !r.mayGoOn() {
				r.view.end(r.frame())
				return &exitError{exitFailed, fmt.Sprintf("the job %s has stalled after %s: see the admin function's log%s", r.id, r.reach(), r.hint())}
			}
			if time.Now().After(r.nextCall) {
				r.stalls++
				r.nextCall = time.Now().Add(r.op.pace.poll << r.stalls)
				r.view.note("the job has stalled, going on with it")
				call(r.again)
			}
		}
	}
}

// lost reports whether the open call's answer got lost on the way: its job is
// not at work any more, and still it does not come back.
func (r *jobRun) lost() bool {
	if r.job.Status.Ended() || r.job.Status == adminapi.JobStalled {
		r.overdue++
	} else {
		r.overdue = 0
	}
	r.calling = r.overdue < maxOverdue
	return !r.calling
}

// mayGoOn reports whether a job that has stalled is worth another call.
func (r *jobRun) mayGoOn() bool {
	if n := r.job.Handled(); n > r.reached {
		r.reached, r.stalls = n, 0
	}
	return r.stalls < maxStalls
}

// take looks at what a call brought. Only what leaves no job behind is an error.
func (r *jobRun) take(got answered) error {
	if got.err == nil {
		r.answer = got.job
		if r.id == "" {
			r.id = got.job.JobID
		}
		if r.job == nil {
			r.job, r.raw = got.job, got.raw
		}
		return nil
	}
	goingOn := r.stalls > 0
	if e, ok := errors.AsType[*refusal](got.err); ok {
		// The job that we called for may have gone on by itself meanwhile.
		if goingOn && (e.Code == adminapi.CodeJobRunning || e.Code == adminapi.CodePlanUsed) {
			return nil
		}
		if e.Code != adminapi.CodeUnavailable || r.again == nil {
			r.raw = got.raw
			return got.err
		}
		goingOn = true // something failed on the way, and what was done is kept
	}
	if r.id != "" && (goingOn || unsure(got.err)) {
		r.view.note(got.err.Error() + "; looking at how far the job is")
		return nil
	}
	return got.err
}

// look reads the job. Not seeing it for a while is no error.
func (r *jobRun) look(ctx context.Context) error {
	if r.id == "" {
		r.find(ctx)
		return nil
	}
	looking, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	found, raw, err := r.op.findJob(looking, r.id, 0)
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !r.calling && r.answer != nil && r.answer.Done && (r.job == nil || !r.job.Status.Ended()):
			// The call's own answer says how it ended.
			r.job = r.answer
		}
		switch {
		case r.blind.IsZero():
			r.blind = time.Now()
		case !r.calling && time.Since(r.blind) > maxBlind*r.op.pace.poll:
			return &exitError{exitFailed, fmt.Sprintf("%v; the job %s may go on all the same%s", err, r.id, r.hint())}
		}
		return nil
	}
	r.blind = time.Time{}
	r.job, r.raw = found, raw
	return nil
}

// find looks for the job among those that run: one at a time does on a queue.
func (r *jobRun) find(ctx context.Context) {
	if r.isOurs == nil {
		return
	}
	list, _, err := ask(ctx, r.op, adminapi.DLQJobs, adminapi.DLQJobsRequest{})
	if err != nil {
		return // the call that is open tells as well
	}
	for i := range list.Jobs {
		if j := &list.Jobs[i]; j.Status == adminapi.JobRunning && r.isOurs(j) {
			r.id, r.job = j.JobID, j
			return
		}
	}
}

// total is how many messages the job is about, 0 if that is not known.
func (r *jobRun) total() int {
	if n := max(r.planned, r.job.Planned); n > 0 {
		return max(n, r.job.Handled())
	}
	return 0
}

// reach is how far the job is, "30 of 100 messages".
func (r *jobRun) reach() string {
	if total := r.total(); total > 0 {
		return fmt.Sprintf("%d of %s", r.job.Handled(), quantity(total, "message"))
	}
	return quantity(r.job.Handled(), "message")
}

func (r *jobRun) frame() frame {
	j := r.job
	detail := counted(j)
	if c := j.Canary; c != nil && c.Pending > 0 {
		detail += fmt.Sprintf("; canary: %d of %d succeeded, waiting for %d", c.Succeeded, c.Size, c.Pending)
	}
	if j.Status == adminapi.JobStopping {
		detail += "; stopping"
	}
	return frame{what: r.what, done: j.Handled(), total: r.total(), detail: detail}
}

// hint is how to go on with the job.
func (r *jobRun) hint() string {
	if r.resume == "" || (r.job != nil && r.job.Status != adminapi.JobPlanned && !resumable(r.job)) {
		return ""
	}
	return ". Go on with\n  " + r.resume
}

// interrupt stops the job, and says how far it came and how it goes on.
func (r *jobRun) interrupt(ctx context.Context, answers <-chan answered) {
	notes := &printer{w: r.op.errw}
	if r.id == "" {
		notes.printf("\nleft: the call that was made may go on. See what came of it with\n  %s\n", r.op.commandLine("dlq", "jobs"))
		return
	}
	if r.job != nil && r.view.shown != "" {
		r.view.end(r.frame())
	}
	how := "stopping the job …"
	if errors.Is(ctx.Err(), context.Canceled) {
		how = "\nstopping the job; Ctrl-C once more leaves at once …" // behind a terminal's ^C
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPolls*r.op.pace.poll)
	defer cancel()
	if r.job == nil || !r.job.Status.Ended() {
		notes.printf("%s\n", how)
		if _, _, err := change(ctx, r.op, adminapi.DLQStop, adminapi.JobRequest{JobID: r.id}); err != nil {
			notes.printf("%v\n", err)
		}
		r.settle(ctx, answers)
	}
	switch j := r.job; {
	case j == nil || j.Status == adminapi.JobPlanned:
		notes.printf("nothing was changed%s\n", r.hint())
	case j.Status == adminapi.JobRunning || j.Status == adminapi.JobStopping:
		notes.printf("the job %s has not stopped yet, after %s (%s). Stop it with\n  %s\n", r.id, r.reach(), counted(j), r.op.commandLine("dlq", "stop", r.id))
	default:
		notes.printf("%s after %s: %s%s\n", clean(string(j.Status)), r.reach(), counted(j), r.hint())
	}
}

// settle waits for a job to come to rest.
func (r *jobRun) settle(ctx context.Context, answers <-chan answered) {
	tick := time.NewTicker(r.op.pace.poll)
	defer tick.Stop()
	for {
		if found, raw, err := r.op.findJob(ctx, r.id, 0); err == nil {
			r.job, r.raw = found, raw
			if s := r.job.Status; s != adminapi.JobRunning && s != adminapi.JobStopping && (s != adminapi.JobPlanned || !r.calling) {
				return
			}
		}
		select {
		case <-answers:
			r.calling = false
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// follow waits until the tasks that the job sent have ended.
func (r *jobRun) follow(ctx context.Context) error {
	pause := r.op.pace.poll
	for {
		if err := r.look(ctx); err != nil {
			return err
		}
		o := cmp.Or(r.job.Outcomes, &adminapi.Outcomes{})
		if r.blind.IsZero() {
			if o.Pending == 0 {
				r.view.end(followFrame(o))
				return nil
			}
			r.view.update(followFrame(o))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			r.view.end(followFrame(o))
			return ctx.Err()
		}
		pause = min(pause*5/4, maxFollowPolls*r.op.pace.poll)
	}
}

func followFrame(o *adminapi.Outcomes) frame {
	detail := fmt.Sprintf("%d succeeded", o.Succeeded)
	if n := o.Unsuccessful(); n > 0 {
		detail += fmt.Sprintf(", %d did not", n)
	}
	return frame{what: "following", done: o.Ended(), total: o.Ended() + o.Pending, detail: detail}
}
