package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// showTask writes one task.
func (a *app) showTask(t *client.Task) error {
	if a.json() {
		return writeJSON(a.out, t)
	}
	var rows [][]string
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, clean(value)})
		}
	}
	add("id", t.ID)
	add("type", t.Type)
	status := string(t.Status)
	if t.CancelRequested && !t.Status.Finished() {
		status += " (cancel requested)"
	}
	add("status", status)
	add("tenant", t.Tenant)
	add("priority", string(t.Priority))
	add("created", moments(t.CreatedAt))
	add("started", moments(t.StartedAt))
	add("finished", moments(t.FinishedAt))
	add("took", took(t))
	if !t.Status.Finished() {
		add("deadline", moments(t.Deadline))
	}
	add("attempts", strconv.Itoa(t.Attempts))
	add("progress", progress(t.Progress))
	if t.Error != nil {
		add("error", t.Error.Code+": "+t.Error.Message)
	}
	p := &printer{w: a.out}
	p.table(0, []column{{}, {}}, rows)
	if len(t.Result) > 0 {
		var buf bytes.Buffer
		if json.Indent(&buf, t.Result, "", "  ") != nil {
			buf.Reset()
			buf.Write(t.Result)
		}
		p.printf("result\n")
		for line := range strings.Lines(buf.String()) {
			p.printf("  %s\n", clean(strings.TrimRight(line, "\n")))
		}
	}
	return p.err
}

func moments(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	text := t.UTC().Format("2006-01-02 15:04:05.000") + " UTC"
	if d := time.Until(t); d > 0 {
		return text + " (in " + shortDuration(d) + ")"
	}
	return text + " (" + since(t) + " ago)"
}

// took is the time from submit to result.
func took(t *client.Task) string {
	if t.CreatedAt.IsZero() || t.FinishedAt.IsZero() {
		return ""
	}
	return shortDuration(t.FinishedAt.Sub(t.CreatedAt))
}

func progress(p *client.Progress) string {
	if p == nil {
		return ""
	}
	text := strconv.FormatInt(p.Done, 10)
	if p.Total > 0 {
		text = fmt.Sprintf("%d of %d", p.Done, p.Total)
	}
	if p.Note != "" {
		text += ", " + p.Note
	}
	return text
}
