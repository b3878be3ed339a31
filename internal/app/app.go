// Package app is the wiring that the functions share: configuration from the
// environment, AWS clients, and the start.
package app

import (
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Run is a function's main: setup builds the handler during Lambda's init
// phase; an error ends the process once, with all that is wrong in the log.
func Run(setup func(env *Env) (handler any, err error)) {
	slog.SetDefault(lambdacontext.NewLogger())
	silence()
	handler, err := setup(NewEnv(os.Getenv))
	if err != nil {
		slog.Error("init", slog.Any("error", err))
		os.Exit(1)
	}
	lambda.Start(handler)
}
