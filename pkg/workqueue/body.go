package workqueue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/internal/jsonscan"
	"github.com/spillway-go/spillway/pkg/task"
)

// body is the JSON form of m, which must have passed check.
func (m *Message) body() (string, error) {
	b := make([]byte, 0, len(m.Input)+len(m.InputRef)+320)
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, Version, 10)
	b = appendText(append(b, `,"task_id":`...), m.TaskID)
	b = strconv.AppendInt(append(b, `,"run":`...), int64(m.Run), 10)
	b = appendText(append(b, `,"type":`...), m.Type)
	b = appendText(append(b, `,"tenant":`...), m.Tenant)
	b = appendText(append(b, `,"created_at":`...), task.At(m.CreatedAt).String())
	if !m.ReplayedAt.IsZero() {
		b = appendText(append(b, `,"replayed_at":`...), task.At(m.ReplayedAt).String())
	}
	b = appendText(append(b, `,"deadline":`...), task.At(m.Deadline).String())
	if len(m.Input) == 0 {
		b = appendText(append(b, `,"input_ref":`...), m.InputRef)
	} else {
		w := bytes.NewBuffer(append(b, `,"input":`...))
		if err := json.Compact(w, m.Input); err != nil {
			return "", fmt.Errorf("the input: %w", err)
		}
		b = w.Bytes()
	}
	return escapeRefused(string(append(b, '}'))), nil
}

// escapeRefused writes the characters that JSON allows and SQS refuses as
// escapes. Only inside of a JSON string can these two occur.
func escapeRefused(text string) string {
	text = strings.ReplaceAll(text, "\uFFFE", `\ufffe`)
	return strings.ReplaceAll(text, "\uFFFF", `\uffff`)
}

// appendText appends s, which is UTF-8, as a JSON string. It escapes no more
// than it must: six bytes for each < in a web page's text would burst the limit.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// members are the texts of the values that a body has under the names this
// version reads; empty without one.
type members struct {
	v, taskID, run, kind, tenant, createdAt, replayedAt, deadline, input, inputRef string
}

// of returns the place for the member called name, nil if this version does
// not read it.
func (m *members) of(name string) *string {
	switch name {
	case "v":
		return &m.v
	case "task_id":
		return &m.taskID
	case "run":
		return &m.run
	case "type":
		return &m.kind
	case "tenant":
		return &m.tenant
	case "created_at":
		return &m.createdAt
	case "replayed_at":
		return &m.replayedAt
	case "deadline":
		return &m.deadline
	case "input":
		return &m.input
	case "input_ref":
		return &m.inputRef
	default:
		return nil
	}
}

// read finds the members in text. Unlike encoding/json it tells names of
// different case apart and refuses one that occurs twice: two readers could
// take different values.
func (m *members) read(text string) error {
	s := jsonscan.New(text)
	if kind := s.Kind(); kind != '{' {
		s.Skip()
		s.End()
		if s.Err() == nil {
			return foreign("the body is not a JSON object")
		}
		return foreign("the body is not JSON")
	}
	twice := ""
	s.Object(func(name string) {
		place := m.of(name)
		switch {
		case place == nil:
			s.Skip()
		case *place != "":
			twice = name
			s.Skip()
		default:
			*place = s.Raw()
		}
	})
	s.End()
	switch {
	case s.Err() != nil:
		return foreign("the body is not JSON")
	case twice != "":
		return foreign("%s occurs twice", twice)
	default:
		return nil
	}
}

// field decodes one value after the other; its error is the first one's.
type field struct{ err error }

func (f *field) refuse(name, raw string) {
	switch {
	case f.err != nil:
	case raw == "":
		f.err = foreign("%s is missing", name)
	default:
		f.err = foreign("%s has the wrong type or form", name)
	}
}

func (f *field) number(name, raw string) int {
	n, err := strconv.Atoi(raw)
	if err != nil {
		f.refuse(name, raw)
	}
	return n
}

func (f *field) text(name, raw string) string {
	s := jsonscan.New(raw)
	v := s.String()
	if s.Err() != nil {
		f.refuse(name, raw)
	}
	return v
}

func (f *field) time(name, raw string) time.Time {
	text := f.text(name, raw)
	if f.err != nil {
		return time.Time{}
	}
	t, err := task.ParseTime(text)
	if err != nil {
		f.refuse(name, raw)
	}
	return t.Time
}

// given reports whether an optional member is there.
func given(raw string) bool { return raw != "" && raw != "null" }

// decodeBody reads a body for a program that knows the versions from oldest to
// newest.
func decodeBody(text string, oldest, newest int) (Message, error) {
	if len(text) > MaxBytes {
		return Message{}, foreign("the body has %d bytes", len(text))
	}
	var b members
	if err := b.read(text); err != nil {
		return Message{}, err
	}
	var f field
	m := Message{Version: f.number("v", b.v)}
	switch {
	case f.err != nil:
		return Message{}, f.err
	case m.Version < oldest || m.Version > maxVersion:
		return Message{}, foreign("v is %d", m.Version)
	case m.Version > newest:
		return Message{}, fmt.Errorf("%w: %d, known is %d", ErrNewerVersion, m.Version, newest)
	}
	m.TaskID = f.text("task_id", b.taskID)
	m.Run = f.number("run", b.run)
	m.Type = f.text("type", b.kind)
	m.Tenant = f.text("tenant", b.tenant)
	m.CreatedAt = f.time("created_at", b.createdAt)
	if given(b.replayedAt) {
		m.ReplayedAt = f.time("replayed_at", b.replayedAt)
	}
	m.Deadline = f.time("deadline", b.deadline)
	if given(b.inputRef) {
		m.InputRef = f.text("input_ref", b.inputRef)
	}
	if f.err != nil {
		return Message{}, f.err
	}
	if b.input != "" && (m.InputRef == "" || b.input != "null") {
		m.Input = json.RawMessage(b.input)
	}
	if err := m.check(); err != nil {
		return Message{}, &ForeignError{Reason: err.Error()}
	}
	return m, nil
}

// replaceRun returns the object in text with run as its member "run" and every
// other byte as it was, so that members added by a newer release survive. It
// reports false if text is not an object with exactly one such member.
func replaceRun(text string, run int) (string, bool) {
	s := jsonscan.New(text)
	from, to, found := 0, 0, 0
	s.Object(func(name string) {
		begin := s.Begin()
		s.Skip()
		if name == "run" {
			from, to = begin, begin+len(s.Since(begin))
			found++
		}
	})
	s.End()
	if s.Err() != nil || found != 1 {
		return "", false
	}
	return text[:from] + strconv.Itoa(run) + text[to:], true
}

func foreign(format string, args ...any) error {
	return &ForeignError{Reason: task.CleanText(fmt.Sprintf(format, args...), 200)}
}
