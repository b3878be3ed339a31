package workqueuetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// TestOpen is about queues that SQS does not create.
func TestOpen(t *testing.T) {
	type options = workqueuetest.QueueOptions
	sources := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprint("source", i))
		}
		return names
	}
	const badAttribute = "InvalidAttributeValue"
	tests := map[string]struct {
		name string // "a" unless given
		o    options
		code string
	}{
		"defaults":                        {},
		"a name with a period":            {name: "a.b", code: badValue},
		"a name of 81":                    {name: fmt.Sprintf("%081d", 1), code: badValue},
		"a visibility of 12 h":            {o: options{Visibility: 12 * time.Hour}},
		"a longer visibility":             {o: options{Visibility: 12*time.Hour + time.Second}, code: badAttribute},
		"a retention of 14 days":          {o: options{Retention: 14 * day}},
		"a longer retention":              {o: options{Retention: 14*day + time.Second}, code: badAttribute},
		"a retention of 59 s":             {o: options{Retention: 59 * time.Second}, code: badAttribute},
		"messages of 1 MiB":               {o: options{MaxBytes: 1 << 20}},
		"larger messages":                 {o: options{MaxBytes: 1<<20 + 1}, code: badAttribute},
		"tiny messages":                   {o: options{MaxBytes: 1023}, code: badAttribute},
		"1,000 receives":                  {o: options{DeadLetter: "open", MaxReceives: 1000}},
		"more receives":                   {o: options{DeadLetter: "open", MaxReceives: 1001}, code: badValue},
		"a dead-letter queue, no count":   {o: options{DeadLetter: "open"}, code: badValue},
		"a count, no dead-letter queue":   {o: options{MaxReceives: 1}, code: badValue},
		"no such dead-letter queue":       {o: options{DeadLetter: "none", MaxReceives: 1}, code: prefix + "NonExistentQueue"},
		"a dead-letter queue of FIFO":     {o: options{DeadLetter: "open.fifo", MaxReceives: 1}, code: badValue},
		"a FIFO queue, not its letters":   {name: "a.fifo", o: options{DeadLetter: "open", MaxReceives: 1}, code: badValue},
		"both FIFO":                       {name: "a.fifo", o: options{DeadLetter: "open.fifo", MaxReceives: 1}},
		"a dead-letter queue that denies": {o: options{DeadLetter: "denies", MaxReceives: 1}, code: badValue},
		"not a source of it":              {o: options{DeadLetter: "picky", MaxReceives: 1}, code: badValue},
		"a source of it":                  {name: "source3", o: options{DeadLetter: "picky", MaxReceives: 1}},
		"ten sources":                     {o: options{Redrive: workqueuetest.ByQueue, Sources: sources(10)}},
		"eleven sources":                  {o: options{Redrive: workqueuetest.ByQueue, Sources: sources(11)}, code: badValue},
		"byQueue without sources":         {o: options{Redrive: workqueuetest.ByQueue}, code: badValue},
		"sources without byQueue":         {o: options{Sources: sources(1)}, code: badValue},
		"another permission":              {o: options{Redrive: "some"}, code: badValue},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := workqueuetest.New()
			s.Create("open", options{Redrive: workqueuetest.AllowAll})
			s.Create("open.fifo", options{})
			s.Create("denies", options{Redrive: workqueuetest.DenyAll})
			s.Create("picky", options{Redrive: workqueuetest.ByQueue, Sources: sources(10)})
			queue := "a"
			if tt.name != "" {
				queue = tt.name
			}
			got, err := s.Open(queue, tt.o)
			if code(err) != tt.code || err == nil && got != *url(queue) {
				t.Errorf("%q, %v, want %q", got, err, tt.code)
			}
			defer func() {
				if refused := recover() != nil; refused != (tt.code != "" && tt.o.DeadLetter != "none") {
					t.Errorf("Create refused: %v", refused)
				}
			}()
			s.Create(queue, tt.o)
		})
	}
}
