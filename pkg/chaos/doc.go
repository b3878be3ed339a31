// Package chaos makes handlers fail on purpose, so that what is built around
// them can be seen to hold: retries, time-outs, compensations.
//
// An operator sets a fault for a target in a table ([Store]); a function wraps
// its handler for that target ([Injector.At]) and asks the table at each call.
// The failure is a real one: the process panics, or Lambda ends it for taking
// too long.
//
//	faults := chaos.NewStore(client, "control")
//	faults.Set(ctx, chaos.Setting{Target: chaos.Step("BookFlight"), Fault: chaos.Panic, Times: 1})
//
//	injector := chaos.New(client, "control", nil)
//	lambda.Start(injector.At(chaos.Step("BookFlight"))(step)) // a step of a saga
//	mux.Use(injector.At("handler"))                            // every handler of a mux
//
// # What is promised
//
// When [Store.Set] has returned, the fault holds for every call that begins. A
// fault with Times hits so many calls, over all processes, and no more; those
// that a store counted without being able to say so are not hit. Every fault
// ends by itself, after an hour at the latest.
//
// # What it costs
//
// A nil *Injector is a switched off one: At adds nothing to a handler. One
// that is switched on makes a GetItem at a call, and none for the second after
// it has found no fault. A store that does not answer is no fault: the handler
// runs, and the log says so once.
package chaos
