package sleep_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

func TestFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name               string
		sleep, limit, took time.Duration
		err                error
	}{
		{"all of it", 2 * time.Second, 3 * time.Second, 2 * time.Second, nil},
		{"nothing", 0, time.Second, 0, nil},
		{"cut short", 3 * time.Second, time.Second, time.Second, context.DeadlineExceeded},
		{"too late", 0, 0, 0, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
				defer cancel()
				began := time.Now()
				if err := sleep.For(ctx, tt.sleep); !errors.Is(err, tt.err) || time.Since(began) != tt.took {
					t.Errorf("%v after %s, want %v after %s", err, time.Since(began), tt.err, tt.took)
				}
			})
		})
	}
}
