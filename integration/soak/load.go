package main

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"
)

// submitters is how many tasks are handed in at a time. More would only queue
// in the local AWS, which does one thing at a time.
const submitters = 12

// load hands the planned tasks in at an even rate over a time, every so
// manieth of them by HTTP. It returns when the last one was answered.
func (s *stack) load(ctx context.Context, l *ledger, base string, over time.Duration, httpEvery int) error {
	// The API names the tenant after the caller; the rest joins it.
	first, err := s.byHTTP(ctx, base+"0")
	if err != nil {
		return err
	}
	l.accept(0, first.ID, true, nil)

	n := len(l.entries)
	began := time.Now()
	next := make(chan int)
	var running sync.WaitGroup
	for range submitters {
		running.Go(func() {
			for i := range next {
				url := base + strconv.Itoa(i)
				if httpEvery > 0 && i%httpEvery == 0 {
					t, err := s.byHTTP(ctx, url)
					id := ""
					if err == nil {
						id = t.ID
					}
					l.accept(i, id, true, err)
					continue
				}
				id, err := s.byIntake(ctx, first.Tenant, url)
				l.accept(i, id, false, err)
			}
		})
	}
	defer running.Wait()
	defer close(next)
	for i := 1; i < n; i++ {
		due := time.Until(began.Add(over * time.Duration(i) / time.Duration(n)))
		if due > 0 {
			if err := sleep(ctx, due); err != nil {
				return err
			}
		}
		select {
		case next <- i:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), context.Cause(ctx))
	}
}
