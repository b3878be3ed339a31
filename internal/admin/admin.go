package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/parked"
	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Admin answers commands. It is safe for concurrent use.
type Admin struct {
	Redrive *redrive.Redrive
	Parked  *parked.Resolver
	Table   *tasktable.Table
	Streams Streams
	Chaos   *Chaos // nil where faults must not be injected
	Stock   *trip.Stock
	Sagas   *Sagas
}

// command is what can be asked for.
type command struct {
	name   string
	fields []string // beside "command"
	run    func(ctx context.Context, a *Admin, payload []byte) (any, error)
}

// commandOf makes a command of a function. Its fields are those of Q.
func commandOf[Q, A any](name adminapi.Command[Q, A], fn func(ctx context.Context, a *Admin, q Q) (*A, error)) command {
	return formsOf(name, func(ctx context.Context, a *Admin, q Q) (any, error) { return fn(ctx, a, q) })
}

// formsOf makes a command of a function that has several forms of answer.
func formsOf[Q, A any](name adminapi.Command[Q, A], fn func(ctx context.Context, a *Admin, q Q) (any, error)) command {
	c := command{name: string(name)}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Q]()) {
		if field, _, _ := strings.Cut(f.Tag.Get("json"), ","); !f.Anonymous {
			c.fields = append(c.fields, field)
		}
	}
	c.run = func(ctx context.Context, a *Admin, payload []byte) (any, error) {
		var q Q
		err := checkFilter(payload)
		if err == nil {
			err = json.Unmarshal(payload, &q)
		}
		if err != nil {
			return nil, &Error{adminapi.CodeInvalid, mistake(err)}
		}
		return fn(ctx, a, q)
	}
	return c
}

// commands are all there are, by name.
var commands = byName(
	commandOf(adminapi.DLQStatus, dlqStatus),
	commandOf(adminapi.DLQList, dlqList),
	formsOf(adminapi.DLQReplay, dlqReplay),
	commandOf(adminapi.DLQStop, dlqStop),
	commandOf(adminapi.DLQPurge, dlqPurge),
	commandOf(adminapi.DLQRestore, dlqRestore),
	formsOf(adminapi.DLQJobs, dlqJobs),
	commandOf(adminapi.StreamList, streamList),
	commandOf(adminapi.StreamReplay, streamReplay),
	commandOf(adminapi.TaskGet, taskGet),
	formsOf(adminapi.TaskRetry, taskRetry),
	commandOf(adminapi.TaskCancel, taskCancel),
	commandOf(adminapi.SagaList, sagaList),
	commandOf(adminapi.SagaShow, sagaShow),
	commandOf(adminapi.SagaResume, sagaResume),
	commandOf(adminapi.SagaSkip, sagaSkip),
	commandOf(adminapi.SagaDone, sagaDone),
	commandOf(adminapi.InventoryPut, inventoryPut),
	commandOf(adminapi.InventoryGet, inventoryGet),
	commandOf(adminapi.ChaosSet, chaosSet),
	commandOf(adminapi.ChaosClear, chaosClear),
	commandOf(adminapi.ChaosStatus, chaosStatus),
)

func byName(all ...command) map[string]command {
	named := make(map[string]command, len(all))
	for _, c := range all {
		named[c.name] = c
	}
	return named
}

// Handle answers one command. It returns an error only for a continuation that
// should be tried again.
func (a *Admin) Handle(ctx context.Context, payload json.RawMessage) (json.RawMessage, error) {
	name, answer, err := a.answer(ctx, payload)
	if internal(name) {
		return answer, err
	}
	if err != nil {
		failure, cause := describe(err)
		if _, known := commands[name]; !known {
			name = "" // whatever was sent
		}
		if cause != nil {
			slog.ErrorContext(ctx, "command failed", slog.String("command", name), slog.String("code", string(failure.Code)), slog.Any("error", cause))
		} else { // without the message, which may quote the command and is answered
			slog.WarnContext(ctx, "command refused", slog.String("command", name), slog.String("code", string(failure.Code)))
		}
		return adminapi.Refuse((*adminapi.Refusal)(failure))
	}
	slog.InfoContext(ctx, "command done", slog.String("command", name))
	return answer, nil
}

func (a *Admin) answer(ctx context.Context, payload json.RawMessage) (name string, answer json.RawMessage, err error) {
	var fields map[string]json.RawMessage
	if err := task.Decode(payload, &fields); err != nil || fields == nil {
		return "", nil, &Error{adminapi.CodeInvalid, `the payload must be one JSON object, such as {"command":"dlq.status"}`}
	}
	if err := json.Unmarshal(fields["command"], &name); err != nil || name == "" {
		return "", nil, &Error{adminapi.CodeUnknownCommand, `"command" is missing or no text: it is one of ` + strings.Join(adminapi.Names(), ", ")}
	}
	if internal(name) {
		if q := (adminapi.Continuation{}); json.Unmarshal(payload, &q) == nil && checkIDs("job_id", q.JobID) == nil {
			return name, json.RawMessage(`{"ok":true}`), a.goOn(ctx, name, q)
		}
		return "", nil, &Error{adminapi.CodeInvalid, name + " is what the function calls itself with, for a job: dlq.replay with its plan_id goes on with one"}
	}
	c, ok := commands[name]
	if !ok {
		return task.CleanText(name, 64), nil, &Error{adminapi.CodeUnknownCommand, fmt.Sprintf("there is no command %q: known are %s",
			task.CleanText(name, 64), strings.Join(adminapi.Names(), ", "))}
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if field != "command" && !slices.Contains(c.fields, field) {
			return name, nil, &Error{adminapi.CodeUnknownField, fmt.Sprintf("%s has no field %q: it has %s", name, task.CleanText(field, 64), known(c.fields))}
		}
	}
	v, err := c.run(ctx, a, payload)
	if err != nil {
		return name, nil, err
	}
	text, err := adminapi.Accept(v)
	return name, text, err
}

func known(fields []string) string {
	if len(fields) == 0 {
		return "none"
	}
	return strings.Join(fields, ", ")
}

// goOn goes on with a job after a hop. Its error has Lambda try again; it goes
// to whoever called, and so says nothing of AWS.
func (a *Admin) goOn(ctx context.Context, name string, q adminapi.Continuation) error {
	var err error
	if name == string(adminapi.JobFollow) {
		err = a.Redrive.Follow(ctx, q.JobID, q.Hop)
	} else {
		_, err = a.Redrive.Resume(ctx, q.JobID, q.Hop)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redrive.ErrBusy), errors.Is(err, redrive.ErrNotFound):
		slog.WarnContext(ctx, "job is not ours to continue", slog.String("job_id", q.JobID), slog.Any("error", err))
		return nil
	default:
		slog.ErrorContext(ctx, "job not continued", slog.String("job_id", q.JobID), slog.Any("error", err))
		return fmt.Errorf("job %s could not be continued: the function's log says why", q.JobID)
	}
}

// requestID is the id of this invocation, which AWS's own trail has as well.
func requestID(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return ""
}
