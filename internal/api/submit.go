package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// maxBody is the largest request body that is looked at: four times the
// largest input, for white space.
const maxBody = 4 * intake.MaxInput

// Submit answers POST /tasks.
type Submit struct {
	Intake   *intake.Intake
	Endpoint string // the emulator's base URL, empty on AWS
}

// taskRequest is the body of POST /tasks.
type taskRequest struct {
	Type     string          `json:"type"`
	Input    json.RawMessage `json:"input"`
	Priority *task.Priority  `json:"priority"`
	Deadline *task.Time      `json:"deadline"`
	TTL      *duration       `json:"ttl"`
	Delay    *duration       `json:"delay"`
}

// duration is a Go duration string in JSON.
type duration time.Duration

func (d *duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf(`a duration is a string such as "90s" or "15m"`)
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf(`%q is not a duration such as "90s" or "15m"`, s)
	}
	*d = duration(parsed)
	return nil
}

// Handle is the Lambda handler.
func (s *Submit) Handle(ctx context.Context, r request) (response, error) {
	req, err := s.parse(&r)
	if err != nil {
		return failure(ctx, err), nil
	}
	row, created, err := s.Intake.Submit(ctx, req)
	if err != nil {
		return failure(ctx, err), nil
	}
	status := http.StatusOK
	if created {
		status = http.StatusAccepted
		slog.InfoContext(ctx, "task accepted", slog.String("task_id", row.ID), slog.String("type", row.Type))
	}
	headers := map[string]string{"Location": baseURL(&r, s.Endpoint) + "/tasks/" + row.ID}
	if !row.Status.Finished() {
		headers["Retry-After"] = retryAfter(row, time.Now())
	}
	return answer(status, row.Task(), headers), nil
}

func invalid(format string, args ...any) error {
	return &intake.RefusedError{Code: intake.CodeInvalid, Detail: task.CleanText(fmt.Sprintf(format, args...), 500)}
}

func (s *Submit) parse(r *request) (intake.Request, error) {
	contentType, _ := header(r, "Content-Type")
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/json" {
		return intake.Request{}, &intake.RefusedError{Code: codeMediaType, Detail: "send the task as application/json"}
	}
	body, err := bodyOf(r)
	if err != nil {
		return intake.Request{}, err
	}
	var t taskRequest
	if err := task.Decode(body, &t); err != nil {
		return intake.Request{}, invalid("the body is not a task: %v", err)
	}
	req := intake.Request{Tenant: tenant(r.RequestContext.Identity), Type: t.Type, Input: t.Input}
	if t.Priority != nil {
		if *t.Priority == "" {
			return intake.Request{}, invalid(`"priority" is empty; it is "normal" or "bulk"`)
		}
		req.Priority = *t.Priority
	}
	if t.Deadline != nil {
		req.Deadline = &t.Deadline.Time
	}
	if t.TTL != nil {
		req.TTL = (*time.Duration)(t.TTL)
	}
	if t.Delay != nil {
		req.Delay = time.Duration(*t.Delay)
	}
	if key, ok := header(r, "Idempotency-Key"); ok {
		req.IdempotencyKey = &key
	}
	return req, nil
}

func bodyOf(r *request) ([]byte, error) {
	body := []byte(r.Body)
	if r.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(r.Body)
		if err != nil {
			return nil, invalid("the body is not base64")
		}
		body = decoded
	}
	if len(body) > maxBody {
		return nil, &intake.RefusedError{Code: intake.CodeTooLarge, Detail: fmt.Sprintf("the body has %d bytes; at most %d are read", len(body), maxBody)}
	}
	if !utf8.Valid(body) {
		return nil, invalid("the body is not UTF-8")
	}
	return body, nil
}

// retryAfter is when it is worth asking again, in whole seconds: soon, or when
// a delayed task may begin.
func retryAfter(row *tasktable.Row, now time.Time) string {
	wait := retrySoonSeconds
	if row.Status == task.Queued {
		wait = max(wait, min(int(time.UnixMilli(row.ClaimableAt).Sub(now)/time.Second)+1, 60))
	}
	return strconv.Itoa(wait)
}
