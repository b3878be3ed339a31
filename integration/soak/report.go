package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spillway-go/spillway/internal/awsproxy"
	"github.com/spillway-go/spillway/pkg/client"
)

// figures are what a run is remembered by.
type figures struct {
	rows [][2]string
}

func (f *figures) add(name, format string, args ...any) {
	f.rows = append(f.rows, [2]string{name, fmt.Sprintf(format, args...)})
}

// summarize works the figures out.
func (e *evidence) summarize(began time.Time, calls awsproxy.Counts, seed uint64) *figures {
	f := &figures{}
	var byHTTP, accepted, deliveries, extra, retries int
	for i := range e.entries {
		n := &e.entries[i]
		if n.id == "" {
			continue
		}
		accepted++
		if n.byHTTP {
			byHTTP++
		}
		deliveries += len(n.deliveries)
		extra += max(len(n.deliveries)-n.kind.attempts, 0)
	}
	ends := map[client.Status]int{}
	var latencies []time.Duration
	var last time.Time
	for _, t := range e.tasks {
		ends[t.Status]++
		retries += max(t.Attempts-1, 0)
		if t.Status.Finished() {
			latencies = append(latencies, t.FinishedAt.Sub(t.CreatedAt))
		}
		if t.FinishedAt.After(last) {
			last = t.FinishedAt
		}
	}
	slices.Sort(latencies)
	took := last.Sub(began)
	killed, lost := 0, 0
	for _, k := range e.kills {
		killed += k.processes
		lost += k.lost
	}
	f.add("seed", "%d", seed)
	f.add("tasks", "%d: %d by HTTP, %d by pkg/intake in this process", accepted, byHTTP, accepted-byHTTP)
	f.add("ends", "succeeded %d, failed %d, dead-lettered %d", ends[client.Succeeded], ends[client.Failed], ends[client.DeadLettered])
	f.add("duration", "%.1f s, from the first submission to the last end", took.Seconds())
	f.add("throughput", "%.0f tasks/s", float64(accepted)/max(took.Seconds(), 0.001))
	f.add("latency", "p50 %s, p99 %s, max %s, from acceptance to end", round(percentile(latencies, 50)), round(percentile(latencies, 99)), round(percentile(latencies, 100)))
	f.add("retries", "%d attempts after the first", retries)
	f.add("deliveries", "%d, of them %d more than planned", deliveries, extra)
	f.add("kills", "%d, of %d worker processes with %d deliveries under way", len(e.kills), killed, lost)
	f.add("dead letters", "%d", len(e.letters))
	e.memory(f)
	if accepted > 0 {
		per := func(n int) float64 { return float64(n) / float64(accepted) }
		d, s := calls.Of("dynamodb", ""), calls.Of("sqs", "")
		f.add("calls per task", "DynamoDB %.2f (%.2f writes), SQS %.2f, without the event source's own", per(d.Calls), per(d.Writes), per(s.Calls))
	}
	return f
}

// memory adds the figures of the worker that lived longest, and of all.
func (e *evidence) memory(f *figures) {
	var longest *life
	var most int64
	judged := 0
	for _, l := range e.lives {
		most = max(most, slices.Max(l.resident))
		if early, _ := l.thirds(); early > 0 {
			judged++
		}
		if longest == nil || l.to.Sub(l.from) > longest.to.Sub(longest.from) {
			longest = l
		}
	}
	if longest == nil {
		return
	}
	early, late := longest.thirds()
	f.add("resident memory", "%.1f → %.1f MiB, first to last third of the worker that lived longest, %.0f s",
		mib(early), mib(late), longest.to.Sub(longest.from).Seconds())
	f.add("", "at most %.1f MiB; growth above %.0f %% and %.0f MiB fails (held for %d of %d workers, those that lived %s)",
		mib(most), (growth-1)*100, mib(slack), judged, len(e.lives), warm)
}

// print writes the figures as a table.
func (f *figures) print(w io.Writer) {
	for _, row := range f.rows {
		say(w, "  %-16s %s", row[0], row[1])
	}
}

// percentile of sorted values, by nearest rank; 0 of none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*p+99)/100, 1)-1]
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// say writes a line. That nobody reads it any more is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...)
}
