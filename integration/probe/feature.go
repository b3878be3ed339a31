package probe

import (
	"context"
	"slices"
	"time"
)

// ID names a feature.
type ID string

// Verdict is what a feature was found to be.
type Verdict string

// The verdicts.
const (
	AsOnAWS Verdict = "as on AWS"
	Differs Verdict = "differs"
	Missing Verdict = "missing"
	Unknown Verdict = "unknown" // it could not be found out
)

// Feature is something that AWS does, by its documentation, and an emulator may
// not do.
type Feature struct {
	ID     ID
	Area   string // the service
	Name   string
	AWS    string // what AWS does
	Source string // URL of the documentation that says so

	// try finds out. An error is for what kept it from that.
	try func(context.Context, *bench) (Result, error)
}

// Result is what was found out about a feature.
type Result struct {
	Feature ID            `json:"feature"`
	Verdict Verdict       `json:"verdict"`
	Detail  string        `json:"detail,omitempty"`
	Took    time.Duration `json:"-"`
}

// Features returns all there are, in the order of the table.
func Features() []Feature { return slices.Clone(features) }

// differs, missing and unknown are what a try returns; see where, too.
func differs(detail string) (Result, error) { return Result{Verdict: Differs, Detail: detail}, nil }
func missing(detail string) (Result, error) { return Result{Verdict: Missing, Detail: detail}, nil }
func unknown(detail string) (Result, error) { return Result{Verdict: Unknown, Detail: detail}, nil }

func asOnAWS() (Result, error) { return Result{Verdict: AsOnAWS}, nil }

// where is a verdict of two.
func where(as bool, otherwise Verdict, detail string) (Result, error) {
	if as {
		return asOnAWS()
	}
	return Result{Verdict: otherwise, Detail: detail}, nil
}

// refused is the verdict on a call that AWS refuses: err is what came of it, and
// accepted says what it means that it was not refused.
func refused(err error, accepted string) (Result, error) {
	if err != nil && refusal(err) == "" {
		return Result{}, err
	}
	return where(err != nil, Missing, accepted)
}
