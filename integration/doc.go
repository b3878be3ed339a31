// Package integration is the black-box suite over the outward contract: HTTP
// API, queue messages, stack outputs. It runs, behind the build tag
// integration, against a local AWS that it starts itself, or against
// SPILLWAY_TEST_ENDPOINT.
//
// The functions' calls to AWS go through a proxy that counts them, makes them
// fail, and holds them, so that costs and interleavings are tested on the
// deployed functions themselves.
package integration
