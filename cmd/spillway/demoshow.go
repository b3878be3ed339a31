package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// showSummary writes how a demonstration ended.
func (a *app) showSummary(s *summary) error {
	if a.json() {
		return writeJSON(a.out, s)
	}
	p := &printer{w: a.out}
	elapsed := shortDuration(time.Duration(s.ElapsedMS) * time.Millisecond)
	if s.Complete {
		p.printf("\n%d tasks finished in %s\n\n", s.Finished, elapsed)
	} else {
		p.printf("\nbroken off after %s: %d of %d tasks submitted, %d finished\n\n", elapsed, s.Accepted, s.Tasks, s.Finished)
	}

	ms := func(n int64) string {
		if n == 0 {
			return "-"
		}
		return shortDuration(time.Duration(n) * time.Millisecond)
	}
	rows := make([][]string, len(s.Statuses))
	for i, r := range s.Statuses {
		rows[i] = []string{string(r.Status), fmt.Sprint(r.Count), ms(r.P50MS), ms(r.P99MS)}
	}
	p.table(0, []column{
		{title: "STATUS"}, {title: "TASKS", right: true}, {title: "P50", right: true}, {title: "P99", right: true},
	}, rows)
	p.printf("P50 and P99: from submit to result\n\n")

	parts := make([]string, len(s.Attempts))
	for i, c := range s.Attempts {
		parts[i] = fmt.Sprintf("%d × %d", c.Attempts, c.Tasks)
	}
	if len(parts) > 0 {
		p.printf("Attempts (attempts × tasks): %s\n", strings.Join(parts, ", "))
	}
	p.printf("Receiver: %d requests, %d tasks delivered, %d distinct webhook-ids\n",
		s.Receiver.Requests, s.Receiver.Delivered, s.Receiver.WebhookIDs)

	if len(s.DeadLetters) > 0 {
		p.printf("\nIn the dead-letter queue:\n")
		for _, g := range s.DeadLetters {
			p.printf("  %d × %s: %s (for example %s)\n", g.Count, clean(g.Code), clean(g.Message), g.Example)
		}
	}
	switch {
	case len(s.Problems) > 0:
		p.printf("\nThis should not be:\n")
		for _, text := range s.Problems {
			p.printf("  - %s\n", clean(text))
		}
	case s.Complete:
		p.printf("\nThe API and the receiver agree, and every task ended as planned.\n")
	}
	a.tryNext(p, s)
	return p.err
}

// tryNext ends with commands that work as they stand.
func (a *app) tryNext(p *printer, s *summary) {
	if s.sample == "" {
		return
	}
	flags := ""
	add := func(name, value string) { flags += " --" + name + " " + quote(value) }
	if a.flags.apiURL != "" {
		add("api-url", a.flags.apiURL)
	} else if a.flags.stack != "spillway" {
		add("stack", a.flags.stack)
	}
	if a.flags.region != "" {
		add("region", a.flags.region)
	}
	if a.flags.profile != "" {
		add("profile", a.flags.profile)
	}
	p.printf("\nTry next:\n")
	if a.target.endpoint != "" {
		p.printf("  export AWS_ENDPOINT_URL=%s\n", quote(a.target.endpoint))
	}
	p.printf("  %s get %s%s\n", a.program, s.sample, flags)
	p.printf("  %s list --status %s%s\n", a.program, client.DeadLettered, flags)
	p.printf("  %s demo --tasks 20%s\n", a.program, flags)
	p.printf("  %s doctor%s\n", a.program, flags)
	if a.target.local {
		p.printf("  make down\n")
	}
}

// quote makes s one word for a shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
