package main

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/spillway-go/spillway/internal/adminapi"
)

func TestAdminUsage(t *testing.T) {
	t.Parallel()
	misused(t, []misuse{
		{"unknown command", []string{"dlq", "lst"}, `unknown command "lst" for "spillway dlq"`},
		{"unknown of task", []string{"task", "list", "--status", "failed"}, "unknown flag"},
		{"queue", []string{"dlq", "ls", "--queue", "backlog"}, "must be one of tasks, stream, saga"},
		{"list max", []string{"dlq", "ls", "--max", "1001"}, "--max must be 1 to 1000"},
		{"duration", []string{"dlq", "ls", "--older-than", "2 days"}, `unknown unit " days"`},
		{"negative age", []string{"dlq", "ls", "--older-than", "-2h"}, "--older-than must be more than nothing"},
		{"no age", []string{"dlq", "ls", "--newer-than", "0s"}, "--newer-than must be more than nothing"},
		{"no such age", []string{"dlq", "ls", "--newer-than", "1h", "--older-than", "2h"}, "nothing is older than 2h0m0s and newer than 1h0m0s"},
		{"empty filter", []string{"dlq", "replay", "--type", ""}, "--type is empty, which would match everything"},
		{"empty ids", []string{"dlq", "replay", "--id", ""}, "--id is empty, which would match everything"},
		{"rate", []string{"dlq", "replay", "--rate", "0"}, "--rate must be more than 0"},
		{"endless rate", []string{"dlq", "replay", "--rate", "Inf"}, "--rate must be more than 0"},
		{"max", []string{"dlq", "replay", "--max", "0"}, "--max must be at least 1"},
		{"canary", []string{"dlq", "replay", "--canary", "0"}, "--canary must be at least 1"},
		{"empty plan", []string{"dlq", "replay", "--plan", ""}, "--plan needs the plan's id"},
		{"plan and filter", []string{"dlq", "replay", "--plan", "x", "--type", "noop"}, "none of the others can be"},
		{"plan and dry run", []string{"dlq", "replay", "--plan", "x", "--dry-run"}, "none of the others can be"},
		{"native and filter", []string{"dlq", "replay", "--native", "--tenant", "x"}, "none of the others can be"},
		{"native and canary", []string{"dlq", "replay", "--native", "--canary", "1"}, "none of the others can be"},
		{"native and dry run", []string{"dlq", "replay", "--native", "--dry-run"}, "none of the others can be"},
		{"native and fast", []string{"dlq", "replay", "--native", "--rate", "501"}, "500 at most with --native"},
		{"replay of an id", []string{"dlq", "replay", "01X"}, "unknown command"},
		{"purge of another queue", []string{"dlq", "purge", "--queue", "saga", "--confirm", "tasks"}, `--confirm says "tasks", and --queue "saga"`},
		{"purge unconfirmed", []string{"dlq", "purge", "--yes"}, "--yes needs --confirm tasks"},
		{"purge max", []string{"dlq", "purge", "--max", "0"}, "--max must be at least 1"},
		{"restore what", []string{"dlq", "restore"}, "accepts 1 arg(s)"},
		{"stop what", []string{"dlq", "stop"}, "accepts 1 arg(s)"},
		{"show what", []string{"dlq", "show"}, "accepts 1 arg(s)"},
		{"messages of all jobs", []string{"dlq", "jobs", "--max", "3"}, "--max goes with a job"},
		{"no messages", []string{"dlq", "jobs", "01X", "--max", "0"}, "--max must be at least 1"},
		{"retry what", []string{"task", "retry"}, "which tasks?"},
		{"retry nothing", []string{"task", "retry", ""}, "the id is empty"},
		{"retry status", []string{"task", "retry", "--status", "succeeded"}, "must be one of failed, dead_lettered"},
		{"id and filter", []string{"task", "retry", "01X", "--status", "failed"}, "an id stands alone"},
		{"id and rate", []string{"task", "retry", "01X", "--rate", "1"}, "an id stands alone"},
		{"plan and status", []string{"task", "retry", "--plan", "x", "--status", "failed"}, "none of the others can be"},
		{"stream max", []string{"stream", "ls", "--max", "0"}, "--max must be 1 to 1000"},
		{"stream replay max", []string{"stream", "replay", "--max", "0"}, "--max must be at least 1"},
		{"fault of what", []string{"chaos", "set", "saga.BookCar"}, "accepts 2 arg(s)"},
		{"how often", []string{"chaos", "set", "saga.BookCar", "panic"}, "at least one of the flags in the group [times rate]"},
		{"times and rate", []string{"chaos", "set", "saga.BookCar", "panic", "--times", "1", "--rate", "1"}, "none of the others can be"},
		{"no times", []string{"chaos", "set", "saga.BookCar", "panic", "--times", "0"}, "--times must be 1 to 1000"},
		{"no rate", []string{"chaos", "set", "saga.BookCar", "panic", "--rate", "0"}, "--rate must be more than 0 and at most 1"},
		{"no number", []string{"chaos", "set", "saga.BookCar", "panic", "--rate", "NaN"}, "--rate must be more than 0 and at most 1"},
		{"percent", []string{"chaos", "set", "saga.BookCar", "panic", "--rate", "50%"}, "invalid argument"},
		{"no latency", []string{"chaos", "set", "saga.BookCar", "latency", "--times", "1"}, "the fault latency needs --latency"},
		{"latency of a panic", []string{"chaos", "set", "saga.BookCar", "panic", "--times", "1", "--latency", "1s"}, "--latency goes with the fault latency"},
		{"negative latency", []string{"chaos", "set", "saga.BookCar", "latency", "--times", "1", "--latency", "-1s"}, "--latency must be at least 1ms"},
		{"for too long", []string{"chaos", "set", "saga.BookCar", "panic", "--times", "1", "--for", "2h"}, "--for must be 1s to 1h"},
		{"clear nothing", []string{"chaos", "clear", ""}, "the target is empty"},
		{"clear two", []string{"chaos", "clear", "a", "b"}, "accepts at most 1 arg(s)"},
		{"list of a target", []string{"chaos", "ls", "saga.BookCar"}, "unknown command"},
		{"stream replay nothing", []string{"stream", "replay", "--id", ""}, "--id is empty"},
	})
}

func TestAdminHelp(t *testing.T) {
	t.Parallel()
	shows(t, []showing{
		{nil, []string{"dlq", "stream", "task "}},
		{[]string{"dlq"}, []string{"Exit codes", "replay", "purge", "--admin-function"}},
		{[]string{"dlq", "replay", "--help"}, []string{"--canary", "Ctrl-C", "--older-than"}},
		{[]string{"stream"}, []string{"Exit codes", "replay"}},
		{[]string{"chaos"}, []string{"Exit codes", "clear", "ChaosEnabled"}},
		{[]string{"chaos", "set", "--help"}, []string{"error_after_effect", "--rate", "a second"}},
		{[]string{"__complete", "chaos", "set", "saga.BookCar", ""}, []string{"panic", "throttle"}},
		{[]string{"task"}, []string{"Exit codes", "retry"}},
		{[]string{"__complete", "dlq", "purge", "--queue", ""}, []string{"tasks", "saga"}},
		{[]string{"__complete", "task", "retry", "--status", ""}, []string{"failed", "dead_lettered"}},
		{[]string{"__complete", "dlq", ""}, []string{"groups", "jobs"}},
	})
}

func TestAdminIsFound(t *testing.T) {
	t.Parallel()
	w := newWire(t, only(adminapi.JobsAnswer{Jobs: []adminapi.Job{}}))
	unasked := newTestApp(t).stack
	tests := []struct {
		name string
		set  func(*testApp)
		args []string
		code int
		want string
	}{
		{"by the stack", func(*testApp) {}, nil, exitOK, "no jobs"},
		{"by a flag", func(ta *testApp) { ta.stack = unasked }, []string{"--admin-function", "spillway-Admin"}, exitOK, "no jobs"},
		{"by the environment", func(ta *testApp) { ta.stack, ta.env["SPILLWAY_ADMIN_FUNCTION"] = unasked, "spillway-Admin" }, nil, exitOK, "no jobs"},
		{"beside the API's address", func(*testApp) {}, []string{"--api-url", "http://127.0.0.1:1/live"}, exitOK, "no jobs"},
		{"with stand-ins on this machine", func(ta *testApp) { ta.cfg.Credentials, ta.cfg.Region = nil, "" }, nil, exitOK, "no jobs"},
		{"an older stack", func(ta *testApp) { ta.stack = stackOf("spillway", "UPDATE_COMPLETE", nil) }, nil, exitFailed, "no output AdminFunctionName"},
		{"no stack", func(ta *testApp) { ta.stack = stackOf("other", "", nil) }, nil, exitFailed, `no stack named "spillway"`},
		{"not allowed", func(ta *testApp) {
			ta.stack = func(string) (*cloudformation.DescribeStacksOutput, error) {
				return nil, awsError("AccessDenied", "no")
			}
		}, nil, exitFailed, "--admin-function"},
		{"no credentials", func(ta *testApp) { ta.cfg.Credentials, ta.cfg.BaseEndpoint = nil, nil }, nil, exitFailed, "no AWS credentials"},
		{"stand-ins for an API here", func(ta *testApp) { ta.cfg.Credentials, ta.cfg.BaseEndpoint = nil, nil }, []string{"--api-url", "http://127.0.0.1:1"}, exitFailed, "for this machine only"},
		{"no region", func(ta *testApp) { ta.cfg.Region, ta.cfg.BaseEndpoint = "", nil }, nil, exitFailed, "--region"},
		{"no profile", func(*testApp) {}, []string{"--profile", "lost"}, exitFailed, "list-profiles"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ta := w.newOperator()
			tt.set(ta)
			if code := ta.try(t, "", append([]string{"dlq", "jobs"}, tt.args...)...); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			mustContain(t, "stderr", ta.stderr.String(), tt.want)
		})
	}
}

func TestExplainsWhatLambdaSays(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer noReply
		want   string
	}{
		{"no function", noReply{status: 404, code: "ResourceNotFoundException"}, `there is no function "spillway-Admin" in eu-west-1`},
		{"not allowed", noReply{status: 403, code: "AccessDeniedException"}, "lambda:InvokeFunction on spillway-Admin"},
		{"busy", noReply{status: 429, code: "TooManyRequestsException"}, "busy with other calls"},
		{"being deployed", noReply{status: 409, code: "ResourceConflictException"}, "is being deployed"},
		{"expired", noReply{status: 403, code: "ExpiredTokenException"}, "aws sso login"},
		{"its own error", noReply{status: 500, code: "ServiceException"}, "AWS answered ServiceException: Lambda says no"},
		{"died", noReply{functionError: "Unhandled", body: `{"errorType":"Runtime.ExitError","errorMessage":"exit \u001b[2J status 2"}`}, "broke off during dlq.stop (Runtime.ExitError exit �[2J status 2)"},
		{"died silently", noReply{functionError: "Unhandled", body: `-`}, "no reason given"},
		{"no JSON", noReply{body: "hello"}, "did not answer dlq.stop as the admin function does"},
		{"another function", noReply{body: `{"statusCode":200}`}, "did not answer dlq.stop as the admin function does"},
		{"null", noReply{body: `null`}, "did not answer dlq.stop as the admin function does"},
		{"other types", noReply{body: `{"ok":true,"status":{}}`}, "of one version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, only(tt.answer))
			ta := w.newOperator()
			if code := ta.try(t, "", "dlq", "stop", "01X"); code != exitFailed {
				t.Errorf("exit %d", code)
			}
			mustContain(t, "stderr", ta.stderr.String(), tt.want)
			if n := len(w.sent()); n != 1 { // what changes something is not repeated
				t.Errorf("%d calls", n)
			}
		})
	}

	ta := newWire(t, nil).newOperator()
	ta.cfg.HTTPClient = awshttp.NewBuildableClient() // as a loaded configuration has it
	ta.cfg.RetryMaxAttempts = 1
	if code := ta.try(t, "", "dlq", "jobs", "--api-url", "http://127.0.0.1:2"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "nothing answers at http://127.0.0.1:1: start it with `make run`")
}

// Who cannot be named may work all the same.
func TestCallerIsNotKnown(t *testing.T) {
	t.Parallel()
	ta := newTestApp(t)
	ta.caller = func() (*sts.GetCallerIdentityOutput, error) { return nil, awsError("AccessDenied", "no") }
	if by := (&operator{app: ta.app}).caller(t.Context()); by != "" {
		t.Errorf("by %q", by)
	}
	ta.caller = func() (*sts.GetCallerIdentityOutput, error) {
		return &sts.GetCallerIdentityOutput{Arn: aws.String(strings.Repeat("x", 300))}, nil
	}
	if by := (&operator{app: ta.app}).caller(t.Context()); len([]rune(by)) != 200 {
		t.Errorf("by %q", by)
	}
}

func TestGivenWords(t *testing.T) {
	t.Parallel()
	w := newWire(t, only(adminapi.PurgeAnswer{JobID: "01PURGE", Matched: 3, Done: true}))
	ta := w.newOperator()
	if code := ta.try(t, "", "dlq", "purge", "--queue", "saga", "--type", "a b", "--id", "x,y", "--older-than", "90m", "--max", "5"); code != exitUsage {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "spillway dlq purge --type 'a b' --older-than 1h30m0s --id x --id y --queue saga --max 5 --confirm saga --yes")
	w.wants("dlq.purge", `,"queue":"saga","filter":{"type":"a b","older_than":"1h30m0s","ids":["x","y"]},"confirm":"saga","max":5,"dry_run":true`+byMe)
}
