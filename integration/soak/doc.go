// Soak keeps the whole pipeline under load for minutes and then accounts for
// every task: `make soak`.
//
// It starts a local AWS of its own, deploys the stack, and hands in
// webhook.deliver tasks at an even rate, some by signed HTTP and the rest
// through pkg/intake in this process, which costs the machine less. A receiver
// on loopback answers as planned: most deliveries are taken at once, 5 % fail,
// some of them for good, and 1 % are poison that never succeeds. Meanwhile
// worker processes are killed by SIGKILL in the middle of their work.
//
// At the end it holds what the API, the queues and the receiver say against
// the plan. Each violation is printed with its task and the reason, and makes
// it exit with status 1.
package main
