// Package probe finds out what an AWS endpoint really does: AWS itself, or an
// emulator of it, whose word is not taken for it. For each [Feature] it makes
// small resources, tries, looks, and removes them.
//
//	p := probe.New(cfg, nil)
//	defer p.Close(ctx)
//	r, err := p.Probe(ctx, probe.StreamBisect)
//
// The test suite asks it before it skips a test, and `spillway probe` prints the
// whole table. docs/targets.md has the results for the emulators that Spillway is
// tested on.
package probe
