// Package proof runs a state machine on paper and reports where it breaks the
// promises of a saga. It imports nothing of this module: a prover that shared code
// with the renderer would share its mistakes.
//
// [Prove] parses the machine (asl.go), looks at each state by itself (static.go),
// and then walks it (walk.go). A configuration (config.go) is a state together
// with all that matters of how it was reached: the variables with known values,
// what became of each action and compensation, what was written to the task's row.
// Equal configurations are walked once, so the walk ends, and covers every path.
// What a path may and may not do is in rules.go and ends.go.
package proof
