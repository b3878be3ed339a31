package task_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/task"
)

func TestOutcomesThroughWrapping(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(error) error{
		"as it is":   func(err error) error { return err },
		"fmt.Errorf": func(err error) error { return fmt.Errorf("deliver: %w", err) },
		"join":       func(err error) error { return errors.Join(io.ErrClosedPipe, err) },
		"coded":      func(err error) error { return task.Code("broken", err) },
		"deep":       func(err error) error { return fmt.Errorf("a: %w", fmt.Errorf("b: %w", task.Code("c", err))) },
	} {
		if err := wrap(task.Permanent(io.ErrUnexpectedEOF)); !task.IsPermanent(err) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v is not permanent, or hides its cause", name, err)
		}
		err := wrap(task.RetryAfter(time.Minute, io.ErrUnexpectedEOF))
		if d, ok := task.RetryDelay(err); !ok || d != time.Minute || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: RetryDelay(%v) = %s, %t", name, err, d, ok)
		}
		for _, sentinel := range []error{task.ErrDeferred, task.ErrYield, task.ErrCanceled, task.ErrLeaseLost} {
			if !errors.Is(wrap(sentinel), sentinel) {
				t.Errorf("%s: %v is not found", name, sentinel)
			}
		}
	}
}

func TestOutcomesOfNothing(t *testing.T) {
	t.Parallel()
	if err := task.Permanent(nil); err != nil {
		t.Errorf("Permanent(nil) = %v", err)
	}
	if err := task.Code("x", nil); err != nil {
		t.Errorf("Code(nil) = %v", err)
	}
	err := task.RetryAfter(time.Second, nil)
	if d, ok := task.RetryDelay(err); !ok || d != time.Second || err.Error() == "" {
		t.Errorf("RetryAfter(nil) = %v", err)
	}
	if d, ok := task.RetryDelay(task.RetryAfter(-time.Second, nil)); !ok || d != 0 {
		t.Errorf("a negative delay = %s, %t; want 0", d, ok)
	}
	for _, err := range []error{nil, io.EOF, task.ErrDeferred, task.ErrYield} {
		if _, ok := task.RetryDelay(err); ok || task.IsPermanent(err) {
			t.Errorf("%v asks for something", err)
		}
	}
}

func TestFailureOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want task.Failure
	}{
		{"plain", errors.New("no"), task.Failure{Code: task.CodeHandlerError, Message: "no", Retryable: true}},
		{"permanent", task.Permanent(errors.New("no")), task.Failure{Code: task.CodeHandlerError, Message: "no"}},
		{"coded", task.Code("gone", errors.New("no")), task.Failure{Code: "gone", Message: "no", Retryable: true}},
		{"permanent in coded", task.Code("gone", task.Permanent(errors.New("no"))), task.Failure{Code: "gone", Message: "no"}},
		{"coded in permanent", task.Permanent(task.Code("gone", errors.New("no"))), task.Failure{Code: "gone", Message: "no"}},
		{"the outermost code", task.Code("outer", task.Code("inner", errors.New("no"))), task.Failure{Code: "outer", Message: "no", Retryable: true}},
		{"deadline", fmt.Errorf("call: %w", context.DeadlineExceeded), task.Failure{Code: task.CodeTimeout, Message: "call: context deadline exceeded", Retryable: true}},
		{"coded deadline", task.Code("slow", context.DeadlineExceeded), task.Failure{Code: "slow", Message: "context deadline exceeded", Retryable: true}},
		{"panic", fmt.Errorf("run: %w", &task.PanicError{Value: "index", Stack: []byte("secret.go:17")}), task.Failure{Code: task.CodePanic, Message: "run: panic: index", Retryable: true}},
		{"illegal characters", errors.New("a\x00b\x1bc\xffd\ufffe\U0001f600\te\n"), task.Failure{Code: task.CodeHandlerError, Message: "a\ufffdb\ufffdc\ufffdd\ufffd\U0001f600\te\n", Retryable: true}},
		{"illegal code", task.Code("a\x00", errors.New("no")), task.Failure{Code: "a\ufffd", Message: "no", Retryable: true}},
	} {
		if got := task.FailureOf(tt.err); got != tt.want {
			t.Errorf("%s: FailureOf = %+v, want %+v", tt.name, got, tt.want)
		}
	}
	long := task.FailureOf(task.Code(strings.Repeat("c", 500), errors.New(strings.Repeat("☃", 500))))
	if len(long.Code) > 64 || len(long.Message) > 400 || !utf8.ValidString(long.Message) || !strings.HasSuffix(long.Message, "…") {
		t.Errorf("bounded to %d and %d bytes: %q", len(long.Code), len(long.Message), long.Message)
	}
}

// legal reports whether SQS accepts a character.
func legal(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

func checkCleanText(t rapid.TB, s string, limit int) {
	t.Helper()
	got := task.CleanText(s, limit)
	if len(got) > max(limit, 0) {
		t.Fatalf("CleanText(%q, %d) = %q: %d bytes", s, limit, got, len(got))
	}
	if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !legal(r) }) {
		t.Fatalf("CleanText(%q, %d) = %q: not what SQS accepts", s, limit, got)
	}
	if whole := task.CleanText(task.CleanText(s, 3*len(s)), limit); got != whole {
		t.Fatalf("CleanText(%q, %d) = %q, and of the whole text cleaned first %q", s, limit, got, whole)
	}
	if again := task.CleanText(got, limit); again != got {
		t.Fatalf("CleanText(%q, %d) = %q, the second time %q", s, limit, got, again)
	}
	clean := utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !legal(r) })
	if clean && len(s) <= limit && got != s {
		t.Fatalf("CleanText(%q, %d) = %q: nothing was wrong with it", s, limit, got)
	}
	if cut, ok := strings.CutSuffix(got, "…"); clean && len(s) > limit && limit >= 3 && (!ok || !strings.HasPrefix(s, cut)) {
		t.Fatalf("CleanText(%q, %d) = %q: not its beginning", s, limit, got)
	}
}

func TestCleanText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.String(), rapid.StringOf(rapid.Rune()), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		).Draw(t, "s")
		checkCleanText(t, s, rapid.IntRange(-1, 50).Draw(t, "limit"))
	})
}

// What a handler panics with may quote its input: logs show the type, and the
// text of the runtime's own errors.
func TestPanicErrorInLogs(t *testing.T) {
	t.Parallel()
	var index any
	func() {
		defer func() { index = recover() }()
		_ = []int{}[len(t.Name())] // out of range
	}()
	for _, tt := range []struct {
		value any
		want  string
	}{
		{"hunter2", "panic: a value of type string"},
		{errors.New("hunter2"), "panic: a value of type *errors.errorString"},
		{index, "panic: runtime error: index out of range [20] with length 0"},
	} {
		var text strings.Builder
		slog.New(slog.NewTextHandler(&text, nil)).Error("failed", slog.Any("error", &task.PanicError{Value: tt.value}))
		if !strings.Contains(text.String(), `error="`+tt.want+`"`) {
			t.Errorf("%v: logged %s, want %s", tt.value, text.String(), tt.want)
		}
	}
}
