package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/app"
)

func from(values map[string]string) *app.Env {
	return app.NewEnv(func(name string) string { return values[name] })
}

func TestEnv(t *testing.T) {
	t.Parallel()
	env := from(map[string]string{"TABLE": "tasks", "RETENTION": "168h", "ATTEMPTS": "5", "OPEN": "true", "SHUT": "false", "BASE": "0s"})
	if got := env.String("TABLE"); got != "tasks" {
		t.Errorf("String = %q", got)
	}
	if got := env.Optional("ENDPOINT"); got != "" {
		t.Errorf("Optional = %q", got)
	}
	if got := env.Optional("TABLE"); got != "tasks" {
		t.Errorf("Optional = %q", got)
	}
	if got := env.Duration("RETENTION", time.Hour); got != 168*time.Hour {
		t.Errorf("Duration = %s", got)
	}
	if got := env.Duration("BASE", 0); got != 0 {
		t.Errorf("Duration = %s", got)
	}
	if got := env.Int("ATTEMPTS", 1); got != 5 {
		t.Errorf("Int = %d", got)
	}
	if !env.Bool("OPEN") || env.Bool("SHUT") {
		t.Error("Bool misreads")
	}
	if err := env.Err(); err != nil {
		t.Errorf("Err = %v", err)
	}
}

// One error names everything that is wrong, each thing once, and no value:
// values can be secrets.
func TestEnvCollectsMistakes(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	env := from(map[string]string{
		"D_WORD": secret, "D_LOW": "1s", "D_UNIT": "15", "I_WORD": secret, "I_LOW": "0", "I_HALF": "1.5", "B_WORD": secret, "B_CASE": "TRUE",
	})
	env.String("S")
	env.Duration("D", 1)
	env.Duration("D_WORD", 1)
	env.Duration("D_LOW", time.Minute)
	env.Duration("D_UNIT", 1)
	env.Int("I", 1)
	env.Int("I_WORD", 1)
	env.Int("I_LOW", 1)
	env.Int("I_HALF", 1)
	env.Bool("B")
	env.Bool("B_WORD")
	env.Bool("B_CASE")
	env.Optional("O")
	want := strings.Join([]string{
		"S is not set",
		"D is not set",
		"D_WORD is not a duration of at least 1ns",
		"D_LOW is not a duration of at least 1m0s",
		"D_UNIT is not a duration of at least 1ns",
		"I is not set",
		"I_WORD is not a number of at least 1",
		"I_LOW is not a number of at least 1",
		"I_HALF is not a number of at least 1",
		"B is not set",
		"B_WORD is neither true nor false",
		"B_CASE is neither true nor false",
	}, "\n")
	err := env.Err()
	if err == nil || err.Error() != want {
		t.Errorf("Err =\n%v\nwant\n%s", err, want)
	}
	if strings.Contains(err.Error(), secret) {
		t.Error("a value is in the error")
	}
}
