//go:build race

package saga_test

// raceDetector: it makes mutants ten times as slow, and finds nothing in them.
const raceDetector = true
