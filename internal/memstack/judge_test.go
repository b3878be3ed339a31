package memstack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/api"
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/ddbfake"
	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/client"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// judged is a stack whose tasks tell a history what happens to them: every
// write of a row, every dead letter, and every begin and end of a handler. Its
// tasks have a type of their own, "job", that succeeds unless broken.
type judged struct {
	*memstack.Stack
	t       *testing.T
	history *tasktabletest.History
	broken  atomic.Bool
}

const maxAttempts = 2

func newJudged(t *testing.T) *judged {
	t.Helper()
	j := &judged{t: t, history: tasktabletest.NewHistory(tasktabletest.HistoryOptions{MaxAttempts: maxAttempts, EveryWrite: true})}
	mux := task.NewMux()
	task.Handle(mux, "job", j.handle)
	j.Stack = memstack.New(t, memstack.Options{
		Parameters: map[string]string{"Size": "local", "MaxAttempts": fmt.Sprint(maxAttempts)},
		Setups:     map[string]func(*app.Env) (any, error){"SubmitFunction": submitSetup(mux), "WorkerFunction": workerSetup(mux)},
	})
	(&tasktabletest.DynamoDB{DB: j.DB}).Watch(func(r *tasktable.Row) { j.tell(tasktabletest.Fact{What: tasktabletest.Stored, Row: r}) })
	j.DB.Inject(j.creates)
	j.SQS.Inject(j.buries)
	return j
}

// workerSetup and submitSetup are those of a deployment with types of its own.
func workerSetup(mux *task.Mux) func(*app.Env) (any, error) {
	return func(env *app.Env) (any, error) {
		queue := opener(env)
		return worker.New(mux, table(env), worker.Queues{route.Tasks: queue("TASKS_QUEUE_URL"), route.Backlog: queue("BACKLOG_QUEUE_URL")},
			queue("DEAD_LETTER_QUEUE_URL"), &worker.Options{MaxAttempts: env.Int("MAX_ATTEMPTS", 1), MaxReceiveCount: env.Int("MAX_RECEIVE_COUNT", 2)}), env.Err()
	}
}

func submitSetup(mux *task.Mux) func(*app.Env) (any, error) {
	return func(env *app.Env) (any, error) {
		queue := opener(env)
		queues := intake.Queues{route.Tasks: queue("TASKS_QUEUE_URL"), route.Backlog: queue("BACKLOG_QUEUE_URL")}
		return (&api.Submit{Intake: intake.New(table(env), queues, mux, nil), Endpoint: env.Optional("ENDPOINT_URL")}).Handle, env.Err()
	}
}

func table(env *app.Env) *tasktable.Table {
	return tasktable.New(dynamodb.NewFromConfig(env.AWS()), env.String("TASKS_TABLE"), nil)
}

func opener(env *app.Env) func(string) *workqueue.Queue {
	api := sqs.NewFromConfig(env.AWS())
	return func(variable string) *workqueue.Queue { return workqueue.New(api, env.String(variable), nil) }
}

func (j *judged) tell(f tasktabletest.Fact) { j.history.Add(f) }

// creates notes which rows may come to be: those that submit writes.
func (j *judged) creates(c ddbfake.Call) ddbfake.Fault {
	if c.Operation != "PutItem" {
		return ddbfake.Fault{}
	}
	if id, ok := c.Keys[0]["id"].(*types.AttributeValueMemberS); ok && !strings.Contains(id.Value, "#") {
		j.tell(tasktabletest.Fact{What: tasktabletest.Submitting, ID: id.Value})
	}
	return ddbfake.Fault{}
}

// buries notes a dead letter on its way: the worker learns that SQS has it only
// after that.
func (j *judged) buries(c workqueuetest.Call) workqueuetest.Fault {
	if c.Queue == j.Name("DeadLetterQueue") && strings.HasPrefix(c.Operation, "SendMessage") {
		for _, body := range c.Entries {
			m, err := workqueue.Decode(body, nil)
			if err != nil {
				j.t.Errorf("a dead letter that is no message: %v", err)
			}
			j.tell(tasktabletest.Fact{What: tasktabletest.Letter, ID: m.TaskID, Run: m.Run})
		}
	}
	return workqueuetest.Fault{}
}

// handle is every handler.
func (j *judged) handle(ctx context.Context, _ json.RawMessage) (string, error) {
	e := task.Current(ctx)
	invocation, _ := lambdacontext.FromContext(ctx)
	told := tasktabletest.Fact{What: tasktabletest.Began, ID: e.ID, By: invocation.AwsRequestID, Run: e.Run, Attempt: e.Attempt}
	j.tell(told)
	told.What = tasktabletest.Ended
	if j.broken.Load() {
		j.tell(told)
		return "", errors.New("not yet")
	}
	result := invocation.AwsRequestID + " " + e.ID // another one for each attempt
	told.Result = json.RawMessage(`"` + result + `"`)
	j.tell(told)
	return result, nil
}

// accept submits a task, again and again until it is accepted.
func (j *judged) accept(key string, size int) string {
	j.t.Helper()
	input := json.RawMessage(`"` + strings.Repeat("x", size) + `"`)
	id := submit(j.t, j.Stack, client.SubmitRequest{Type: "job", Input: input, IdempotencyKey: key}) // the client tries again after a 503
	j.tell(tasktabletest.Fact{What: tasktabletest.Accepted, ID: id, Key: key})
	return id
}

// check asks the history whether all promises are kept so far.
func (j *judged) check() {
	j.t.Helper()
	counts := map[string]int{}
	for _, id := range []string{"TasksQueue", "BacklogQueue", "DeadLetterQueue"} {
		for _, m := range j.messages(id) {
			counts[m.TaskID]++
		}
	}
	j.history.Messages(counts)
	if err := j.history.Err(); err != nil {
		j.t.Fatal(err)
	}
}

// end waits until nothing happens any more, and checks that every task has come
// to its end.
func (j *judged) end() {
	j.t.Helper()
	j.Quiet()
	j.check()
	letters := map[string][]int{}
	for _, m := range j.messages("DeadLetterQueue") {
		letters[m.TaskID] = append(letters[m.TaskID], m.Run)
	}
	j.history.End(letters)
	j.check()
}

func (j *judged) messages(queue string) (all []workqueue.Message) {
	j.t.Helper()
	for _, m := range j.SQS.Messages(j.Name(queue)) {
		decoded, err := workqueue.Decode(m.Body, m.Attributes)
		if err != nil {
			j.t.Fatalf("what is in %s is no message: %v", queue, err)
		}
		all = append(all, decoded)
	}
	return all
}

// plan plans to replay all dead letters.
func (j *judged) plan() (id string) {
	j.t.Helper()
	answer := ask(j.t, j.Stack, adminapi.DLQPlan, adminapi.DLQReplayRequest{DryRun: true})
	for _, m := range j.messages("DeadLetterQueue") {
		j.tell(tasktabletest.Fact{What: tasktabletest.ReplayAsked, ID: m.TaskID, Run: m.Run, Plan: answer.PlanID})
	}
	return answer.PlanID
}

// kills plays a scene once for each call that a function makes in it, killed
// before the call takes effect and after. play returns whether there was an nth
// call. It fails if there were fewer than least.
func kills(t *testing.T, least int, play func(j *judged, kill func(function string) (killed func() bool)) bool) {
	t.Helper()
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after the effect %t", after), func(t *testing.T) {
			t.Parallel()
			killed, n := true, 0
			for killed && !t.Failed() {
				n++
				synctest.Test(t, func(t *testing.T) {
					j := newJudged(t)
					killed = play(j, func(function string) func() bool {
						return j.Kill(n, after, func(c memstack.Call) bool { return c.Function == function })
					})
				})
			}
			if t.Failed() || n <= least {
				t.Errorf("ended at call %d", n)
			}
		})
	}
}

// Wherever the worker dies, every promise is kept: of a task that succeeds, and
// of one whose attempts all fail.
func TestKilledWorkerKeepsPromises(t *testing.T) {
	kills(t, 2, func(j *judged, kill func(string) func() bool) bool {
		killed := kill("WorkerFunction")
		ends(j.t, j.Stack, j.accept("", 10), client.Succeeded)
		j.broken.Store(true)
		ends(j.t, j.Stack, j.accept("", 10), client.DeadLettered)
		j.end()
		return killed()
	})
}

// Wherever submit dies, the repetition of the request with the same key makes
// it one task, whose input the message carries or refers to.
func TestKilledSubmitKeepsPromises(t *testing.T) {
	for name, size := range map[string]int{"inline": 10, "by reference": 193 << 10} {
		t.Run(name, func(t *testing.T) {
			kills(t, 2, func(j *judged, kill func(string) func() bool) bool {
				killed := kill("SubmitFunction")
				id := j.accept("key", size)
				j.check()
				if again := j.accept("key", size); again != id {
					j.t.Errorf("one key stands for the tasks %s and %s", id, again)
				}
				if got := ends(j.t, j.Stack, id, client.Succeeded); got.Attempts != 1 {
					j.t.Errorf("got %+v, want one attempt", got)
				}
				j.end()
				if page, err := j.Client(tenant).List(j.t.Context(), client.ListRequest{}); err != nil || len(page.Tasks) != 1 {
					j.t.Errorf("%+v, %v, want 1 task", page, err)
				}
				return killed()
			})
		})
	}
}

// Wherever admin dies while it executes a plan, the plan continues, by itself
// or when the operator repeats the command: every task runs once more, and once
// only.
func TestKilledReplayKeepsPromises(t *testing.T) {
	kills(t, 10, func(j *judged, kill func(string) func() bool) bool {
		j.broken.Store(true)
		ids := []string{j.accept("", 10), j.accept("", 10)}
		for _, id := range ids {
			ends(j.t, j.Stack, id, client.DeadLettered)
		}
		j.Quiet()
		j.broken.Store(false)
		plan := j.plan()
		killed := kill("AdminFunction")
		j.Await("the plan is carried out", func() bool {
			answer, err := memstack.Ask(j.t.Context(), j.Stack, adminapi.DLQReplay, adminapi.DLQReplayRequest{PlanID: plan})
			return err == nil && answer.Done
		})
		for _, id := range ids {
			if got := ends(j.t, j.Stack, id, client.Succeeded); got.Attempts != 1 || j.history.Began(id, 2) != 1 {
				j.t.Errorf("got %+v, whose second run began %d times, want once", got, j.history.Began(id, 2))
			}
		}
		j.Await("the dead letters are gone", func() bool { return len(j.messages("DeadLetterQueue")) == 0 })
		j.end()
		return killed()
	})
}
