package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/task"
)

type order struct {
	ID    string   `json:"id"`
	Count int      `json:"count"`
	Tags  []string `json:"tags"`
}

var errNoID = errors.New("id is missing")

func (o *order) Validate() error {
	if o.ID == "" {
		return errNoID
	}
	return nil
}

type receipt struct {
	Total int `json:"total"`
}

// shop is a mux with handlers that answer, fail and panic.
func shop() *task.Mux {
	m := task.NewMux()
	task.Handle(m, "order.place", func(_ context.Context, in order) (receipt, error) { return receipt{in.Count * 3}, nil })
	task.Handle(m, "order.pointer", func(_ context.Context, in *order) (*receipt, error) { return &receipt{in.Count}, nil }, task.Concurrency(4))
	task.Handle(m, "order.fail", func(context.Context, order) (receipt, error) { return receipt{7}, io.ErrUnexpectedEOF })
	task.Handle(m, "order.panic", func(context.Context, order) (receipt, error) { panic("broken") })
	task.Handle(m, "order.channel", func(context.Context, order) (chan int, error) { return make(chan int), nil })
	task.Handle(m, "any", func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil }, task.Concurrency(-3))
	return m
}

func TestRun(t *testing.T) {
	t.Parallel()
	m := shop()
	for _, tt := range []struct{ kind, input, want string }{
		{"order.place", `{"id":"a","count":2,"tags":null}`, `{"total":6}`},
		{"order.place", " {\"id\":\"a\"}\n", `{"total":0}`},
		{"order.pointer", `{"id":"a","count":2}`, `{"total":2}`},
		{"any", `[1, {"b":"c"}]`, `[1,{"b":"c"}]`},
	} {
		got, err := m.Run(t.Context(), tt.kind, json.RawMessage(tt.input))
		if err != nil || string(got) != tt.want {
			t.Errorf("Run(%s, %s) = %s, %v; want %s", tt.kind, tt.input, got, err, tt.want)
		}
		if err := m.Check(tt.kind, json.RawMessage(tt.input)); err != nil {
			t.Errorf("Check(%s, %s) = %v", tt.kind, tt.input, err)
		}
	}
	if got, err := m.Run(t.Context(), "order.fail", json.RawMessage(`{"id":"a"}`)); !errors.Is(err, io.ErrUnexpectedEOF) || got != nil || task.IsPermanent(err) {
		t.Errorf("a handler's error: %s, %v", got, err)
	}
	if _, err := m.Run(t.Context(), "order.channel", json.RawMessage(`{"id":"a"}`)); !task.IsPermanent(err) {
		t.Errorf("a result that is no JSON: %v, want a permanent error", err)
	}
	defer func() {
		if r := recover(); r != "broken" {
			t.Errorf("recovered %v, want the handler's own panic", r)
		}
	}()
	_, _ = m.Run(t.Context(), "order.panic", json.RawMessage(`{"id":"a"}`))
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	m := shop()
	for name, input := range map[string]string{
		"nothing":        ``,
		"white space":    " \n",
		"null":           `null`,
		"null, padded":   " null\n",
		"unknown field":  `{"id":"a","cuont":1}`,
		"wrong type":     `{"id":"a","count":"1"}`,
		"a fraction":     `{"id":"a","count":1.5}`,
		"an array":       `[{"id":"a"}]`,
		"a string":       `"a"`,
		"two values":     `{"id":"a"} {"id":"b"}`,
		"a brace more":   `{"id":"a"} }`,
		"a comma more":   `{"id":"a"},`,
		"a brace less":   `{"id":"a"`,
		"no JSON":        `id=a`,
		"not valid":      `{"count":1}`,
		"nested unknown": `{"id":"a","tags":[{"x":1}]}`,
	} {
		for _, kind := range []string{"order.place", "order.pointer", "order.panic"} {
			if err := m.Check(kind, json.RawMessage(input)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("%s: Check(%s) = %v, want an error that says what is wrong", name, kind, err)
			}
			_, err := m.Run(t.Context(), kind, json.RawMessage(input))
			if f := task.FailureOf(orEOF(err)); f.Code != task.CodeInvalidInput || f.Retryable {
				t.Errorf("%s: Run(%s) = %v, want a permanent invalid_input", name, kind, err)
			}
		}
	}
	if err := m.Check("order.place", json.RawMessage(`{"count":1}`)); !errors.Is(err, errNoID) {
		t.Errorf("Check = %v, want the validator's error", err)
	}
}

// orEOF keeps FailureOf from a nil.
func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

func TestUnknownType(t *testing.T) {
	t.Parallel()
	m := shop()
	name := "order.\x00" + strings.Repeat("x", 100)
	err := m.Check(name, json.RawMessage(`{}`))
	if !errors.Is(err, task.ErrUnknownType) || !strings.Contains(err.Error(), "order.place") || strings.Contains(err.Error(), "\x00") {
		t.Errorf("Check = %v, want it to list the known types", err)
	}
	_, err = m.Run(t.Context(), name, json.RawMessage(`{}`))
	if f := task.FailureOf(orEOF(err)); !errors.Is(err, task.ErrUnknownType) || f.Code != task.CodeUnknownType || !f.Retryable {
		t.Errorf("Run = %v, want it retryable: a newer function may know it", err)
	}
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	m := shop()
	want := []string{"any", "order.channel", "order.fail", "order.panic", "order.place", "order.pointer"}
	if d := cmp.Diff(m.Types(), want); d != "" {
		t.Errorf("Types (-got +want):\n%s", d)
	}
	for kind, want := range map[string]int{"order.place": 1, "order.pointer": 4, "any": 1, "unknown": 1} {
		if got := m.Concurrency(kind); got != want {
			t.Errorf("Concurrency(%s) = %d, want %d", kind, got, want)
		}
	}
	for _, name := range []string{
		"order.place", "", "Order", "order.", ".order", "order..place", "order-place", "1order", "order place", "örder", "a\n",
		strings.Repeat("a", 65),
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Handle(%q) does not panic", name)
				}
			}()
			task.Handle(m, name, func(context.Context, order) (receipt, error) { return receipt{}, nil })
		}()
	}
	for _, name := range []string{"a", "a1.b_2.c", strings.Repeat("a", 64)} {
		task.Handle(m, name, func(context.Context, order) (receipt, error) { return receipt{}, nil })
	}
}

func TestLegalType(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "webhook.deliver": true, "a_1.b2._": false, "a1_.b": true, "a.b.c": true, strings.Repeat("a", task.MaxType): true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "1a": false, "_a": false, "A": false, "a-b": false,
		"a b": false, "a.1": false, "ä": false, "a\n": false, strings.Repeat("a", task.MaxType+1): false,
	} {
		if got := task.LegalType(name); got != want {
			t.Errorf("LegalType(%q) = %t", name, got)
		}
	}
}

func TestVisibleASCII(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"!": true, "~": true, "abcd": true, "": false, "abcde": false, "a b": false, "a\x7f": false, "\t": false, "é": false, "a\xff": false,
	} {
		if got := task.VisibleASCII(s, 4); got != want {
			t.Errorf("VisibleASCII(%q, 4) = %t", s, got)
		}
	}
}
