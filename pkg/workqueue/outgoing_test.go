package workqueue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

func TestSizeCountsAttributes(t *testing.T) {
	t.Parallel()
	out := workqueue.Outgoing{Body: "12345", Group: "g", Trace: "Root=1", Attributes: map[string]types.MessageAttributeValue{
		"ab":  str("cde"),                                                    // 2 + 6 + 3
		"bin": {DataType: aws.String("Binary.x"), BinaryValue: []byte{1, 2}}, // 3 + 8 + 2
	}}
	if got, want := out.Size(), 5+11+13; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{"", "default", "AIDA123", "a!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", strings.Repeat("x", 128)} {
		if got := workqueue.Group(tenant); got != tenant {
			t.Errorf("%q became %q", tenant, got)
		}
	}
	seen := map[string]bool{}
	for _, tenant := range []string{"a b", "ä", "\x00", strings.Repeat("x", 129), strings.Repeat("x", 130)} {
		got := workqueue.Group(tenant)
		if seen[got] || workqueue.Group(got) != got || !strings.HasPrefix(got, "sha256-") {
			t.Errorf("%q became %q", tenant, got)
		}
		seen[got] = true
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	tests := []struct {
		b       workqueue.Backoff
		attempt int
		bound   time.Duration
	}{
		{workqueue.Backoff{}, 5, 0},
		{workqueue.Backoff{Base: -time.Second}, 1, 0},
		{workqueue.Backoff{Max: time.Minute}, 3, 0},
		{workqueue.Backoff{Base: 2 * time.Second, Max: 15 * time.Minute}, 1, 2 * time.Second},
		{workqueue.Backoff{Base: 2 * time.Second, Max: 15 * time.Minute}, 0, 2 * time.Second},
		{workqueue.Backoff{Base: 2 * time.Second, Max: 15 * time.Minute}, -9, 2 * time.Second},
		{workqueue.Backoff{Base: 2 * time.Second, Max: 15 * time.Minute}, 4, 16 * time.Second},
		{workqueue.Backoff{Base: 2 * time.Second, Max: 15 * time.Minute}, 10, 15 * time.Minute},
		{workqueue.Backoff{Base: 2 * time.Second, Max: 15 * time.Minute}, 1 << 40, 15 * time.Minute},
		{workqueue.Backoff{Base: time.Hour, Max: time.Minute}, 1, time.Minute},
		{workqueue.Backoff{Base: time.Hour}, 1 << 40, workqueue.MaxVisibility},
		{workqueue.Backoff{Base: 1 << 62, Max: 1 << 62}, 64, workqueue.MaxVisibility},
	}
	for _, tt := range tests {
		var highest time.Duration
		for range 200 {
			d := tt.b.Delay(tt.attempt, nil)
			if d < 0 || d > tt.bound {
				t.Fatalf("%+v after attempt %d: %v, at most %v", tt.b, tt.attempt, d, tt.bound)
			}
			highest = max(highest, d)
		}
		if highest < tt.bound/2 {
			t.Errorf("%+v after attempt %d: at most %v of %v in 200 draws", tt.b, tt.attempt, highest, tt.bound)
		}
	}
}
