package app

import (
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"strings"
)

// silence keeps what may quote inputs out of the log: lambda.Start prints the
// error that a handler returns, or the panic, with its message, through package
// log. Lambda hands the message on to whoever called, which is enough.
func silence() { log.SetOutput(runtimeLog{}) }

// runtimeLog is what package log writes to. Each call of Write is one line.
type runtimeLog struct{}

// runtimeError begins the message of a panic that says nothing of the data, such
// as an index out of range.
const runtimeError = "runtime error: "

// Write implements [io.Writer].
func (runtimeLog) Write(line []byte) (int, error) {
	var failed struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
		Stack   []struct {
			Path  string `json:"path"`
			Line  int    `json:"line"`
			Label string `json:"label"`
		} `json:"stackTrace"`
	}
	_ = json.Unmarshal(line, &failed) // what is no error of a handler has neither
	if failed.Type == "" && failed.Message == "" {
		slog.Error("runtime", slog.String("error", strings.TrimSpace(string(line))))
		return len(line), nil
	}
	attrs := []any{slog.String("type", failed.Type)}
	if strings.HasPrefix(failed.Message, runtimeError) {
		attrs = append(attrs, slog.String("error", failed.Message))
	}
	if len(failed.Stack) > 0 {
		attrs = append(attrs, slog.Any("stack", failed.Stack))
	}
	slog.Error("the invocation failed", attrs...)
	return len(line), nil
}

var _ io.Writer = runtimeLog{}
