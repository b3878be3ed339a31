package awsproxy

import (
	"math/rand/v2"
	"time"
)

// Options tunes a [Proxy]. The zero value is ready to use.
type Options struct {
	// Seed makes the choice of injected faults repeatable. Print [Proxy.Seed]
	// when a test fails. Defaults to a random seed.
	Seed uint64
	// Addr is where [Proxy.Start] listens. Defaults to 127.0.0.1:0.
	Addr string
	// LogSize is how many calls [Proxy.Calls] remembers; older ones are
	// forgotten, but stay in the counts. Defaults to 20,000.
	LogSize int
	// KeepBodies keeps the request and response bodies of JSON and query calls
	// in the log. They can be large. Defaults to false.
	KeepBodies bool
	// MaxBody bounds, in bytes, the bodies read into memory. A request above it
	// is answered 413, a response above it 502. Defaults to 16 MiB.
	MaxBody int64
	// Timeout bounds one call to the target. Defaults to 60 seconds.
	Timeout time.Duration
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	for d.Seed == 0 {
		d.Seed = rand.Uint64()
	}
	if d.Addr == "" {
		d.Addr = "127.0.0.1:0"
	}
	if d.LogSize <= 0 {
		d.LogSize = 20_000
	}
	if d.MaxBody <= 0 {
		d.MaxBody = 16 << 20
	}
	if d.Timeout <= 0 {
		d.Timeout = time.Minute
	}
	return d
}
