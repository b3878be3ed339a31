package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
)

// taskRequest is the body of POST /tasks. What was not given is nil.
type taskRequest struct {
	Type     string
	Input    json.RawMessage
	Priority task.Priority
	Deadline *instant
	TTL      *duration
	Delay    duration
	Callback address
}

// field is where a member of the body goes and what it has to be.
type field struct {
	into any
	form string
}

// fields are all members that a body may have.
func (t *taskRequest) fields() map[string]field {
	return map[string]field{
		"type":         {&t.Type, "the name of a task type"},
		"input":        {&t.Input, "a JSON value"},
		"priority":     {&t.Priority, `"normal" or "bulk"`},
		"deadline":     {&t.Deadline, `an RFC 3339 time such as "2026-01-31T12:00:00Z"`},
		"ttl":          {&t.TTL, `a duration such as "90s" or "15m"`},
		"delay":        {&t.Delay, `a duration such as "90s" or "15m"`},
		"callback_url": {&t.Callback, "a URL that begins with https:// or http://"},
	}
}

// duration is a Go duration string in JSON.
type duration time.Duration

func (d *duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(s)
	*d = duration(parsed)
	return err
}

// instant is an RFC 3339 time in JSON.
type instant time.Time

// strictTime is what [time.Parse] is too lenient about: it takes hours of one
// digit, commas and offsets of a day and more.
var strictTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func (i *instant) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	s = strings.ToUpper(s) // RFC 3339 allows "t" and "z"
	if !strictTime.MatchString(s) {
		return errNotTime
	}
	parsed, err := time.Parse(time.RFC3339Nano, s)
	*i = instant(parsed)
	return err
}

var errNotTime = errors.New("not an RFC 3339 time")

// address is a URL in JSON that is given, so not empty; package intake judges
// the rest.
type address string

func (a *address) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if s == "" {
		return errNoAddress
	}
	*a = address(s)
	return nil
}

var errNoAddress = errors.New("an empty address")

// decodeTask reads a body more strictly than package json does: names in
// exactly their spelling, each once, and nothing but the input may be null.
// Whatever a client meant by something else, it is not what would happen.
func decodeTask(body []byte) (*taskRequest, error) {
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, invalid("the body is not JSON: %v", err)
	}
	t := new(taskRequest)
	fields, seen := t.fields(), map[string]bool{}
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, invalid("the body is not a JSON object")
	}
	for dec.More() {
		name, value, err := member(dec)
		if err != nil {
			return nil, invalid("the body is not JSON: %v", err)
		}
		f, known := fields[name]
		switch {
		case !known:
			return nil, invalid("%q is not a field of a task; the fields are %s", name, strings.Join(fieldNames, ", "))
		case seen[name]:
			return nil, invalid("%q is there twice", name)
		case f.into != &t.Input && string(value) == "null":
			return nil, invalid("%q is null; leave it out instead", name)
		}
		if err := json.Unmarshal(value, f.into); err != nil {
			return nil, invalid("%q is not %s", name, f.form)
		}
		if name == "priority" && t.Priority == "" {
			return nil, invalid("%q is empty; it is %s", name, f.form)
		}
		seen[name] = true
	}
	return t, nil
}

var fieldNames = slices.Sorted(maps.Keys(new(taskRequest).fields()))

var errName = errors.New("a member's name is not a string")

// member reads the next member of an object.
func member(dec *json.Decoder) (name string, value json.RawMessage, err error) {
	token, err := dec.Token()
	if err != nil {
		return "", nil, err
	}
	name, ok := token.(string)
	if !ok {
		return "", nil, errName
	}
	err = dec.Decode(&value)
	return name, value, err
}

// request is t for package intake, without a tenant.
func (t *taskRequest) request() intake.Request {
	return intake.Request{
		Type: t.Type, Input: t.Input, Priority: t.Priority, Deadline: (*time.Time)(t.Deadline),
		TTL: (*time.Duration)(t.TTL), Delay: time.Duration(t.Delay), CallbackURL: string(t.Callback),
	}
}
