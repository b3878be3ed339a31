package redrive

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// Filter selects dead letters or tasks: all that is given must match. The zero
// value matches all. Its JSON form has durations as Go writes them:
//
//	{"type":"webhook.deliver","error_contains":"http_500","older_than":"10m"}
type Filter struct {
	Type   string
	Tenant string
	// ErrorContains is looked for in "code: message", in any case of letters.
	ErrorContains string
	// OlderThan and NewerThan bound the age, which counts from when a message was
	// sent to the queue (for one that SQS moved: to its first queue), or a task
	// failed. 0 means no bound.
	OlderThan time.Duration
	NewerThan time.Duration
	// IDs are task ids or message ids. Empty means all.
	IDs []string
	// Status is for retries only: failed or dead_lettered; both when empty.
	Status task.Status
}

// MaxIDs bounds the ids of a [Filter], and MaxText each of its texts.
const (
	MaxIDs  = 1000
	MaxText = 256
)

// filterJSON is the JSON form of a Filter.
type filterJSON struct {
	Type          string      `json:"type,omitempty"`
	Tenant        string      `json:"tenant,omitempty"`
	ErrorContains string      `json:"error_contains,omitempty"`
	OlderThan     string      `json:"older_than,omitempty"`
	NewerThan     string      `json:"newer_than,omitempty"`
	IDs           []string    `json:"ids,omitempty"`
	Status        task.Status `json:"status,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (f Filter) MarshalJSON() ([]byte, error) {
	j := filterJSON{Type: f.Type, Tenant: f.Tenant, ErrorContains: f.ErrorContains, IDs: f.IDs, Status: f.Status}
	if f.OlderThan > 0 {
		j.OlderThan = f.OlderThan.String()
	}
	if f.NewerThan > 0 {
		j.NewerThan = f.NewerThan.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON implements [json.Unmarshaler]. A field that no filter has is an
// error that names those there are.
func (f *Filter) UnmarshalJSON(text []byte) error {
	var j filterJSON
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](task.Decode(text, &j)); ok {
		return fmt.Errorf("filter: %q is of the wrong type: %s", wrong.Field, wrong.Value)
	}
	j = filterJSON{}
	if err := task.Decode(text, &j); err != nil {
		return fmt.Errorf("filter: %s: it has type, tenant, error_contains, older_than, newer_than, ids and, for task.retry, status",
			strings.TrimPrefix(err.Error(), "json: "))
	}
	*f = Filter{Type: j.Type, Tenant: j.Tenant, ErrorContains: j.ErrorContains, IDs: j.IDs, Status: j.Status}
	for _, d := range []struct {
		name, text string
		to         *time.Duration
	}{{"older_than", j.OlderThan, &f.OlderThan}, {"newer_than", j.NewerThan, &f.NewerThan}} {
		if d.text == "" {
			continue
		}
		parsed, err := time.ParseDuration(d.text)
		if err != nil || parsed <= 0 {
			return fmt.Errorf("filter: %s is not a duration above 0 such as 90s or 15m", d.name)
		}
		*d.to = parsed
	}
	return nil
}

// check refuses what can match nothing by its form.
func (f *Filter) check(statuses ...task.Status) error {
	switch {
	case len(f.IDs) > MaxIDs:
		return invalid("the filter has %d ids, at most %d are taken", len(f.IDs), MaxIDs)
	case slices.ContainsFunc(f.IDs, func(id string) bool { return id == "" || len(id) > 128 }):
		return invalid("the filter has an id that is empty or longer than 128 bytes")
	case max(len(f.Type), len(f.Tenant), len(f.ErrorContains)) > MaxText:
		return invalid("a text of the filter is longer than %d bytes", MaxText)
	case f.OlderThan < 0 || f.NewerThan < 0:
		return invalid("the filter has a negative age")
	case f.OlderThan > 0 && f.NewerThan > 0 && f.OlderThan >= f.NewerThan:
		return invalid("no message is older than %s and newer than %s", f.OlderThan, f.NewerThan)
	case f.Status != "" && !slices.Contains(statuses, f.Status):
		if len(statuses) == 0 {
			return invalid("status is for task.retry only")
		}
		return invalid("status is %q; it is failed or dead_lettered", task.CleanText(string(f.Status), 32))
	}
	return nil
}

// Empty reports whether f matches all.
func (f *Filter) Empty() bool {
	return f.Type == "" && f.Tenant == "" && f.ErrorContains == "" && f.OlderThan == 0 && f.NewerThan == 0 && len(f.IDs) == 0 && f.Status == ""
}

// matches reports whether f selects s; ages count until now.
func (f *Filter) matches(s subject, now time.Time) bool {
	age := now.Sub(s.at)
	return (f.Type == "" || f.Type == s.typ) && (f.Tenant == "" || f.Tenant == s.tenant) &&
		(f.ErrorContains == "" || strings.Contains(strings.ToLower(s.reason), strings.ToLower(f.ErrorContains))) &&
		(f.OlderThan == 0 || age > f.OlderThan) && (f.NewerThan == 0 || age < f.NewerThan) &&
		(len(f.IDs) == 0 || slices.ContainsFunc(f.IDs, func(id string) bool { return id == s.ids[0] || id == s.ids[1] }))
}
