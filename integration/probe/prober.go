package probe

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"
)

// Prober tries features out at one endpoint. It is safe for concurrent use.
type Prober struct {
	api    *caller
	prefix string // of the names of everything that it makes
	opts   Options

	mu      sync.Mutex
	found   map[ID]*finding
	tries   map[ID]int                    // how often they were tried
	cleanup []func(context.Context) error // the newest last

	code struct { // of the function that features are tried with
		sync.Mutex
		zip []byte
	}
	gateway struct { // which several features share
		sync.Mutex
		*gateway
	}
}

// finding is a result that there is, or that somebody is about to find.
type finding struct {
	done   chan struct{}
	result Result
	err    error
}

// Options tunes a [Prober]. The zero value is ready to use.
type Options struct {
	// Architecture is GOARCH of the functions that features are tried with: amd64
	// or arm64. Defaults to this machine's.
	Architecture string
	// Parallel is how many features [Prober.All] tries at once, beside those that
	// do little but wait. Defaults to 5.
	Parallel int
}

// New returns a prober for the endpoint of cfg. It makes no call yet.
func New(cfg aws.Config, opts *Options) *Prober {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Architecture = cmp.Or(o.Architecture, runtime.GOARCH)
	o.Parallel = cmp.Or(o.Parallel, 5)
	return &Prober{api: newCaller(cfg), prefix: "spillway-probe-" + strings.ToLower(rand.Text()[:8]), opts: o, found: map[ID]*finding{}, tries: map[ID]int{}}
}

// patience bounds one try.
const patience = 90 * time.Second

// Probe tries a feature out; whoever asks again gets the same result. The error
// is for what kept it from finding out: no network, no rights, a canceled
// context; then the next call tries again.
func (p *Prober) Probe(ctx context.Context, id ID) (Result, error) {
	i := slices.IndexFunc(features, func(f Feature) bool { return f.ID == id })
	if i < 0 {
		return Result{}, fmt.Errorf("probe: there is no feature %q", id)
	}
	for {
		p.mu.Lock()
		f, begun := p.found[id]
		if !begun {
			f = &finding{done: make(chan struct{})}
			p.found[id] = f
		}
		p.mu.Unlock()
		if !begun {
			f.result, f.err = p.try(ctx, features[i])
			if f.err != nil {
				p.mu.Lock()
				delete(p.found, id)
				p.mu.Unlock()
			}
			close(f.done)
			return f.result, f.err
		}
		select {
		case <-f.done:
			if f.err == nil {
				return f.result, nil
			}
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	}
}

func (p *Prober) try(ctx context.Context, f Feature) (Result, error) {
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name := p.prefix + "-" + string(f.ID)
	p.mu.Lock()
	if p.tries[f.ID]++; p.tries[f.ID] > 1 {
		name += "-" + strconv.Itoa(p.tries[f.ID])
	}
	p.mu.Unlock()
	r, err := f.try(bounded, &bench{Prober: p, name: name})
	switch {
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		r, err = unknown(fmt.Sprintf("not found out within %s", patience))
	case unimplemented(err):
		r, err = missing(err.Error())
	case p.api.cfg.BaseEndpoint != nil && broken(err):
		r, err = differs(err.Error())
	}
	r.Feature, r.Took = f.ID, time.Since(began)
	if err != nil {
		err = fmt.Errorf("probe %s: %w", f.ID, err)
	}
	return r, err
}

// Progress is told of each feature that [Prober.All] begins with, and again with
// its result, or the error that kept it from having one. Its calls do not
// overlap.
type Progress func(f Feature, result *Result, err error)

// All tries features out, several at a time, and returns their results in the
// order of ids. What cannot be found out so is tried once more, alone. It goes on
// after a failure; those that failed have an empty verdict, and the error joins
// what kept them. A nil progress is told nothing.
func (p *Prober) All(ctx context.Context, ids []ID, progress Progress) ([]Result, error) {
	results := make([]Result, len(ids))
	errs := make([]error, len(ids))
	var mu sync.Mutex
	tell := func(f Feature, r *Result, err error) {
		if progress != nil {
			mu.Lock()
			defer mu.Unlock()
			progress(f, r, err)
		}
	}
	one := func(i int) {
		results[i].Feature = ids[i]
		if errs[i] = ctx.Err(); errs[i] != nil {
			return
		}
		f := Feature{ID: ids[i]}
		if n := slices.IndexFunc(features, func(f Feature) bool { return f.ID == ids[i] }); n >= 0 {
			f = features[n]
		}
		tell(f, nil, nil)
		if results[i], errs[i] = p.Probe(ctx, ids[i]); errs[i] != nil {
			results[i] = Result{Feature: ids[i]}
		}
		tell(f, &results[i], errs[i])
	}
	var waiting sync.WaitGroup
	var group errgroup.Group
	group.SetLimit(p.opts.Parallel)
	for i, id := range ids {
		if slices.Contains(slow, id) {
			waiting.Go(func() { one(i) })
		}
	}
	for i, id := range ids {
		if !slices.Contains(slow, id) {
			group.Go(func() error { one(i); return nil })
		}
	}
	waiting.Wait()
	_ = group.Wait()         // none fails
	for i, id := range ids { // an endpoint that was busy may be quicker now
		if results[i].Verdict == Unknown && !slices.Contains(slow, id) && ctx.Err() == nil {
			p.mu.Lock()
			delete(p.found, id)
			p.mu.Unlock()
			one(i)
		}
	}
	return results, errors.Join(errs...)
}

// slow are features that are tried mostly by waiting, for up to a minute.
var slow = []ID{
	StreamTTL, ScheduledRule, Scheduler, AlarmMissingData, ExecutionTimeout, Heartbeat, RetryMaxDelay, MetricMathAlarm, EMF, MetricFilter, QueueMetrics,
}

// Close removes everything that was made, the newest first, within two minutes.
// The prober can be used again after it.
func (p *Prober) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	p.gateway.Lock()
	p.gateway.gateway = nil
	p.gateway.Unlock()
	p.mu.Lock()
	cleanup := p.cleanup
	p.cleanup = nil
	p.mu.Unlock()
	var errs []error
	for _, remove := range slices.Backward(cleanup) {
		if err := remove(ctx); err != nil && !isGone(err) {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("probe: remove what was made (names begin with %s): %w", p.prefix, errors.Join(errs...))
	}
	return nil
}

// bench is what one feature is tried on.
type bench struct {
	*Prober
	name string // begins the names of what is made for it
}

// later has Close remove something.
func (b *bench) later(remove func(context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cleanup = append(b.cleanup, remove)
}

// laterJSON has Close call an operation of a service that speaks JSON.
func (b *bench) laterJSON(service, operation string, in object) {
	b.later(func(ctx context.Context) error {
		_, err := b.api.json(ctx, service, operation, in)
		return err
	})
}

// laterDelete has Close delete a path of a service.
func (b *bench) laterDelete(service, path string) {
	b.later(func(ctx context.Context) error {
		_, err := b.api.rest(ctx, service, "DELETE", path, nil)
		return err
	})
}

// laterQuery has Close call an action of a service that takes forms.
func (b *bench) laterQuery(service, action string, in map[string]string) {
	b.later(func(ctx context.Context) error {
		_, err := b.api.query(ctx, service, action, in)
		return err
	})
}

// within is how long to wait for what takes AWS so long. What an emulator does
// at all it does sooner: there are no distances, and nobody else.
func (b *bench) within(onAWS, elsewhere time.Duration) time.Duration {
	if b.api.cfg.BaseEndpoint == nil {
		return onAWS
	}
	return elsewhere
}

// late is the verdict when nothing happened that may take AWS longer than
// anybody wants to wait.
func (b *bench) late(happened bool, detail string) (Result, error) {
	if b.api.cfg.BaseEndpoint == nil {
		return where(happened, Unknown, detail)
	}
	return where(happened, Missing, detail)
}

// until asks until the answer is yes, or for so long.
func until(ctx context.Context, patience time.Duration, check func() (bool, error)) (bool, error) {
	deadline := time.Now().Add(patience)
	for pause := 100 * time.Millisecond; ; pause = min(pause*3/2, time.Second) {
		ok, err := check()
		if ok || err != nil {
			return ok, err
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(pause):
		}
	}
}
