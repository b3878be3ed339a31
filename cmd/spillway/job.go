package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// findJob reads one job, with up to limit of its messages.
func (o *operator) findJob(ctx context.Context, id string, limit int) (*adminapi.Job, json.RawMessage, error) {
	found, raw, err := ask(ctx, o, adminapi.DLQJob, adminapi.DLQJobsRequest{JobID: id, Max: limit})
	if err != nil {
		return nil, raw, err
	}
	return found.Job, raw, nil
}

// resumable reports whether a job can go on where it ended.
func resumable(j *adminapi.Job) bool {
	switch j.Status {
	case adminapi.JobStopped, adminapi.JobStopping, adminapi.JobStalled, adminapi.JobRunning:
		return true
	default:
		return false
	}
}

// counted is how many of what in words, "12 replayed, 3 skipped".
func counted(j *adminapi.Job) string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(j.Replayed, "replayed")
	add(j.Quarantined, "moved to quarantine")
	add(j.Restored, "restored")
	add(j.Resolved, "dealt with")
	add(j.Skipped-j.Dropped, "skipped")
	add(j.Dropped, "dropped, their tasks have ended")
	add(j.Failed, "not sent")
	if len(parts) == 0 {
		return "nothing yet"
	}
	return strings.Join(parts, ", ")
}

// ranked lists counts, the largest first.
func ranked[K ~string](counts map[K]int) [][]string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		if d := counts[b] - counts[a]; d != 0 {
			return d
		}
		return cmp.Compare(a, b)
	})
	rows := make([][]string, len(keys))
	for i, k := range keys {
		rows[i] = []string{fmt.Sprint(counts[k]), clean(string(k))}
	}
	return rows
}

// quantity is n of something, "1 message", "2 messages".
func quantity(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
