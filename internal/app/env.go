package app

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Env reads a function's configuration from its environment. Every mistake is
// kept, so that [Env.Err] names all of them at once. Names carry no values
// into errors.
type Env struct {
	getenv func(string) string
	errs   []error
}

// NewEnv reads through getenv, which is [os.Getenv] outside of tests.
func NewEnv(getenv func(string) string) *Env { return &Env{getenv: getenv} }

// String returns a value that must not be empty.
func (e *Env) String(name string) string {
	v := e.getenv(name)
	if v == "" {
		e.errs = append(e.errs, fmt.Errorf("%s is not set", name))
	}
	return v
}

// Optional returns a value that may be empty.
func (e *Env) Optional(name string) string { return e.getenv(name) }

// Duration returns a duration that must be at least low.
func (e *Env) Duration(name string, low time.Duration) time.Duration {
	v := e.String(name)
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < low {
		e.errs = append(e.errs, fmt.Errorf("%s is not a duration of at least %s", name, low))
	}
	return d
}

// Int returns a number that must be at least low.
func (e *Env) Int(name string, low int) int {
	v := e.String(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low {
		e.errs = append(e.errs, fmt.Errorf("%s is not a number of at least %d", name, low))
	}
	return n
}

// Bool returns true or false.
func (e *Env) Bool(name string) bool {
	switch e.String(name) {
	case "true":
		return true
	case "false", "":
		return false
	default:
		e.errs = append(e.errs, fmt.Errorf("%s is neither true nor false", name))
		return false
	}
}

// Err returns everything that was wrong, or nil.
func (e *Env) Err() error { return errors.Join(e.errs...) }
