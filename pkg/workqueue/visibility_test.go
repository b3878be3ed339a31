package workqueue_test

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

func TestChangeVisibilitySeconds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		after time.Duration
		want  int32
	}{
		{-time.Hour, 0},
		{0, 0},
		{1, 1},
		{time.Second, 1},
		{time.Second + 1, 2},
		{90 * time.Second, 90},
		{workqueue.MaxVisibility, 42300},
		{12 * time.Hour, 42300},
		{1 << 62, 42300},
	}
	fake := &fakeSQS{}
	q := workqueue.New(fake, queueURL, nil)
	var changes []workqueue.Visibility
	for i, tt := range tests {
		changes = append(changes, workqueue.Visibility{Receipt: strconv.Itoa(i), After: tt.after})
	}
	if err := errors.Join(q.ChangeVisibility(t.Context(), changes)...); err != nil {
		t.Fatal(err)
	}
	for i, tt := range tests {
		if got := fake.hidden[i]; got.VisibilityTimeout != tt.want || *got.ReceiptHandle != strconv.Itoa(i) {
			t.Errorf("%v became %d s", tt.after, got.VisibilityTimeout)
		}
	}
	if err := q.ChangeVisibility(t.Context(), changes[5:6])[0]; err != nil || fake.hidden[len(tests)].VisibilityTimeout != 90 {
		t.Errorf("alone: %v, %+v", err, fake.hidden[len(tests)])
	}
	if diff := cmp.Diff([]int{9, 0}, fake.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestChangeVisibilityOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := map[string]int{}
		fake := &fakeSQS{entry: func(receipt string) *types.BatchResultErrorEntry {
			tries[receipt]++
			switch receipt {
			case "invalid":
				return refused("ReceiptHandleIsInvalid", true)
			case "not in flight":
				return refused("AWS.SimpleQueueService.MessageNotInflight", true)
			case "deleted":
				e := refused("InvalidParameterValue", true)
				e.Message = aws.String("Value x for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.")
				return e
			case "beyond":
				e := refused("InvalidParameterValue", true)
				e.Message = aws.String("Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
				return e
			case "flaky":
				if tries[receipt] < 3 {
					return refused("InternalError", false)
				}
			}
			return nil
		}}
		var changes []workqueue.Visibility
		names := []string{"ok", "invalid", "not in flight", "deleted", "beyond", "flaky", ""}
		for _, name := range names {
			changes = append(changes, workqueue.Visibility{Receipt: name, After: time.Minute})
		}
		errs := workqueue.New(fake, queueURL, nil).ChangeVisibility(t.Context(), changes)
		for i, name := range names {
			wantGone := name == "invalid" || name == "not in flight" || name == "deleted" || name == ""
			if errors.Is(errs[i], workqueue.ErrReceiptGone) != wantGone {
				t.Errorf("%q: %v", name, errs[i])
			}
		}
		if errs[0] != nil || errs[4] == nil || errs[5] != nil {
			t.Errorf("outcomes %v", errs)
		}
		if diff := cmp.Diff(map[string]int{"ok": 1, "invalid": 1, "not in flight": 1, "deleted": 1, "beyond": 1, "flaky": 1}, tries); diff != "" {
			t.Errorf("tries in batches (-want +got):\n%s", diff) // the second one went alone
		}
	})
}
