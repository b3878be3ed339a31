// Package security holds the packaged template to what it promises about
// access and encryption, and the roles to what the functions can do.
//
// The template is the one that `sam build` leaves, put through SAM's own
// translator, with its conditions decided as on AWS: what is tested is what
// CloudFormation gets, policies that SAM generates among them. What a function
// calls is read off its built binary, so that a grant that nothing uses and a
// call that nothing allows are both found.
//
// It runs, behind the build tag integration, with the black-box suite. Only
// TestOwnKey needs a local AWS, and starts it.
package security
