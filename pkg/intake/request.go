package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Bounds of a request.
const (
	// MaxAhead is how far ahead a deadline may be; it is also the default.
	MaxAhead = 7 * 24 * time.Hour
	// MaxDelay is SQS's limit for delayed messages
	// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
	MaxDelay = 15 * time.Minute
	// MaxKey is the length of the longest idempotency key.
	MaxKey = 128
	// MaxInput is the size of the largest input that any configuration takes.
	MaxInput = 262144
)

// Request is a task that somebody hands in.
type Request struct {
	Tenant         string // 1 to 128 visible ASCII characters
	Type           string
	Input          json.RawMessage
	Priority       task.Priority // normal when empty
	Deadline       *time.Time    // at most one of Deadline and TTL
	TTL            *time.Duration
	Delay          time.Duration
	IdempotencyKey *string

	// CallbackURL is where the task's end is told; nobody is told when it is
	// empty. It has to be a URL that a webhook.deliver task takes, which
	// [Types] must know then.
	CallbackURL string

	// ID makes the request repeatable without an idempotency key, for callers
	// inside of the system that can compute it: the same id is the same task,
	// for as long as the table keeps it. A ULID; a new one when empty. Not
	// together with IdempotencyKey.
	ID string
}

// callbackType is the type of the tasks that deliver callbacks: webhook.Type,
// without linking what that package needs to deliver.
const callbackType = "webhook.deliver"

// Types knows which task types there are; [*task.Mux] does.
type Types interface {
	Check(name string, input json.RawMessage) error
}

// checked is a request that has passed validation.
type checked struct {
	Request
	deadline time.Time
	late     bool // the deadline has passed: nothing new is accepted
}

// check validates a request at an instant and compacts its input.
func (r Request) check(now time.Time, types Types, maxInput int) (checked, error) {
	c := checked{Request: r}
	if !task.VisibleASCII(r.Tenant, workqueue.MaxTenant) { // what a message can carry
		return c, refuse(CodeInvalid, "the tenant must be 1 to %d visible ASCII characters", workqueue.MaxTenant)
	}
	if r.Type == "" {
		return c, refuse(CodeInvalid, `"type" is missing`)
	}
	if len(r.Input) == 0 {
		return c, refuse(CodeInvalid, `"input" is missing`)
	}
	input, err := normalise(r.Input)
	if err != nil {
		return c, refuse(CodeInvalid, `"input" is not JSON in UTF-8: %v`, err)
	}
	if len(input) > maxInput {
		return c, refuse(CodeTooLarge, "the input has %d bytes as compact JSON; at most %d are taken", len(input), maxInput)
	}
	c.Input = input
	if c.Priority == "" {
		c.Priority = task.Normal
	}
	if !c.Priority.Known() {
		return c, refuse(CodeInvalid, `"priority" is %q; it is "normal" or "bulk"`, task.CleanText(string(r.Priority), 32))
	}
	if r.Deadline != nil { // as it is stored and compared
		at := task.At(*r.Deadline).Time
		c.Deadline = &at
	}
	if c.deadline, err = c.until(now); err != nil {
		return c, err
	}
	c.late = !c.deadline.After(now)
	if r.Delay < 0 || r.Delay > MaxDelay {
		return c, refuse(CodeInvalid, `"delay" is %s; it is between 0s and %s`, r.Delay, MaxDelay)
	}
	if r.IdempotencyKey != nil && !task.VisibleASCII(*r.IdempotencyKey, MaxKey) {
		return c, refuse(CodeInvalid, "Idempotency-Key must be 1 to %d visible ASCII characters", MaxKey)
	}
	if err := r.checkID(); err != nil {
		return c, err
	}
	err = types.Check(r.Type, input)
	switch {
	case errors.Is(err, task.ErrUnknownType):
		return c, refuse(CodeUnknownType, "%v", err)
	case err != nil:
		return c, refuse(CodeInvalid, `"input" does not match type %s: %s`, r.Type, explain(err))
	}
	return c, r.checkCallback(types)
}

func (r Request) checkID() error {
	if r.ID == "" {
		return nil
	}
	if r.IdempotencyKey != nil {
		return refuse(CodeInvalid, "give an id or an idempotency key, not both")
	}
	// In the one spelling that ids have, or the same task could be there twice.
	if id, err := ulid.ParseStrict(r.ID); err != nil || id.String() != r.ID {
		return refuse(CodeInvalid, "the id is not a ULID")
	}
	return nil
}

// checkCallback refuses a callback that could not be delivered, as submitting
// the delivery would.
func (r Request) checkCallback(types Types) error {
	if r.CallbackURL == "" {
		return nil
	}
	if !utf8.ValidString(r.CallbackURL) { // it would be stored as another one
		return refuse(CodeInvalid, `"callback_url" is not UTF-8`)
	}
	delivery, err := json.Marshal(map[string]any{"url": r.CallbackURL, "event": "task.succeeded", "payload": nil})
	if err != nil {
		return err // strings only: it cannot happen
	}
	switch err := types.Check(callbackType, delivery); {
	case errors.Is(err, task.ErrUnknownType):
		return refuse(CodeInvalid, `"callback_url" is not supported: there is no task type %s to deliver it`, callbackType)
	case err != nil:
		return refuse(CodeInvalid, `"callback_url" %s`, strings.TrimPrefix(explain(err), "url: "))
	}
	return nil
}

// repeatedBy names what finds the task of an earlier request.
func (r Request) repeatedBy() string {
	if r.IdempotencyKey != nil {
		return "Idempotency-Key"
	}
	return "id"
}

// until is the deadline that a request asks for.
func (r Request) until(now time.Time) (time.Time, error) {
	switch {
	case r.Deadline != nil && r.TTL != nil:
		return time.Time{}, refuse(CodeInvalid, `give "deadline" or "ttl", not both`)
	case r.TTL != nil:
		if *r.TTL <= 0 || *r.TTL > MaxAhead {
			return time.Time{}, refuse(CodeInvalid, `"ttl" is %s; it is above 0s and at most %s`, *r.TTL, MaxAhead)
		}
		return now.Add(*r.TTL), nil
	case r.Deadline != nil:
		if r.Deadline.Sub(now) > MaxAhead {
			return time.Time{}, refuse(CodeInvalid, `"deadline" is more than %s ahead`, MaxAhead)
		}
		return *r.Deadline, nil
	default:
		return now.Add(MaxAhead), nil
	}
}

// fingerprint identifies a request's content, so that an idempotency key used
// for something else is noticed.
func (c checked) fingerprint() string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	content := []any{c.Type, c.Priority, c.Deadline, c.TTL, c.Delay, c.Input}
	if c.CallbackURL != "" { // keys that were used before there were callbacks stay good
		content = append(content, c.CallbackURL)
	}
	// Encoding strings, times and valid JSON into a hash cannot fail.
	_ = enc.Encode(content)
	return hex.EncodeToString(h.Sum(nil))
}

var errNotUTF8 = errors.New("invalid UTF-8")

// normalise compacts JSON, so that its size does not depend on its writer.
func normalise(input json.RawMessage) (json.RawMessage, error) {
	if !utf8.Valid(input) {
		return nil, errNotUTF8
	}
	var b bytes.Buffer
	if err := json.Compact(&b, input); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
