// Command lanes runs make targets side by side. `make test` and the gate call it:
//
//	lanes [-note TEXT] [-keep PATTERN] 'WIDTH: TARGET…' … -- make [ARGUMENT…]
//
// Each lane runs its targets in order, WIDTH of them at a time. A line tells when a target begins and how it ended; its
// output goes to a log of its own, which is printed whole when the target failed. Of the others only the lines that
// match PATTERN are printed. A target that fails does not stop the others, and makes the whole fail. At the first
// interrupt every target is interrupted; what has not ended 30 s later is killed.
//
// The targets share one build of the functions (SPILLWAY_TEST_BUILD).
package main
