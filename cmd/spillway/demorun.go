package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// demoRun submits a plan and follows it by the list of tasks.
type demoRun struct {
	client *client.Client
	plan   []planItem
	pace   demoPace
	began  time.Time

	mu       sync.Mutex
	entries  []entry
	byID     map[string]int
	smallest string // id of this run's oldest task
	answered int    // submits that came to an end
}

// entry is what is known of one planned task.
type entry struct {
	task   *client.Task // nil until accepted
	listed bool         // seen in GET /tasks
	err    error        // it was not accepted, or not canceled
}

func newDemoRun(c *client.Client, plan []planItem, pace demoPace) *demoRun {
	return &demoRun{
		client: c, plan: plan, pace: pace, began: time.Now(),
		entries: make([]entry, len(plan)), byID: make(map[string]int, len(plan)),
	}
}

// play submits everything and returns once every accepted task has finished.
// It calls update after each look at the list.
func (d *demoRun) play(ctx context.Context, concurrency int, update func()) error {
	ctx, cancel := context.WithCancel(ctx)
	var submitting sync.WaitGroup
	defer submitting.Wait()
	defer cancel()

	items := make(chan planItem)
	submitting.Go(func() {
		defer close(items)
		for _, item := range d.plan {
			select {
			case items <- item:
			case <-ctx.Done():
				return
			}
		}
	})
	for range concurrency {
		submitting.Go(func() {
			for item := range items {
				d.submit(ctx, item)
			}
		})
	}
	return d.follow(ctx, update)
}

func (d *demoRun) submit(ctx context.Context, item planItem) {
	t, err := d.client.Submit(ctx, item.req)
	d.mu.Lock()
	d.answered++
	if err != nil {
		d.entries[item.index].err = err
		d.mu.Unlock()
		return
	}
	d.entries[item.index].task = t
	d.byID[t.ID] = item.index
	if d.smallest == "" || t.ID < d.smallest {
		d.smallest = t.ID
	}
	d.mu.Unlock()
	if item.kind.cancel {
		if _, err := d.client.Cancel(ctx, t.ID); err != nil {
			d.mu.Lock()
			d.entries[item.index].err = fmt.Errorf("cancel: %w", err)
			d.mu.Unlock()
		}
	}
}

// follow looks at the list until all is done.
func (d *demoRun) follow(ctx context.Context, update func()) error {
	tick := time.NewTicker(d.pace.poll)
	defer tick.Stop()
	var quietSince time.Time
	for {
		if err := d.refresh(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		update()
		switch p := d.progress(); {
		case p.answered == len(d.plan) && p.finished == p.accepted:
			return nil
		case p.answered == len(d.plan) && p.listed < p.accepted && p.finished == p.listed:
			// All that the list shows has finished, and it does not show all. An
			// index may lag for a moment; tasks that stay away are a finding.
			if quietSince.IsZero() {
				quietSince = time.Now()
			} else if time.Since(quietSince) > d.pace.settle {
				return nil
			}
		default:
			quietSince = time.Time{}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// refresh reads the list as far back as this run's oldest task.
func (d *demoRun) refresh(ctx context.Context) error {
	d.mu.Lock()
	smallest := d.smallest
	d.mu.Unlock()
	if smallest == "" {
		return nil // nothing accepted yet
	}
	for t, err := range d.client.All(ctx, client.ListRequest{Type: "webhook.deliver"}) {
		if err != nil {
			return fmt.Errorf("list the tasks: %w", err)
		}
		if t.ID < smallest {
			break // newest first, and ids sort by creation
		}
		d.mu.Lock()
		if i, ours := d.byID[t.ID]; ours {
			e := &d.entries[i]
			// A page may be read from a replica that is behind.
			if !e.listed || !e.task.Status.Finished() || t.Status.Finished() {
				e.task = t
			}
			e.listed = true
		}
		d.mu.Unlock()
	}
	return nil
}

// demoProgress is how far a run has come.
type demoProgress struct {
	answered, accepted, listed, finished int
	byStatus                             map[client.Status]int
}

func (d *demoRun) progress() demoProgress {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := demoProgress{answered: d.answered, byStatus: map[client.Status]int{}}
	for _, e := range d.entries {
		if e.task == nil {
			continue
		}
		p.accepted++
		p.byStatus[e.task.Status]++
		if e.listed {
			p.listed++
		}
		if e.listed && e.task.Status.Finished() {
			p.finished++
		}
	}
	return p
}

// snapshot returns the entries as they are.
func (d *demoRun) snapshot() []entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]entry(nil), d.entries...)
}
