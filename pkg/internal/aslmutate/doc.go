// Package aslmutate breaks state machines, one small thing at a time: what a test
// of a verifier of machines needs. Each mutant is the machine with one change that
// a tired person, or a renderer with a bug, could make: an edge that leads
// elsewhere or is gone, an error that is no longer caught or retried, a condition
// that is turned round, a variable that is not assigned.
//
// It knows Amazon States Language with JSONata, and nothing of sagas but what its
// Tasks have in their arguments: conditions and statuses of DynamoDB writes, the
// step in a function's payload or a message.
package aslmutate
