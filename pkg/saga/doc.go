// Package saga describes work across several services that either all happens
// or is undone, and makes the parts of it that run on AWS.
//
//	var Trip = saga.Definition{
//		Name: "trip", Within: 45 * time.Minute,
//		Stages: []saga.Stage{
//			saga.One(saga.Step{Name: "BookHotel", Result: "hotel", Business: []string{"sold_out"}, Undo: saga.Reversal{By: "CancelHotel"}}),
//			saga.One(saga.Step{Name: "BookFlight", Result: "flight", Business: []string{"sold_out"}, Undo: saga.Reversal{By: "CancelFlight"}}),
//		},
//	}
//
// [Definition.Render] makes a Step Functions state machine of it, in Amazon
// States Language, and [Verify] proves of that text, by walking it, that no
// failure leaves work behind: it shares nothing with the renderer.
//
// The functions behind the states are made by [Action] and [Compensation] of
// typed functions. A [Ledger] records each step in the transaction that has its
// effect, so that a step that is tried again has one effect, and one that comes
// after its compensation has none.
//
// [Start] is a task handler that starts the machine and leaves the task to it;
// the machine writes the task's end itself. [Recovery] hears of executions that
// ended without an end of their own, and has them undone.
//
// # What is guaranteed
//
// Every step that was done, or may have been, is undone once, in reverse order,
// when a step fails, whatever the failure: an error, a crash, a time-out, a
// throttle, a cancel, an execution that somebody stopped. A compensation that
// fails for good is parked in a queue for a person, and the others still run.
// After the pivot nothing is undone.
//
// It rests on the functions: an action says [Business] only if it did nothing,
// a compensation succeeds also for an action that was never done. [Action] and
// [Compensation] see to both.
package saga
