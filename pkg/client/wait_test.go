package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

func taskBody(id string, status client.Status) string {
	return `{"id":"` + id + `","type":"t","status":"` + string(status) + `","attempts":1}`
}

func TestWaitPollsUntilFinished(t *testing.T) {
	t.Parallel()
	for _, end := range []client.Status{client.Succeeded, client.Failed, client.Canceled, client.Expired, client.DeadLettered} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{
				answers: []answer{
					{status: 200, body: taskBody("x", client.Queued), header: map[string]string{"Retry-After": "2"}},
					{status: 503},
					{status: 200, body: taskBody("x", client.Running)},
					{status: 200, body: taskBody("x", end)},
				},
				hold: func(ctx context.Context, i int) {
					if i == 2 { // held to its end: the next poll follows at once
						select {
						case <-time.After(20 * time.Second):
						case <-ctx.Done():
						}
					}
				},
			}
			began := time.Now()
			got, err := newClient(t, s).Wait(t.Context(), "x")
			if err != nil || got.Status != end {
				t.Fatalf("Wait = %+v, %v", got, err)
			}
			if took := time.Since(began); took < 22*time.Second || took > 23*time.Second {
				t.Errorf("took %s", took)
			}
			if s.count() != 4 {
				t.Errorf("%d requests, want 4", s.count())
			}
			for _, r := range s.requests {
				if r.URL.RawQuery != "wait=20s" {
					t.Errorf("query = %q", r.URL.RawQuery)
				}
			}
		})
	}
}

func TestWaitDoesNotSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		s := &script{answers: []answer{{status: 200, body: taskBody("x", client.Running)}}}
		last, err := newClient(t, s).Wait(ctx, "x")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		if last == nil || last.Status != client.Running {
			t.Errorf("last = %+v, want the task as last seen", last)
		}
		if s.count() > 31 {
			t.Errorf("%d requests in 30 seconds", s.count())
		}
		first, final := s.requests[0].URL.RawQuery, s.requests[s.count()-1].URL.RawQuery
		if first != "wait=20s" || final == "wait=20s" {
			t.Errorf("queries %q … %q, want a shorter wait at the end", first, final)
		}
	})
}

func TestWaitCanceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &script{
			answers: []answer{{status: 200, body: taskBody("x", client.Running)}},
			hold:    func(ctx context.Context, _ int) { <-ctx.Done() },
		}
		time.AfterFunc(3*time.Second, cancel)
		if _, err := newClient(t, s).Wait(ctx, "x"); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		if s.count() != 1 {
			t.Errorf("%d requests", s.count())
		}
	})
}

func TestWaitReturnsRefusals(t *testing.T) {
	t.Parallel()
	c := newClient(t, &script{answers: []answer{{status: 404, body: problemBody(404, "not_found")}}})
	if _, err := c.Wait(t.Context(), "x"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	finished := answer{status: 409, body: problemBody(409, "task_finished")}
	tests := []struct {
		name    string
		answers []answer
		want    client.Status
		err     error
	}{
		{"canceled", []answer{{status: 200, body: taskBody("x", client.Canceled)}}, client.Canceled, nil},
		{"too late", []answer{finished}, "", client.ErrTaskFinished},
		{"own earlier attempt did it", []answer{{err: errReset}, finished, {status: 200, body: taskBody("x", client.Canceled)}}, client.Canceled, nil},
		{"someone else was first", []answer{{err: errReset}, finished, {status: 200, body: taskBody("x", client.Succeeded)}}, "", client.ErrTaskFinished},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers}
				got, err := newClient(t, s).Cancel(t.Context(), "x")
				if !errors.Is(err, tt.err) || (err == nil && got.Status != tt.want) {
					t.Errorf("Cancel = %+v, %v", got, err)
				}
				if s.requests[0].Method != "DELETE" {
					t.Errorf("method = %s", s.requests[0].Method)
				}
			})
		})
	}
}

func TestListQuery(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{status: 200, body: `{"tasks":[],"cursor":"c2"}`}}}
	p, err := newClient(t, s).List(t.Context(), client.ListRequest{
		Type: "a&b", Status: client.DeadLettered, Limit: 7, Cursor: "c=1",
	})
	if err != nil || p.Cursor != "c2" || len(p.Tasks) != 0 {
		t.Fatalf("List = %+v, %v", p, err)
	}
	if got, want := s.requests[0].URL.RawQuery, "cursor=c%3D1&limit=7&status=dead_lettered&type=a%26b"; got != want {
		t.Errorf("query = %s, want %s", got, want)
	}
}

func TestAll(t *testing.T) {
	t.Parallel()
	pages := []answer{
		{status: 200, body: `{"tasks":[` + taskBody("3", client.Queued) + `],"cursor":"a"}`},
		{status: 200, body: `{"tasks":[],"cursor":"b"}`}, // empty, and yet not the last
		{status: 200, body: `{"tasks":[` + taskBody("2", client.Queued) + `,` + taskBody("1", client.Queued) + `]}`},
	}
	ids := func(c *client.Client, most int) (string, error) {
		var b strings.Builder
		for task, err := range c.All(t.Context(), client.ListRequest{}) {
			if err != nil {
				return b.String(), err
			}
			b.WriteString(task.ID)
			if b.Len() == most {
				break
			}
		}
		return b.String(), nil
	}

	s := &script{answers: pages}
	if got, err := ids(newClient(t, s), -1); got != "321" || err != nil {
		t.Errorf("All = %s, %v", got, err)
	}
	if q := s.requests[2].URL.RawQuery; q != "cursor=b&limit=100" {
		t.Errorf("query = %s", q)
	}

	s = &script{answers: pages}
	if got, err := ids(newClient(t, s), 1); got != "3" || err != nil || s.count() != 1 {
		t.Errorf("broken off: %s, %v after %d requests", got, err, s.count())
	}

	s = &script{answers: []answer{pages[0], {status: 400, body: problemBody(400, "invalid_request")}}}
	if got, err := ids(newClient(t, s), -1); got != "3" || !errors.Is(err, client.ErrInvalidRequest) {
		t.Errorf("failing: %s, %v", got, err)
	}

	s = &script{answers: []answer{pages[0]}} // the same cursor for ever
	if got, err := ids(newClient(t, s), -1); got != "33" || err == nil {
		t.Errorf("stuck: %s, %v", got, err)
	}
}
