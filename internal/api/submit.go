package api

import (
	"context"
	"encoding/base64"
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

// Handle is the Lambda handler.
func (s *Submit) Handle(ctx context.Context, r request) (response, error) {
	ctx, done := inTime(ctx)
	defer done()
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

// parse is what a request asks for.
func (s *Submit) parse(r *request) (intake.Request, error) {
	contentType, _ := header(r, "Content-Type")
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/json" {
		return intake.Request{}, &intake.RefusedError{Code: codeMediaType, Detail: "send the task as application/json"}
	}
	body, err := bodyOf(r)
	if err != nil {
		return intake.Request{}, err
	}
	t, err := decodeTask(body)
	if err != nil {
		return intake.Request{}, err
	}
	req := t.request()
	req.Tenant = tenant(r.RequestContext.Identity)
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
