package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

func (f *fixture) get(id string, changes ...func(*request)) reply {
	f.t.Helper()
	return f.do(event(f.t, "status", append([]func(*request){withID(id), withQuery()}, changes...)...))
}

func TestStatusOfEveryState(t *testing.T) {
	t.Parallel()
	for _, status := range task.Statuses {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.submit().ID
			f.become(id, status)
			a := f.get(id)
			got := a.task(http.StatusOK)
			if got.Status != status || got.ID != id {
				t.Fatalf("answer %s", a.Body)
			}
			if again := a.Headers["Retry-After"] != ""; again == status.Finished() {
				t.Errorf("Retry-After %q", a.Headers["Retry-After"])
			}
			if (got.FinishedAt != nil) != status.Finished() {
				t.Errorf("finished_at %v", got.FinishedAt)
			}
			if (got.Result != nil) != (status == task.Succeeded) {
				t.Errorf("result %s", got.Result)
			}
			if (got.Error != nil) != (status == task.Failed || status == task.DeadLettered) {
				t.Errorf("error %v", got.Error)
			}
			if strings.Contains(a.Body, "null") {
				t.Errorf("what does not apply is absent: %s", a.Body)
			}
		})
	}
}

// Between two attempts the answer says why, and when to ask again.
func TestStatusBetweenAttempts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.submit().ID
	f.settle(tasktable.Retry(f.claim(id), task.Failure{Code: "http_503", Message: "busy", Retryable: true}, time.Now().Add(20*time.Second)))
	a := f.get(id)
	if got := a.task(http.StatusOK); got.Status != task.Queued || got.Attempts != 1 || got.Error == nil || got.Error.Code != "http_503" {
		t.Errorf("answer %s", a.Body)
	}
	if s, err := strconv.Atoi(a.Headers["Retry-After"]); err != nil || s < 15 || s > 20 {
		t.Errorf("Retry-After %q, want about 20", a.Headers["Retry-After"])
	}
}

func TestStatusProgress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.submit().ID
	row := f.claim(id)
	if _, err := f.table.Renew(t.Context(), row, time.Now().Add(time.Minute), tasktable.Renewal{Progress: &task.Advance{Done: 4, Total: 10, Note: "page 1"}}); err != nil {
		t.Fatal(err)
	}
	if got := f.get(id).task(http.StatusOK); got.Progress == nil || *got.Progress != (task.Advance{Done: 4, Total: 10, Note: "page 1"}) {
		t.Errorf("progress %+v", got.Progress)
	}
}

func TestStatusRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	mine := f.submit().ID
	tests := []struct {
		name    string
		id      string
		changes []func(*request)
		status  int
		code    string
	}{
		{"unknown", "01ARZ3NDEKTSV4RRFFQ69G5FAV", nil, 404, codeNotFound},
		{"malformed", "nonsense", nil, 404, codeNotFound},
		{"empty", "", nil, 404, codeNotFound},
		{"lower case", strings.ToLower(mine), nil, 404, codeNotFound},
		{"overflowing", "8" + mine[1:], nil, 404, codeNotFound},
		{"with illegal letters", mine[:25] + "U", nil, 404, codeNotFound},
		{"an item of its own", mine + "#input", nil, 404, codeNotFound},
		{"another tenant's", mine, []func(*request){from("AIDAOTHER")}, 404, codeNotFound},
		{"negative wait", mine, []func(*request){withQuery("wait", "-1s")}, 400, "invalid_request"},
		{"wait too long", mine, []func(*request){withQuery("wait", "26s")}, 400, "invalid_request"},
		{"wait a little too long", mine, []func(*request){withQuery("wait", "25.000000001s")}, 400, "invalid_request"},
		{"wait x", mine, []func(*request){withQuery("wait", "x")}, 400, "invalid_request"},
		{"wait without unit", mine, []func(*request){withQuery("wait", "5")}, 400, "invalid_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.get(tt.id, tt.changes...).problem(tt.status, tt.code)
		})
	}
}

// Whether an id is unknown or somebody else's cannot be told from the answer.
func TestStatusHidesOtherTenants(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.submit().ID
	theirs, unknown := f.get(id, from("AIDAOTHER")), f.get("01ARZ3NDEKTSV4RRFFQ69G5FAV")
	if theirs.Body != unknown.Body {
		t.Errorf("%s differs from %s", theirs.Body, unknown.Body)
	}
}

// A task that was just accepted is found although the first read misses it.
func TestStatusReadsAMissAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.submit().ID
	f.db.Inject(func(tasktabletest.Call) tasktabletest.Fault { return tasktabletest.Fault{Stale: true} })
	f.get(id).task(http.StatusOK)
}

func TestStatusSample(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.invoke(t.Context(), http.MethodGet, "/tasks/{id}", sample(t, "status")).problem(http.StatusNotFound, codeNotFound)
}

func TestWaitEndsWithTheTask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		id := f.submit().ID
		start := time.Now()
		time.AfterFunc(3*time.Second, func() { f.become(id, task.Succeeded) })
		got := f.get(id, withQuery("wait", "25s")).task(http.StatusOK)
		if took := time.Since(start); got.Status != task.Succeeded || took < 3*time.Second || took > 4*time.Second {
			t.Errorf("%s after %s", got.Status, took)
		}
	})
}

func TestWaitOfAFinishedTask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		id := f.submit().ID
		f.become(id, task.Failed)
		start := time.Now()
		f.get(id, withQuery("wait", "25s")).task(http.StatusOK)
		if took := time.Since(start); took != 0 {
			t.Errorf("waited %s", took)
		}
	})
}

func TestWaitIsOver(t *testing.T) {
	t.Parallel()
	for wait, want := range map[string]time.Duration{"0s": 0, "1ms": time.Millisecond, "20s": 20 * time.Second, "25s": 25 * time.Second} {
		t.Run(wait, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				id := f.submit().ID
				f.db.ResetCalls()
				ctx, cancel := context.WithTimeout(t.Context(), 29*time.Second)
				defer cancel()
				start := time.Now()
				a := f.doWithin(ctx, event(t, "status", withID(id), withQuery("wait", wait)))
				if got := a.task(http.StatusOK); got.Status != task.Queued || a.Headers["Retry-After"] != "1" {
					t.Errorf("answer %v %s", a.Headers, a.Body)
				}
				if took := time.Since(start); took != want {
					t.Errorf("waited %s, want %s", took, want)
				}
				if reads := f.db.Calls()["GetItem"]; reads > 32 {
					t.Errorf("%d reads", reads)
				}
			})
		})
	}
}

// A function that is given less time than the caller wants to wait answers
// before it is cut off.
func TestWaitWithinTheFunctionsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		id := f.submit().ID
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		f.doWithin(ctx, event(t, "status", withID(id), withQuery("wait", "25s"))).task(http.StatusOK)
		if took := time.Since(start); took < 5*time.Second || took > 9*time.Second {
			t.Errorf("waited %s of 10s", took)
		}
	})
}

// When the table fails during a wait, what was seen before is an answer.
func TestWaitSurvivesAFailingTable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		id := f.submit().ID
		f.db.ResetCalls()
		f.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
			if c.N < 3 {
				return tasktabletest.Fault{}
			}
			return tasktabletest.Fault{Err: errInner}
		})
		if got := f.get(id, withQuery("wait", "25s")).task(http.StatusOK); got.Status != task.Queued {
			t.Errorf("status %s", got.Status)
		}
	})
}
