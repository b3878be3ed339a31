package memstack_test

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // what the functions log is not the tests' news
	goleak.VerifyTestMain(m)
}
