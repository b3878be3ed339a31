// Package asl runs state machines in the Amazon States Language, as far as
// package saga renders them: Pass, Choice, Task, Succeed and Fail states in
// JSONata, with Assign, Retry, Catch and TimeoutSeconds. It is for tests, which
// bring the services that tasks call.
//
//	m, err := asl.Parse(definition)
//	output, failure := m.Run(ctx, input, func(ctx context.Context, resource string, arguments any) (any, *asl.Error) { ... })
//
// It waits on timers, so an execution runs in the virtual time of a
// [testing/synctest] bubble. What the package does not know, a kind of state, a
// field, or an expression, is an error when the machine is parsed.
package asl
