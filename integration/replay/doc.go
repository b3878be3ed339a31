// Package replay replays thousands of dead letters on a local AWS: it lists and
// groups them, plans, replays those that a filter selects at a set rate, kills
// the admin function twice in the middle and resumes its job, and then accounts
// for every task: each ran exactly once more, none was lost, none ran twice.
// It prints what that took: the rate, calls to SQS and DynamoDB for each
// message, and the memory of the function's process.
//
// It runs, behind the build tag integration, on a local AWS that it starts
// itself, alone on it because of the rate. SPILLWAY_REPLAY_LETTERS (2000) and
// SPILLWAY_REPLAY_RATE (100 a second) change its size; `make replay` takes ten
// thousand.
package replay
