package admin

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// InvokeAPI is what is used of the Lambda client.
type InvokeAPI interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

var _ InvokeAPI = (*lambda.Client)(nil)

// internal reports whether the function sends a command to itself. Such commands
// are harmless in other hands: they do what the job was asked to do.
func internal(name string) bool {
	return name == string(adminapi.JobResume) || name == string(adminapi.JobFollow)
}

// Continue has a function of this kind go on with jobs, in an invocation of its
// own that nobody waits for.
func Continue(client InvokeAPI, function string) func(ctx context.Context, jobID string, hop int) error {
	return again(client, function, adminapi.JobResume)
}

// Follow has a function of this kind follow the tasks of jobs, likewise.
func Follow(client InvokeAPI, function string) func(ctx context.Context, jobID string, hop int) error {
	return again(client, function, adminapi.JobFollow)
}

func again(client InvokeAPI, function string, command adminapi.Command[adminapi.Continuation, struct{}]) func(ctx context.Context, jobID string, hop int) error {
	return func(ctx context.Context, jobID string, hop int) error {
		payload, err := command.Payload(adminapi.Continuation{JobID: jobID, Hop: hop})
		if err != nil {
			return err
		}
		_, err = client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, InvocationType: types.InvocationTypeEvent, Payload: payload})
		if err != nil {
			return fmt.Errorf("continue job %s: %w", jobID, err)
		}
		return nil
	}
}
