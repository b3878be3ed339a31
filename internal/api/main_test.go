package api

import (
	"log/slog"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // what handlers log is not the tests' news
	os.Exit(m.Run())
}
