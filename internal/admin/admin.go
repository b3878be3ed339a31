package admin

import (
	"bytes"
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

	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Admin answers commands. It is safe for concurrent use.
type Admin struct {
	Redrive *redrive.Redrive
	Table   *tasktable.Table
	Streams Streams
	Chaos   *Chaos // nil where faults must not be injected
	Stock   *trip.Stock
	Sagas   *Sagas
}

// command is what can be asked for.
type command struct {
	fields []string // beside "command"
	run    func(ctx context.Context, a *Admin, payload []byte) (any, error)
}

// commandOf makes a command of a function. Its fields are those of Q.
func commandOf[Q any](fn func(ctx context.Context, a *Admin, q Q) (any, error)) command {
	var fields []string
	for f := range reflect.TypeFor[Q]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	return command{fields: fields, run: func(ctx context.Context, a *Admin, payload []byte) (any, error) {
		var q Q
		if err := json.Unmarshal(payload, &q); err != nil {
			return nil, &Error{CodeInvalid, mistake(err)}
		}
		return fn(ctx, a, q)
	}}
}

// commands are all there are.
var commands = map[string]command{
	"dlq.status":    commandOf(dlqStatus),
	"dlq.list":      commandOf(dlqList),
	"dlq.replay":    commandOf(dlqReplay),
	"dlq.stop":      commandOf(dlqStop),
	"dlq.purge":     commandOf(dlqPurge),
	"dlq.restore":   commandOf(dlqRestore),
	"dlq.jobs":      commandOf(dlqJobs),
	"stream.list":   commandOf(streamList),
	"stream.replay": commandOf(streamReplay),
	"task.get":      commandOf(taskGet),
	"task.retry":    commandOf(taskRetry),
	"task.cancel":   commandOf(taskCancel),
	"saga.list":     commandOf(sagaList),
	"saga.show":     commandOf(sagaShow),
	"saga.resume":   commandOf(sagaResume),
	"saga.skip":     commandOf(sagaSkip),
	"saga.done":     commandOf(sagaDone),
	"inventory.put": commandOf(inventoryPut),
	"inventory.get": commandOf(inventoryGet),
	"chaos.set":     commandOf(chaosSet),
	"chaos.clear":   commandOf(chaosClear),
	"chaos.status":  commandOf(chaosStatus),
}

// Handle answers one command. It returns an error only for a continuation that
// should be tried again.
func (a *Admin) Handle(ctx context.Context, payload json.RawMessage) (json.RawMessage, error) {
	name, answer, err := a.answer(ctx, payload)
	if name == goOn || name == follow {
		return answer, err
	}
	if err != nil {
		failure := describe(err)
		if _, known := commands[name]; !known {
			name = "" // whatever was sent
		}
		if failure.Code == CodeUnavailable {
			slog.ErrorContext(ctx, "command failed", slog.String("command", name), slog.Any("error", err))
		} else { // without the message, which may quote the command and is answered
			slog.WarnContext(ctx, "command refused", slog.String("command", name), slog.String("code", failure.Code))
		}
		return json.Marshal(struct {
			OK      bool   `json:"ok"`
			Code    string `json:"code"`
			Message string `json:"message"`
		}{false, failure.Code, failure.Message})
	}
	slog.InfoContext(ctx, "command done", slog.String("command", name))
	return answer, nil
}

func (a *Admin) answer(ctx context.Context, payload json.RawMessage) (name string, answer json.RawMessage, err error) {
	var fields map[string]json.RawMessage
	if err := task.Decode(payload, &fields); err != nil || fields == nil {
		return "", nil, &Error{CodeInvalid, `the payload must be one JSON object, such as {"command":"dlq.status"}`}
	}
	if err := json.Unmarshal(fields["command"], &name); err != nil || name == "" {
		return "", nil, &Error{CodeUnknownCommand, `"command" is missing or no text: it is one of ` + strings.Join(slices.Sorted(maps.Keys(commands)), ", ")}
	}
	if name == goOn || name == follow {
		if q := (continuation{}); json.Unmarshal(payload, &q) == nil && checkIDs("job_id", q.JobID) == nil {
			return name, json.RawMessage(`{"ok":true}`), a.goOn(ctx, name, q)
		}
		return "", nil, &Error{CodeInvalid, name + " is what the function calls itself with, for a job: dlq.replay with its plan_id goes on with one"}
	}
	c, ok := commands[name]
	if !ok {
		return task.CleanText(name, 64), nil, &Error{CodeUnknownCommand, fmt.Sprintf("there is no command %q: known are %s",
			task.CleanText(name, 64), strings.Join(slices.Sorted(maps.Keys(commands)), ", "))}
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if field != "command" && !slices.Contains(c.fields, field) {
			return name, nil, &Error{CodeUnknownField, fmt.Sprintf("%s has no field %q: it has %s", name, task.CleanText(field, 64), known(c.fields))}
		}
	}
	v, err := c.run(ctx, a, payload)
	if err != nil {
		return name, nil, err
	}
	text, err := encode(v)
	if err != nil {
		return name, nil, err
	}
	rest := bytes.TrimPrefix(text, []byte("{"))
	if len(rest) > 1 {
		rest = append([]byte(","), rest...)
	}
	return name, append([]byte(`{"ok":true`), rest...), nil
}

// encode writes JSON without what is for web pages: an escaped < has six bytes,
// and an answer has room for so many.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}

func known(fields []string) string {
	if len(fields) == 0 {
		return "none"
	}
	return strings.Join(fields, ", ")
}

// goOn goes on with a job after a hop. Its error has Lambda try again; it goes
// to whoever called, and so says nothing of AWS.
func (a *Admin) goOn(ctx context.Context, name string, q continuation) error {
	var err error
	if name == follow {
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
