package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/pkg/task"
)

func (f *fixture) cancel(id string, changes ...func(*request)) reply {
	f.t.Helper()
	return f.do(event(f.t, "cancel", append([]func(*request){withID(id)}, changes...)...))
}

func TestCancel(t *testing.T) {
	t.Parallel()
	tests := []struct {
		from, want task.Status // want is empty when it is too late
		requested  bool
	}{
		{from: task.Queued, want: task.Canceled},
		{from: task.Running, want: task.Running, requested: true},
		{from: task.DeadLettered, want: task.Canceled},
		{from: task.Canceled, want: task.Canceled},
		{from: task.Succeeded},
		{from: task.Failed},
		{from: task.Expired},
	}
	for _, tt := range tests {
		t.Run(string(tt.from), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.submit().ID
			f.become(id, tt.from)
			for range 2 { // twice is once
				a := f.cancel(id)
				if tt.want == "" {
					if p := a.problem(http.StatusConflict, codeFinished); !strings.Contains(p.Detail, string(tt.from)) {
						t.Errorf("detail %q", p.Detail)
					}
					continue
				}
				if got := a.task(http.StatusOK); got.Status != tt.want || got.CancelRequested != tt.requested || got.ID != id {
					t.Errorf("answer %s", a.Body)
				}
			}
			want := tt.want
			if want == "" {
				want = tt.from
			}
			if got := f.get(id).task(http.StatusOK); got.Status != want {
				t.Errorf("afterwards the task is %s, want %s", got.Status, want)
			}
		})
	}
}

func TestCancelRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.submit().ID
	for name, a := range map[string]reply{
		"unknown":          f.cancel("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
		"malformed":        f.cancel("nonsense"),
		"lower case":       f.cancel(strings.ToLower(id)),
		"another tenant's": f.cancel(id, from("AIDAOTHER")),
		"the sample's":     f.invoke(t.Context(), http.MethodDelete, "/tasks/{id}", sample(t, "cancel")),
	} {
		if a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: answer %d %s", name, a.StatusCode, a.Body)
		}
	}
	if got := f.get(id).task(http.StatusOK); got.Status != task.Queued {
		t.Errorf("the task is %s", got.Status)
	}
}
