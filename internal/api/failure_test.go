package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// errInner is as talkative as the SDK's errors are.
var errInner = fmt.Errorf("operation error DynamoDB: PutItem, https response error StatusCode: 400, RequestID: 8FE1R9Q, api error "+
	"AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/spillway-SubmitRole/submit is not authorized to perform: "+
	"dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:123456789012:table/%s: %w", tableName, errors.New("goroutine 1 [running]"))

// discreet expects that an answer tells nothing of what is behind the API.
func (r reply) discreet() {
	r.t.Helper()
	for _, inner := range []string{"arn:", tableName, "8FE1R9Q", "ynamo", "AccessDenied", "123456789012", "goroutine", "sqs", "operation error", "deadline exceeded"} {
		if strings.Contains(r.Body, inner) {
			r.t.Errorf("the answer holds %q: %s", inner, r.Body)
		}
	}
}

// calls are one good request of each route, for a task that exists.
func (f *fixture) calls(id string) map[string]*request {
	return map[string]*request{
		"submit":          event(f.t, "submit", without("Idempotency-Key")),
		"submit with key": event(f.t, "submit", withKey("another")),
		"get":             event(f.t, "status", withID(id)),
		"list":            event(f.t, "list"),
		"cancel":          event(f.t, "cancel", withID(id)),
	}
}

func TestTableFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"refused", errInner, http.StatusServiceUnavailable, codeUnavailable},
		{"too slow", fmt.Errorf("%w: %w", errInner, context.DeadlineExceeded), http.StatusGatewayTimeout, codeTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.submit().ID
			f.db.Inject(func(tasktabletest.Call) tasktabletest.Fault { return tasktabletest.Fault{Err: tt.err} })
			for name, r := range f.calls(id) {
				a := f.do(r)
				p := a.problem(tt.status, tt.code)
				a.discreet()
				if a.Headers["Retry-After"] != "1" || !strings.Contains(p.Detail, "Idempotency-Key") {
					t.Errorf("%s: %v %s does not say what to do", name, a.Headers, a.Body)
				}
			}
		})
	}
}

// hangingTable answers when the caller has given up.
type hangingTable struct{ *tasktable.Table }

func (hangingTable) hang(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("%w: canceled, %w", errInner, ctx.Err())
}

func (h hangingTable) Create(ctx context.Context, _ tasktable.Draft) (*tasktable.Row, error) {
	return nil, h.hang(ctx)
}

func (h hangingTable) Get(ctx context.Context, _ string) (*tasktable.Row, error) {
	return nil, h.hang(ctx)
}

func (h hangingTable) List(ctx context.Context, _ tasktable.Query) (tasktable.Page, error) {
	return tasktable.Page{}, h.hang(ctx)
}

func (h hangingTable) Cancel(ctx context.Context, _, _ string) (*tasktable.Row, error) {
	return nil, h.hang(ctx)
}

// A function whose table hangs says so before Lambda cuts it off.
func TestFunctionRunsOutOfTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		id := f.submit().ID
		hanging := hangingTable{f.table}
		mux := task.NewMux()
		task.Handle(mux, "webhook.deliver", func(context.Context, any) (int, error) { return 0, nil })
		f.functions = map[string]lambda.Handler{
			http.MethodPost:   lambda.NewHandler((&Submit{Intake: intake.New(hanging, intake.Queues{"tasks": f.tasks, "backlog": f.backlog}, mux, nil)}).Handle),
			http.MethodGet:    lambda.NewHandler((&Status{Table: hanging}).Handle),
			http.MethodDelete: lambda.NewHandler((&Cancel{Table: hanging}).Handle),
		}
		for name, r := range f.calls(id) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			a := f.doWithin(ctx, r)
			a.problem(http.StatusGatewayTimeout, codeTimeout)
			a.discreet()
			if ctx.Err() != nil {
				t.Errorf("%s: the answer comes too late", name)
			}
			cancel()
		}
	})
}

// After a 503 the key finds the row and sends the message.
func TestQueueFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.tasks.failWith(fmt.Errorf("operation error SQS: SendMessage: https://sqs.us-east-1.amazonaws.com/123456789012/tasks: %w", errInner))
	a := f.do(event(t, "submit"))
	a.problem(http.StatusServiceUnavailable, codeUnavailable)
	a.discreet()
	if n := len(f.tasks.messages(t)); n != 0 {
		t.Fatalf("%d messages", n)
	}
	stored := f.list()
	if len(stored) != 1 {
		t.Fatalf("%d tasks", len(stored))
	}
	f.tasks.failWith(nil)
	got := f.do(event(t, "submit")).task(http.StatusOK)
	if got.ID != stored[0].ID {
		t.Errorf("task %s, want %s", got.ID, stored[0].ID)
	}
	if messages := f.tasks.messages(t); len(messages) != 1 || messages[0].TaskID != got.ID {
		t.Errorf("messages %+v", messages)
	}
}

// Each write fails once, before or after it took effect; repeating with the
// key ends in one task with a message.
func TestSubmitIsRepeatable(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for n := 1; n <= 2; n++ {
			t.Run(fmt.Sprintf("write %d, effect %t", n, after), func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				f.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
					if c.Operation == "PutItem" && c.N == n {
						return tasktabletest.Fault{Err: errInner, AfterEffect: after}
					}
					return tasktabletest.Fault{}
				})
				f.do(event(t, "submit")).problem(http.StatusServiceUnavailable, codeUnavailable)
				a := f.do(event(t, "submit"))
				if a.StatusCode != http.StatusAccepted && a.StatusCode != http.StatusOK {
					t.Fatalf("answer %d %s", a.StatusCode, a.Body)
				}
				if tasks := f.list(); len(tasks) != 1 {
					t.Errorf("%d tasks", len(tasks))
				}
				if messages := f.tasks.messages(t); len(messages) != 1 {
					t.Errorf("%d messages", len(messages))
				}
			})
		}
	}
}
