// Package adminapi is the contract of the admin function: the name, request and
// answer of each command, and the states, kinds, outcomes and codes in them.
// The function fills these types, and its clients read them, so that both sides
// compile against one definition.
//
//	payload, err := adminapi.DLQStatus.Payload(adminapi.DLQStatusRequest{Queue: adminapi.QueueTasks})
//	// invoke the function with payload, which answers out
//	answer, err := adminapi.DLQStatus.Answer(out) // a *Refusal if it was refused
//
// The JSON is a wire format: scripts and command lines of other versions read
// it. Members may be added. Times are RFC 3339 in UTC with milliseconds,
// durations are Go duration strings, and optional members are absent when they
// do not apply.
package adminapi
