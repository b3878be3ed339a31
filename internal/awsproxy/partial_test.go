package awsproxy_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/awsproxy"
)

// outcomes tells, by position, the item or the error of a statement.
func outcomes(out *dynamodb.BatchExecuteStatementOutput) []string {
	var all []string
	for _, r := range out.Responses {
		if r.Error != nil {
			all = append(all, "!"+string(r.Error.Code))
			continue
		}
		all = append(all, r.Item["id"].(*ddbtypes.AttributeValueMemberS).Value)
	}
	return all
}

func TestPartialStatements(t *testing.T) {
	tests := []struct {
		name                string
		fault               awsproxy.Fault
		want                []string
		effects             int
		injected, forwarded bool
	}{
		{
			"taken out",
			awsproxy.Fault{When: awsproxy.PartialBefore, Entries: []int{0, 2, 9}, Error: awsproxy.Throttling},
			[]string{"!ThrottlingError", "U1", "!ThrottlingError", "!ConditionalCheckFailed", "U4"},
			2, true, true,
		},
		{
			"only reported",
			awsproxy.Fault{When: awsproxy.PartialAfter, Entries: []int{1, 4}},
			[]string{"U0", "!InternalServerError", "U2", "!ConditionalCheckFailed", "!InternalServerError"},
			4, true, true,
		},
		{
			"all taken out",
			awsproxy.Fault{When: awsproxy.PartialBefore, Error: awsproxy.Error{Code: "RequestLimitExceeded"}},
			[]string{"!RequestLimitExceeded", "!RequestLimitExceeded", "!RequestLimitExceeded", "!RequestLimitExceeded", "!RequestLimitExceeded"},
			0, true, false,
		},
		{
			"none hit",
			awsproxy.Fault{When: awsproxy.PartialAfter, Entries: []int{}},
			[]string{"U0", "U1", "U2", "!ConditionalCheckFailed", "U4"},
			4, false, true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, 1, nil)
			f.Inject(tt.fault)
			out, err := f.execute(t.Context(), "U0", "U1", "U2", "refused", "U4")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(outcomes(out), tt.want); diff != "" {
				t.Error(diff)
			}
			if got := f.back.count("statement"); got != tt.effects {
				t.Errorf("effects: got %d, want %d", got, tt.effects)
			}
			c := f.Calls()[0]
			var failures []awsproxy.Failure
			for i, w := range tt.want {
				if w[0] == '!' {
					failures = append(failures, awsproxy.Failure{Index: i, Code: w[1:]})
				}
			}
			if diff := cmp.Diff(c.Failures, failures); diff != "" {
				t.Error(diff)
			}
			if c.Statements != 5 || c.Failed() || c.Injected != tt.injected || c.Forwarded != tt.forwarded {
				t.Errorf("logged %+v", c)
			}
		})
	}
}

// A compressed answer is written anew without compression.
func TestPartialStatementsCompressed(t *testing.T) {
	f := start(t, 1, nil)
	f.back.gzip = true
	f.Inject(awsproxy.Fault{When: awsproxy.PartialAfter, Entries: []int{0}, Error: awsproxy.Throttling})
	out, err := f.execute(t.Context(), "U0", "U1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(outcomes(out), []string{"!ThrottlingError", "U1"}); diff != "" {
		t.Error(diff)
	}
}

// A batch that fails on its own is not made a success.
func TestPartialOfFailedCall(t *testing.T) {
	f := start(t, 1, nil)
	f.Inject(awsproxy.Fault{When: awsproxy.PartialBefore, Entries: []int{0}})
	f.back.refuse = true
	if _, err := f.execute(t.Context(), "U0", "U1"); err == nil {
		t.Error("call succeeded")
	}
	if c := f.Calls()[0]; c.Injected || c.ErrorCode != "UnknownOperationException" {
		t.Errorf("logged %v", &c)
	}
}

func TestPartialEntries(t *testing.T) {
	for _, when := range []awsproxy.When{awsproxy.PartialBefore, awsproxy.PartialAfter} {
		effects := 3
		if when == awsproxy.PartialBefore {
			effects = 1
		}
		check := func(t *testing.T, f *fixture, successful []string, failed []sqstypes.BatchResultErrorEntry) {
			t.Helper()
			if diff := cmp.Diff(successful, []string{"e1"}); diff != "" {
				t.Error(diff)
			}
			var got []string
			for _, e := range failed {
				got = append(got, aws.ToString(e.Id)+" "+aws.ToString(e.Code))
			}
			if diff := cmp.Diff(got, []string{"refused InvalidParameterValue", "e0 InternalError", "e2 InternalError"}); diff != "" {
				t.Error(diff)
			}
			if got := f.back.count("entry"); got != effects {
				t.Errorf("effects: got %d, want %d", got, effects)
			}
			want := []awsproxy.Failure{{Index: 3, Code: "InvalidParameterValue"}, {Index: 0, Code: "InternalError"}, {Index: 2, Code: "InternalError"}}
			if diff := cmp.Diff(f.Calls()[0].Failures, want); diff != "" {
				t.Error(diff)
			}
		}
		ids := append(numbered(3), "refused")
		fault := awsproxy.Fault{Service: "sqs", When: when, Entries: []int{0, 2}}

		t.Run("send "+when.String(), func(t *testing.T) {
			f := start(t, 1, nil)
			f.Inject(fault)
			out, err := f.sendBatch(t.Context(), ids...)
			if err != nil {
				t.Fatal(err)
			}
			var successful []string
			for _, e := range out.Successful {
				successful = append(successful, aws.ToString(e.Id))
			}
			check(t, f, successful, out.Failed)
			c := f.Calls()[0]
			want := "#1 sqs.SendMessageBatch[4] by AKIDCALLER: 200, [3] InvalidParameterValue, [0] InternalError, [2] InternalError, injected " + when.String()
			if got := c.String(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
		t.Run("delete "+when.String(), func(t *testing.T) {
			f := start(t, 1, nil)
			f.Inject(fault)
			in := &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(queueURL)}
			for _, id := range ids {
				in.Entries = append(in.Entries, sqstypes.DeleteMessageBatchRequestEntry{Id: aws.String(id), ReceiptHandle: aws.String("r")})
			}
			out, err := f.sqs.DeleteMessageBatch(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			var successful []string
			for _, e := range out.Successful {
				successful = append(successful, aws.ToString(e.Id))
			}
			check(t, f, successful, out.Failed)
		})
		t.Run("change visibility "+when.String(), func(t *testing.T) {
			f := start(t, 1, nil)
			f.Inject(fault)
			in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(queueURL)}
			for _, id := range ids {
				in.Entries = append(in.Entries, sqstypes.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(id), ReceiptHandle: aws.String("r")})
			}
			out, err := f.sqs.ChangeMessageVisibilityBatch(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			var successful []string
			for _, e := range out.Successful {
				successful = append(successful, aws.ToString(e.Id))
			}
			check(t, f, successful, out.Failed)
		})
	}
}

// A partial fault leaves calls alone that have no parts, and counts only
// batches against Times.
func TestPartialLeavesSingleCallsAlone(t *testing.T) {
	f := start(t, 1, nil)
	in := f.Inject(awsproxy.Fault{When: awsproxy.PartialBefore, Times: 1})
	for range 2 {
		if err := f.update(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int{3, 0} {
		out, err := f.sendBatch(t.Context(), numbered(3)...)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(out.Failed); got != want {
			t.Errorf("batch %d: got %d failures, want %d", i, got, want)
		}
	}
	if in.Fired() != 1 || in.Seen() != 1 {
		t.Errorf("fired %d of %d", in.Fired(), in.Seen())
	}
}

// At a rate, each entry is hit on its own, and the seed repeats it.
func TestPartialRate(t *testing.T) {
	run := func() (failed []int) {
		f := start(t, 1, &awsproxy.Options{Seed: 3})
		f.Inject(awsproxy.Fault{When: awsproxy.PartialAfter, Rate: 0.2})
		for range 20 {
			out, err := f.sendBatch(t.Context(), numbered(10)...)
			if err != nil {
				t.Fatal(err)
			}
			failed = append(failed, len(out.Failed))
		}
		return failed
	}
	first, sum := run(), 0
	for _, n := range first {
		sum += n
	}
	if sum < 20 || sum > 65 {
		t.Errorf("%d of 200 entries hit at a rate of 0.2", sum)
	}
	if diff := cmp.Diff(first, run()); diff != "" {
		t.Error(diff)
	}
}
