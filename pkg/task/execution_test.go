package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/task"
)

// notebook is a Reporter that keeps what it is told.
type notebook struct {
	progress []task.Advance
	states   []string
	err      error
}

func (n *notebook) Progress(_ context.Context, a task.Advance) error {
	n.progress = append(n.progress, a)
	return n.err
}

func (n *notebook) Checkpoint(_ context.Context, state json.RawMessage, a *task.Advance) error {
	if a != nil {
		n.progress = append(n.progress, *a)
	}
	n.states = append(n.states, string(state))
	return n.err
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	if got := task.IdempotencyKey(t.Context()); got != "" {
		t.Errorf("outside of a handler: %q", got)
	}
	keys := map[string]bool{}
	for run := range 3 {
		for attempt := range 4 {
			e := &task.Execution{ID: "01J", Run: run + 1, Attempt: attempt + 1}
			if got := task.IdempotencyKey(task.NewContext(t.Context(), e)); got != e.IdempotencyKey() {
				t.Errorf("key %q, want %q", got, e.IdempotencyKey())
			}
			keys[e.IdempotencyKey()] = true
		}
	}
	if d := cmp.Diff(keys, map[string]bool{"01J-1": true, "01J-2": true, "01J-3": true}); d != "" {
		t.Errorf("one key a run, whatever the attempt (-got +want):\n%s", d)
	}
}

func TestOutsideOfAWorker(t *testing.T) {
	t.Parallel()
	for _, ctx := range []context.Context{t.Context(), task.NewContext(t.Context(), &task.Execution{ID: "a"})} {
		if err := task.Progress(ctx, 1, 2, "x"); err != nil {
			t.Errorf("Progress = %v", err)
		}
		if err := task.Checkpoint(ctx, 1); err != nil {
			t.Errorf("Checkpoint = %v", err)
		}
		var state int
		if ok, err := task.Restore(ctx, &state); ok || err != nil {
			t.Errorf("Restore = %t, %v", ok, err)
		}
	}
	if e := task.Current(t.Context()); e == nil || e.ID != "" {
		t.Errorf("Current = %+v, want an empty execution", e)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	n := &notebook{}
	ctx := task.NewContext(t.Context(), &task.Execution{ID: "a", Reporter: n})
	if err := task.Progress(ctx, 3, 9, "three\x00"); err != nil {
		t.Fatal(err)
	}
	if err := task.Progress(ctx, 0, 0, strings.Repeat("☃", 100)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(n.progress[0], task.Advance{Done: 3, Total: 9, Note: "three\ufffd"}); d != "" {
		t.Error(d)
	}
	if note := n.progress[1].Note; len(note) > 120 || !utf8.ValidString(note) {
		t.Errorf("a long note has %d bytes: %q", len(note), note)
	}
	for _, bad := range [][2]int64{{-1, 3}, {1, -3}} {
		if err := task.Progress(ctx, bad[0], bad[1], ""); !task.IsPermanent(err) {
			t.Errorf("Progress(%d, %d) = %v, want a permanent error", bad[0], bad[1], err)
		}
	}
	if len(n.progress) != 2 {
		t.Errorf("what is refused was reported: %+v", n.progress)
	}
	n.err = task.ErrLeaseLost
	if err := task.Progress(ctx, 1, 1, ""); !errors.Is(err, task.ErrLeaseLost) {
		t.Errorf("Progress = %v, want the reporter's error", err)
	}
}

func TestCheckpointAt(t *testing.T) {
	t.Parallel()
	n := &notebook{}
	ctx := task.NewContext(t.Context(), &task.Execution{ID: "a", Reporter: n})
	if err := task.CheckpointAt(ctx, 7, task.Advance{Done: 3, Note: "three\x00"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(n, &notebook{progress: []task.Advance{{Done: 3, Note: "three\ufffd"}}, states: []string{"7"}}, cmp.AllowUnexported(notebook{})); d != "" {
		t.Errorf("reported (-got +want):\n%s", d)
	}
	for _, err := range []error{
		task.CheckpointAt(ctx, 8, task.Advance{Done: -1}),
		task.CheckpointAt(ctx, strings.Repeat("x", task.MaxState), task.Advance{}),
	} {
		if !task.IsPermanent(err) {
			t.Errorf("CheckpointAt = %v, want a permanent error", err)
		}
	}
	if len(n.states) != 1 {
		t.Errorf("what is refused was reported: %q", n.states)
	}
	if err := task.CheckpointAt(t.Context(), 7, task.Advance{}); err != nil {
		t.Errorf("outside of a handler: %v", err)
	}
}

func TestTimeLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if left := task.TimeLeft(t.Context()); left != math.MaxInt64 {
			t.Errorf("without a deadline: %v", left)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		time.Sleep(20 * time.Second)
		if left := task.TimeLeft(ctx); left != 40*time.Second {
			t.Errorf("after 20 s of a minute: %v", left)
		}
		if cancel(); task.TimeLeft(ctx) > 0 {
			t.Errorf("canceled: %v", task.TimeLeft(ctx))
		}
	})
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	n := &notebook{}
	ctx := task.NewContext(t.Context(), &task.Execution{ID: "a", Reporter: n})
	type cursor struct {
		Page int    `json:"page"`
		Next string `json:"next"`
	}
	if err := task.Checkpoint(ctx, cursor{7, "x"}); err != nil {
		t.Fatal(err)
	}
	atLimit := strings.Repeat("x", task.MaxState-2)
	if err := task.Checkpoint(ctx, atLimit); err != nil {
		t.Errorf("a state of %d bytes: %v", task.MaxState, err)
	}
	for name, state := range map[string]any{"too large": atLimit + "x", "no JSON": make(chan int)} {
		if err := task.Checkpoint(ctx, state); !task.IsPermanent(err) {
			t.Errorf("%s: %v, want a permanent error", name, err)
		}
		if err := task.Checkpoint(t.Context(), state); !task.IsPermanent(err) {
			t.Errorf("%s, in a test without a reporter: %v, want the same error", name, err)
		}
	}
	if len(n.states) != 2 || n.states[0] != `{"page":7,"next":"x"}` {
		t.Errorf("kept: %q", n.states)
	}
	n.err = task.ErrCanceled
	if err := task.Checkpoint(ctx, 1); !errors.Is(err, task.ErrCanceled) {
		t.Errorf("Checkpoint = %v, want the reporter's error", err)
	}

	next := task.NewContext(t.Context(), &task.Execution{ID: "a", Attempt: 2, State: json.RawMessage(n.states[0])})
	var got cursor
	if ok, err := task.Restore(next, &got); !ok || err != nil || got != (cursor{7, "x"}) {
		t.Errorf("Restore = %+v, %t, %v", got, ok, err)
	}
	var other []int
	if ok, err := task.Restore(next, &other); ok || !task.IsPermanent(err) {
		t.Errorf("Restore into another type = %t, %v; want a permanent error", ok, err)
	}
}
