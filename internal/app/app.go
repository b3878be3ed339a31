// Package app is the wiring that the functions' mains share: configuration
// from the environment, AWS clients, the list of task types, and the start.
// Whoever adds a task type adds it in handlers.go.
package app

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
)

// callTimeout bounds one HTTP exchange with AWS; the SDK itself has no bound.
const callTimeout = 5 * time.Second

// LoadAWS loads the configuration for the SDK's clients.
func LoadAWS(ctx context.Context) (aws.Config, error) {
	return config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(callTimeout)),
		config.WithRetryMaxAttempts(4))
}

// Run is a function's main: setup builds the handler during Lambda's init
// phase; an error ends the process once, with all that is wrong in the log.
func Run(setup func(ctx context.Context, env *Env) (handler any, err error)) {
	slog.SetDefault(lambdacontext.NewLogger())
	handler, err := setup(context.Background(), NewEnv(os.Getenv))
	if err != nil {
		slog.Error("init", slog.Any("error", err))
		os.Exit(1)
	}
	lambda.Start(handler)
}
