package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/task"
)

const streamARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/" + tasksTable + "/stream/2026-06-11T12:00:01.002"

func TestStreamList(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.is(f.ok(`{"command":"stream.list"}`), nil, `{"ok": true, "ranges": [], "records": []}`)
		at := task.At(time.Now())
		f.streams.ranges = []rescue.FailedRange{{
			ID: "r1", Source: "aws:dynamodb", Stream: "tasks", StreamARN: streamARN, ShardID: "shardId-1", First: "100", Last: "102", Records: 3,
			Condition: "RetryAttemptsExhausted", State: rescue.Rescued, Consumer: "notify", ArrivedAt: at, KeepUntil: at,
		}, {ID: "malformed-1", State: rescue.Malformed, Reason: "no JSON", ArrivedAt: at}}
		f.streams.records = []rescue.Record{{
			ID: "a-100", Source: "aws:dynamodb", Stream: "tasks", StreamARN: streamARN, ShardID: "shardId-1", SequenceNumber: "100", EventID: "e", Key: "k",
			Consumer: "notify", Error: rescue.Error{Code: "panic", Message: "panic: boom"}, Attempts: 3, ArchivedAt: at, ArchivedBy: rescue.ByHandler,
			KeepUntil: at, State: rescue.Archived, Size: 1027,
		}}
		f.is(f.ok(`{"command":"stream.list"}`), nil, `{"ok": true,
			"ranges": [
				{"id": "r1", "source": "aws:dynamodb", "stream": "tasks", "shard_id": "shardId-1", "first": "100", "last": "102", "records": 3,
				 "condition": "RetryAttemptsExhausted", "state": "archived", "consumer": "notify", "arrived_at": "TIME", "keep_until": "TIME"},
				{"id": "malformed-1", "shard_id": "", "first": "", "last": "", "records": 0, "condition": "", "state": "malformed", "reason": "no JSON", "arrived_at": "TIME"}
			],
			"records": [
				{"id": "a-100", "source": "aws:dynamodb", "stream": "tasks", "stream_arn": "", "shard_id": "shardId-1", "sequence_number": "100", "event_id": "e", "key": "k",
				 "consumer": "notify", "error": {"code": "panic", "message": "panic: boom"}, "attempts": 3, "archived_at": "TIME", "archived_by": "handler",
				 "keep_until": "TIME", "state": "archived", "size": 1027}
			]}`)
		for max, want := range map[string]int{"": 100, `,"max":0`: 100, `,"max":1`: 1, `,"max":1000`: 1000} {
			f.streams.limits = nil
			f.ok(`{"command":"stream.list"` + max + `}`)
			if diff := cmp.Diff([]int{want, want}, f.streams.limits); diff != "" {
				f.Errorf("%s: limits (-want +got):\n%s", max, diff)
			}
		}
		for _, max := range []string{"-1", "1001"} {
			if got := f.refused(`{"command":"stream.list","max":`+max+`}`, adminapi.CodeInvalid); got != "max is between 1 and 1000" {
				f.Error(got)
			}
		}
		f.streams.err = fmt.Errorf("list stream: %w", awsError("DynamoDB", "Query", "AccessDeniedException"))
		f.refused(`{"command":"stream.list"}`, adminapi.CodeUnavailable)
	})
}

func TestStreamReplay(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.streams.replay = rescue.Replay{Matched: 3, Replayed: 1, Refused: 1, Failed: 1, Done: true, Records: []rescue.RecordOutcome{
			{ID: "a-100", Outcome: rescue.OutcomeReplayed},
			{ID: "a-101", Outcome: rescue.OutcomeRefused, Reason: rescue.ReasonStale},
			{ID: "a-102", Outcome: rescue.OutcomeFailed, Reason: "the consumer reported it as failed"},
		}}
		f.is(f.ok(`{"command":"stream.replay","by":"me"}`), nil, `{"ok": true, "matched": 3, "replayed": 1, "refused": 1, "failed": 1, "done": true, "records": [
			{"id": "a-100", "outcome": "replayed"}, {"id": "a-101", "outcome": "refused", "reason": "stale"},
			{"id": "a-102", "outcome": "failed", "reason": "the consumer reported it as failed"}]}`)
		// Out of time, and then out of luck: what had been done is said all the same.
		f.streams.replay.Done = false
		for _, err := range []error{nil, awsError("Lambda", "Invoke", "TooManyRequestsException")} {
			f.streams.err = err
			if a := f.ok(`{"command":"stream.replay","ids":["a-100","a-101","a-102"],"max":7}`); a["done"] != false || a.text("note") != "not all was tried: repeat the command to go on" {
				f.Errorf("answer %v", a)
			}
		}
		f.streams.err = nil
		f.streams.replay = rescue.Replay{Done: true, Records: []rescue.RecordOutcome{}}
		f.is(f.ok(`{"command":"stream.replay","dry_run":true,"max":1000}`), nil, `{"ok": true, "matched": 0, "replayed": 0, "refused": 0, "failed": 0, "done": true, "records": []}`)
		want := []rescue.ReplayRequest{
			{Max: 100, By: "me"}, {IDs: []string{"a-100", "a-101", "a-102"}, Max: 7}, {IDs: []string{"a-100", "a-101", "a-102"}, Max: 7}, {Max: 1000, DryRun: true},
		}
		for i := range want {
			want[i].RequestID = requestIDOfTest
		}
		if diff := cmp.Diff(want, f.streams.asked); diff != "" {
			f.Errorf("asked for (-want +got):\n%s", diff)
		}
		f.streams.asked = nil
		for payload, message := range map[string]string{
			`"max":-1`: "max is between 1 and 1000", `"max":1001`: "max is between 1 and 1000", `"ids":[""]`: `"ids" is no id: it has 0 bytes`,
			`"ids":["` + strings.Repeat("x", 2000) + `"]`: `"ids" is no id: it has 2000 bytes, and an id has between 1 and 128`,
			`"ids":[` + repeated(`"x"`, 1001) + `]`:       "there are 1001 ids: at most 1000 are taken",
			`"ids":"x"`:                                   `"ids" is of the wrong type: string`,
			`"rate":-1`:                                   "rate is -1 records a second; it is between 0.01 and 10000",
			`"rate":0.001`:                                "rate is 0.001 records a second",
			`"rate":10001`:                                "rate is 10001 records a second",
		} {
			if got := f.refused(`{"command":"stream.replay",`+payload+`}`, adminapi.CodeInvalid); !strings.Contains(got, message) {
				f.Errorf("%.100s: %s, want %s", payload, got, message)
			}
		}
		if len(f.streams.asked) > 0 {
			f.Errorf("asked for %v", f.streams.asked)
		}
		f.streams.err = awsError("DynamoDB", "Query", "AccessDeniedException")
		f.refused(`{"command":"stream.replay"}`, adminapi.CodeUnavailable)
	})
}

// A replay that was stopped goes on by the id of its job.
func TestStreamReplayResumed(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.streams.replay = rescue.Replay{
			JobID: "job-1", Status: redrive.Stopped, StopAsked: true, Matched: 2, Replayed: 1,
			Records: []rescue.RecordOutcome{{ID: "a-100", Outcome: rescue.OutcomeReplayed}},
		}
		f.is(f.ok(`{"command":"stream.replay","job_id":"job-1","by":"me"}`), nil, `{"ok": true, "matched": 2, "replayed": 1, "refused": 0, "failed": 0, "done": false,
			"records": [{"id": "a-100", "outcome": "replayed"}], "job_id": "job-1", "status": "stopped", "stop_asked": true,
			"note": "the replay was stopped: the command with its job_id goes on with it"}`)
		if diff := cmp.Diff([]rescue.ReplayRequest{{JobID: "job-1", By: "me", RequestID: requestIDOfTest}}, f.streams.asked); diff != "" {
			f.Errorf("asked for (-want +got):\n%s", diff)
		}
		for _, more := range []string{`"max":5`, `"ids":["a-100"]`, `"dry_run":true`, `"rate":5`} {
			f.refused(`{"command":"stream.replay","job_id":"job-1",`+more+`}`, adminapi.CodeInvalid)
		}
		f.streams.replay = rescue.Replay{}
		for err, code := range map[error]adminapi.Code{rescue.ErrBusy: adminapi.CodeJobRunning, rescue.ErrNoReplay: adminapi.CodeNotFound} {
			f.streams.err = err
			f.refused(`{"command":"stream.replay","job_id":"job-1"}`, code)
		}
	})
}
