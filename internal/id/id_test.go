package id_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/internal/id"
)

func TestID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := id.New(), id.New()
		if first >= second || len(first) != 26 {
			t.Errorf("%s, then %s", first, second)
		}
		if got, want := id.Time(first), time.Now().UTC(); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("created at %s, want %s", got, want)
		}
		for _, text := range []string{"", "trip-1", first[1:], first[1:] + "!"} {
			if got := id.Time(text); !got.IsZero() {
				t.Errorf("%q was created at %s", text, got)
			}
		}
	})
}
