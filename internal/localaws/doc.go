// Package localaws gives a checkout of Spillway an AWS of its own, without an account and without Docker: it starts
// MiniStack from the checkout's .venv, builds the functions, and deploys the stack with the same SAM CLI and the same
// template that go to AWS.
//
//	checkout, err := localaws.Open(nil)
//	instance, err := checkout.Start(ctx, localaws.Server{})
//	defer instance.Stop()
//	err = checkout.Build(ctx)
//	outputs, err := checkout.Deploy(ctx, instance.Endpoint, "spillway", nil)
//
// An instance from [Checkout.Start] belongs to the process that started it and does not outlive it, even if that
// process is killed: this is what the black-box suite uses, on a free port, beside whatever else runs. One from
// [Checkout.Up] stays until [Checkout.Down]; it is what `make run` uses.
//
// The `make` targets call the program in cmd/. Only Linux can run it, because MiniStack runs the functions, which are
// Linux programs, as plain processes.
package localaws
