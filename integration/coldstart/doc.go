// Package coldstart measures the functions as processes: how big their zips
// are, how long they take from exec to their first response, how much memory
// they hold after a thousand invocations, and what a warm invocation calls.
//
// It builds them as a deployment does and plays the two sides of Lambda that a
// process sees, on loopback: the Runtime API, and an AWS that keeps tables and
// queues in memory behind their wire protocol. Nothing is deployed. It runs,
// behind the build tag integration, with the black-box suite; `make coldstart`
// prints the table.
package coldstart
