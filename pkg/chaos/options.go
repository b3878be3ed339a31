package chaos

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Options tunes an [Injector]. The zero value is ready to use.
type Options struct {
	// BusinessCode is the error's type of a [BusinessError]. It should be one that
	// whoever calls the handler knows as a refusal, and does not retry.
	// Defaults to "refused".
	BusinessCode string

	// Execution names the execution that a call belongs to, by its payload, for
	// faults that are limited to one ([Setting.Execution]); empty is none.
	// Defaults to none for every call.
	Execution func(payload json.RawMessage) string

	// StoreTimeout is how long a call waits for the table. If that does not
	// answer, no fault is injected, and it is not asked again for a second.
	// Defaults to 2 seconds.
	StoreTimeout time.Duration

	// Grace is how long a [Timeout] goes on after the time of its call is over,
	// for whoever ends the process to do so. After it the call returns an error.
	// Defaults to 5 seconds.
	Grace time.Duration

	// Rand draws which calls a rate hits.
	// Defaults to a source with a seed of its own.
	Rand rand.Source

	// Logger gets a line for each fault that is injected.
	// Defaults to [slog.Default].
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	d.BusinessCode = cmp.Or(d.BusinessCode, "refused")
	d.StoreTimeout = cmp.Or(d.StoreTimeout, 2*time.Second)
	d.Grace = cmp.Or(d.Grace, 5*time.Second)
	if d.Execution == nil {
		d.Execution = func(json.RawMessage) string { return "" }
	}
	if d.Rand == nil {
		d.Rand = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}
