//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/client"
)

// What the suite puts into inputs, and no log may show: a text, and a number,
// which errors of encoding/json quote.
const (
	canary       = "canary-7d1f09"
	canaryNumber = "86753091234"
)

// forbidden is what no line of a log may have.
var forbidden = []struct {
	what string
	is   *regexp.Regexp
}{
	{"an input", regexp.MustCompile(canary + "|" + canaryNumber)},
	{"a token in a URL", regexp.MustCompile(`token=|s3cr3t`)},
	{"a webhook secret", regexp.MustCompile(`whsec_[A-Za-z0-9+/]`)},
	{"a webhook signature", regexp.MustCompile(`(?i)webhook-signature|\bv1,[A-Za-z0-9+/]{43}=`)},
	{"a signature of AWS", regexp.MustCompile(`AWS4-HMAC-SHA256|(?i:x-amz-security-token|x-amz-signature)`)},
	{"credentials of AWS", regexp.MustCompile(`\bA(SIA|KIA)[A-Z0-9]{16}\b|(?i:aws_?secret_?access_?key|aws_?session_?token)`)},
}

// usedSecrets are the webhook secrets that the stack has had.
var usedSecrets struct {
	sync.Mutex
	texts []string
}

// leaks says what a line of a log has that it may not.
func leaks(line string, secrets []string) (found []string) {
	for _, f := range forbidden {
		if f.is.MatchString(line) {
			found = append(found, f.what)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(line, strings.TrimPrefix(secret, "whsec_")) {
			return append(found, "the webhook secret")
		}
	}
	return found
}

// What makes the audit worth something: it finds what it looks for.
func TestAuditFindsLeaks(t *testing.T) {
	t.Parallel()
	secret := newSecret()
	for line, want := range map[string]string{
		`{"message":"attempt failed","error":"bad payload {\"n\":\"` + canary + `\"}"}`:                          "an input",
		`{"message":"x","error":"json: cannot unmarshal number ` + canaryNumber + ` into Go value of type int"}`: "an input",
		`{"message":"sent to https://example.com/hooks?token=abc"}`:                                              "a token in a URL",
		`{"secret":"` + secret + `"}`:                                                                 "a webhook secret the webhook secret",
		`{"key":"` + strings.TrimPrefix(secret, "whsec_") + `"}`:                                      "the webhook secret",
		`{"headers":{"Webhook-Signature":"none"}}`:                                                    "a webhook signature",
		`{"signed":"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="}`:                                "a webhook signature",
		`{"error":"Authorization: AWS4-HMAC-SHA256 Credential=x"}`:                                    "a signature of AWS",
		`{"env":["AWS_SECRET_ACCESS_KEY=abc"]}`:                                                       "credentials of AWS",
		`{"id":"ASIAIOSFODNN7EXAMPLE"}`:                                                               "credentials of AWS",
		`{"message":"task accepted","task_id":"01M8G43RKKQHX49WFJYS1F43YK","type":"webhook.deliver"}`: "",
		`{"message":"x","secret":"whsec_[redacted]"}`:                                                 "",
	} {
		if got := strings.Join(leaks(line, []string{secret}), " "); got != want {
			t.Errorf("%s: found %q, want %q", line, got, want)
		}
	}
}

// logLine is an event of a function's log.
type logLine struct {
	group, text string
}

const (
	// maxLogEvents bounds an audit; the suite makes some hundred thousand.
	maxLogEvents = 2_000_000
	logPage      = 10_000
)

// logsCall calls an operation of CloudWatch Logs, which is not worth a module of
// the SDK.
func logsCall(ctx context.Context, operation string, in map[string]any, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, aws.ToString(stack.cfg.BaseEndpoint)+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Logs_20140328."+operation)
	status, _, answer, err := signedRoundTrip(req, "logs", body, 64<<20) // an emulator may answer more than the 1 MB of AWS
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s: %d %.200s", operation, status, answer)
	}
	return json.Unmarshal([]byte(answer), out)
}

// stackLogs calls fn for every line in the log groups of the stack's functions.
func stackLogs(ctx context.Context, fn func(logLine)) error {
	n := 0
	// The template's groups, and those that Lambda has without one: an emulator
	// that does not know LoggingConfig writes there.
	for _, prefix := range []string{"/spillway/" + stack.name + "/", "/aws/lambda/" + stack.name + "-"} {
		var groups struct {
			LogGroups []struct{ LogGroupName string }
		}
		if err := logsCall(ctx, "DescribeLogGroups", map[string]any{"logGroupNamePrefix": prefix}, &groups); err != nil {
			return err
		}
		for _, group := range groups.LogGroups {
			short := shortGroup(strings.TrimPrefix(group.LogGroupName, prefix))
			err := groupLogs(ctx, group.LogGroupName, func(text string) error {
				if n++; n > maxLogEvents {
					return fmt.Errorf("more than %d lines in the logs", maxLogEvents)
				}
				fn(logLine{short, text})
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

var functionName = regexp.MustCompile(`^([A-Z][A-Za-z]*)Function-`)

// shortGroup is the name that the template gives a function's group.
func shortGroup(name string) string {
	m := functionName.FindStringSubmatch(name)
	switch {
	case m == nil:
		return name
	case m[1] != "Cancel" && regexp.MustCompile(`^(Book|Cancel)`).MatchString(m[1]):
		return "trip"
	default:
		return strings.ToLower(m[1])
	}
}

// groupLogs calls fn for every line of a group.
func groupLogs(ctx context.Context, group string, fn func(text string) error) error {
	in := map[string]any{"logGroupName": group}
	for {
		var streams struct {
			LogStreams []struct{ LogStreamName string }
			NextToken  string
		}
		if err := logsCall(ctx, "DescribeLogStreams", in, &streams); err != nil {
			return err
		}
		for _, s := range streams.LogStreams {
			if err := streamLogs(ctx, group, s.LogStreamName, fn); err != nil {
				return err
			}
		}
		if streams.NextToken == "" {
			return nil
		}
		in["nextToken"] = streams.NextToken
	}
}

// streamLogs pages through one stream: its end is where the token stays.
func streamLogs(ctx context.Context, group, stream string, fn func(text string) error) error {
	in := map[string]any{"logGroupName": group, "logStreamName": stream, "startFromHead": true, "limit": logPage}
	for {
		var page struct {
			Events           []struct{ Message string }
			NextForwardToken string
		}
		if err := logsCall(ctx, "GetLogEvents", in, &page); err != nil {
			return err
		}
		for _, e := range page.Events {
			if err := fn(e.Message); err != nil {
				return err
			}
		}
		if page.NextForwardToken == "" || page.NextForwardToken == in["nextToken"] {
			return nil
		}
		in["nextToken"] = page.NextForwardToken
	}
}

// platformLine is what Lambda itself, or an emulator of it, writes into a
// function's log: START, END, REPORT and the like, as text or as an event.
var platformLine = regexp.MustCompile(`^(START|END|REPORT|INIT_START|INIT_REPORT|EXTENSION|TELEMETRY) |^\{"time": ?"[^"]*", ?"type": ?"platform\.|Task timed out after|^RequestId: \S+ Error: |^$`)

var documentedField = regexp.MustCompile("`([A-Za-z_]+)`")

// logFields are the fields that docs/security.md says a line may have.
func logFields() (map[string]bool, error) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "security.md"))
	if err != nil {
		return nil, err
	}
	_, section, ok := strings.Cut(string(text), "\n### The fields\n")
	section, _, _ = strings.Cut(section, "\n#")
	fields := map[string]bool{}
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, m := range documentedField.FindAllStringSubmatch(cells[1], -1) {
				fields[m[1]] = true
			}
		}
	}
	if !ok || len(fields) == 0 {
		return nil, errors.New("docs/security.md lists no fields of the logs")
	}
	return fields, nil
}

var textField = regexp.MustCompile(`([A-Za-z_.]+)=("(?:[^"\\]|\\.)*"|\S*)`)

// fieldsOf are the names of a line's fields. On AWS lines are JSON; an emulator
// that does not know LoggingConfig makes functions write the text of log/slog.
func fieldsOf(line string) (names []string) {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(line), &object) == nil {
		return slices.Sorted(maps.Keys(object))
	}
	if strings.HasPrefix(line, "timestamp=") {
		for _, m := range textField.FindAllStringSubmatch(line, -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// audit is what was found in the logs.
type audit struct {
	lines    map[string]int // by group
	findings []string
}

// auditStack reads all that the stack's functions have logged, and looks for
// what may not be there and for fields that nobody has written down.
func auditStack(ctx context.Context) (audit, error) {
	a := audit{lines: map[string]int{}}
	secrets, err := allSecrets(ctx)
	if err != nil {
		return a, err
	}
	fields, err := logFields()
	if err != nil {
		return a, err
	}
	seen := map[string]bool{}
	report := func(l logLine, what string) {
		if key := l.group + what; !seen[key] {
			seen[key] = true
			a.findings = append(a.findings, fmt.Sprintf("%s: %s in: %.400s", l.group, what, l.text))
		}
	}
	err = stackLogs(ctx, func(l logLine) {
		l.text = strings.TrimSpace(l.text)
		a.lines[l.group]++
		for _, what := range leaks(l.text, secrets) {
			report(l, what)
		}
		if platformLine.MatchString(l.text) {
			return
		}
		names := fieldsOf(l.text)
		if len(names) == 0 {
			report(l, "something that is no line of ours")
		}
		for _, name := range names {
			if !fields[name] {
				report(l, "the field "+name+", which docs/security.md does not list,")
			}
		}
	})
	return a, err
}

// allSecrets are the webhook secrets that the stack has, and has had.
func allSecrets(ctx context.Context) ([]string, error) {
	s, err := secretOf(ctx)
	if err != nil {
		return nil, err
	}
	usedSecrets.Lock()
	defer usedSecrets.Unlock()
	return slices.DeleteFunc(append(slices.Clone(usedSecrets.texts), s.Current, s.Previous), func(s string) bool { return s == "" }), nil
}

// auditLogs fails for what the logs of the whole run may not have. It is called
// when all tests have ended.
func auditLogs(ctx context.Context) error {
	a, err := auditStack(ctx)
	if err != nil {
		return fmt.Errorf("audit of the logs: %w", err)
	}
	fmt.Fprintf(os.Stderr, "audit of the logs: %d lines of %d log groups\n", sumOf(a.lines), len(a.lines))
	if len(a.findings) > 0 {
		return fmt.Errorf("the functions' logs have what they may not:\n  %s", strings.Join(a.findings, "\n  "))
	}
	return nil
}

func sumOf(counts map[string]int) (n int) {
	for c := range maps.Values(counts) {
		n += c
	}
	return n
}

// Every function is given something that it must not repeat: in inputs that are
// worked on, refused or malformed, in messages of strangers, in commands, and in
// events that are none.
func TestLogsQuoteNothing(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	hook := func(path string) map[string]any {
		return map[string]any{"url": r.URL + path + "?token=" + canary, "event": canary, "payload": map[string]any{canary: canary}}
	}
	submitted := map[string]client.Status{} // tasks, and how each has to end
	accept := func(kind string, input any, end client.Status, change ...func(*client.SubmitRequest)) string {
		req := client.SubmitRequest{Type: kind, Input: input, IdempotencyKey: fmt.Sprintf("%s-%d-%d", canary, len(submitted), time.Now().UnixNano())}
		for _, c := range change {
			c(&req)
		}
		task, err := stack.api.Submit(t.Context(), req)
		if err != nil {
			t.Fatalf("submit %s: %v", kind, err)
		}
		submitted[task.ID] = end
		return task.ID
	}
	callback := func(s *client.SubmitRequest) { s.CallbackURL = r.URL + "/ok/" + canary + "?token=" + canary }
	late := func(s *client.SubmitRequest) { s.TTL, s.Delay = time.Second, 2*time.Second }

	accept("webhook.deliver", hook("/ok/"+canary), client.Succeeded, callback)
	accept("webhook.deliver", hook("/flaky/1/503"), client.Succeeded)
	accept("webhook.deliver", hook("/status/404"), client.Failed, callback)
	dead := accept("webhook.deliver", hook("/status/500"), client.DeadLettered, callback)
	accept("webhook.deliver", hook("/ok"), client.Expired, late)
	accept("webhook.deliver", map[string]any{"url": "http://169.254.169.254/" + canary, "event": "e", "payload": canary}, client.Failed)
	accept("webhook.deliver", map[string]any{"url": "http://127.0.0.1:1/" + canary + "?token=" + canary, "event": "e", "payload": canary}, client.DeadLettered)
	stock := map[string]string{"hotel": "hotel-" + canary, "flight": "flight-" + canary, "car": "car-" + canary}
	for kind, available := range map[string]int{"hotel": 9, "flight": 9, "car": 1} {
		asked(t, "inventory.put", fields{"items": []fields{{"id": stock[kind], "available": available}}})
	}
	booking := trip(stock)
	booking["traveler"] = canary
	accept("trip.book", booking, client.Succeeded)
	missing := maps.Clone(stock)
	missing["car"] = "car-" + canary + "-gone" // undone: nobody has this one
	booking = trip(missing)
	booking["traveler"] = canary
	accept("trip.book", booking, client.Failed)

	// What is refused at once, with each of the ways to say no.
	number := json.RawMessage(canaryNumber)
	for _, body := range []string{
		canary, `{"type":"` + canary + `","input":{}}`, `{"type":"webhook.deliver","input":{"url":` + canaryNumber + `}}`,
		`{"type":"webhook.deliver","input":{"` + canary + `":1}}`, `{"` + canary + `":1}`, `{"type":"trip.book","input":{"traveler":"` + canary + `"}}`,
		`{"type":"webhook.deliver","ttl":"` + canary + `","input":1}`, `{"type":"trip.book","input":{"hotel":{"nights":"` + canary + `"}}}`,
		`{"type":"webhook.deliver","input":{"url":"https://user:` + canary + `@example.com","event":"e","payload":1}}`,
		`{"type":"webhook.deliver","input":{"url":"https://example.com","event":"e","payload":1},"callback_url":"https://` + canary + `@example.com"}`,
	} {
		status, _, _ := exchange(t, "POST", stack.out["ApiUrl"]+"/tasks", body, map[string]string{"Content-Type": "application/json", "Idempotency-Key": canary})
		if status/100 != 4 {
			t.Errorf("%s was answered %d", body, status)
		}
	}
	for _, path := range []string{"/tasks?cursor=" + canary, "/tasks/" + canary, "/tasks?status=" + canary, "/tasks?type=" + canary} {
		exchange(t, "GET", stack.out["ApiUrl"]+path, "", nil)
	}

	// Messages of strangers, and commands.
	send(t, stack.out["TasksQueueUrl"], "hello "+canary, map[string]types.MessageAttributeValue{"note": text(canary)})
	send(t, stack.out["TasksQueueUrl"], `{"v":1,"task_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","run":"`+canary+`","input":`+canaryNumber+`}`, nil)
	send(t, stack.out["StreamFailuresQueueUrl"], canary, nil)
	send(t, stack.out["StreamFailuresQueueUrl"], `{"requestContext":{"condition":`+canaryNumber+`}}`, nil)
	for _, c := range []fields{
		{"command": canary},
		{"command": "dlq.list", canary: 1},
		{"command": "dlq.list", "limit": canary},
		{"command": "dlq.replay", "dry_run": true, "filter": fields{"error_contains": canary}},
		{"command": "dlq.replay", "filter": fields{"older_than": canary}},
		{"command": "task.get", "task_id": canary},
		{"command": "task.get", "task_id": number},
		{"command": "saga.skip", "execution": canary + "-1", "step": "CancelCar", "reason": canary},
		{"command": "inventory.put", "items": []fields{{"id": canary, "available": -1}}},
		{"command": "chaos.set", "target": canary, "fault": canary},
	} {
		name, _ := c["command"].(string)
		admin(t, name, c)
	}
	adminRaw(t, []byte(`"`+canary+`"`))
	finish(t, dead)
	deadLetter(t, ofTask(dead))
	asked(t, "dlq.list", nil)

	// Events that are none: what a function returns as an error, Lambda's runtime
	// logs.
	for _, output := range functionOutputs() {
		for _, event := range []string{`"` + canary + `"`, canaryNumber, `{"Records":` + canaryNumber + `,"detail":` + canaryNumber + `}`, `{"Records":[{"body":"` + canary + `","dynamodb":` + canaryNumber + `}]}`} {
			invokeRaw(t, stack.out[output], event)
		}
	}
	for _, step := range []string{"BookHotel", "CancelHotel"} {
		invokeRaw(t, physicalName(t, step), `{"task_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","run":1,"key":"`+canary+`","step":"`+step+`","input":{"traveler":`+canaryNumber+`}}`)
	}

	for id, end := range submitted {
		if task := finish(t, id); task.Status != end {
			t.Errorf("task %s is %s, want %s (%+v)", id, task.Status, end, task.Error)
		}
	}
	// The log has them: what follows has looked at it.
	eventually(t, func() error {
		logged := map[string]bool{}
		err := stackLogs(t.Context(), func(l logLine) {
			for id := range submitted {
				logged[id] = logged[id] || strings.Contains(l.text, id)
			}
		})
		if err == nil && !logged[dead] {
			err = fmt.Errorf("no line of the log has the task %s", dead)
		}
		return err
	})
	a, err := auditStack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []string{"submit", "status", "cancel", "worker", "notify", "rescue", "admin", "trip", "recover"} {
		if a.lines[group] == 0 {
			t.Errorf("nothing in the log of %s", group)
		}
	}
	for _, finding := range a.findings {
		t.Error(finding)
	}
	t.Logf("%d lines", sumOf(a.lines))
}

// invokeRaw calls a function with an event that it may make nothing of.
func invokeRaw(t *testing.T, function, event string) {
	t.Helper()
	_, err := stack.lambdas.Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: &function, Payload: []byte(event), InvocationType: lambdatypes.InvocationTypeRequestResponse,
	}, func(o *lambda.Options) { o.RetryMaxAttempts = 1 })
	if err != nil {
		t.Fatalf("invoke %s with %s: %v", function, event, err)
	}
}
