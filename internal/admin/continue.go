package admin

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// InvokeAPI is what is used of the Lambda client.
type InvokeAPI interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

var _ InvokeAPI = (*lambda.Client)(nil)

// The commands by which the function has itself go on with a job, and follow
// the tasks of one that has ended. They are for nobody else, and harmless: they
// do what the job was asked to do.
const (
	goOn   = "job.resume"
	follow = "job.follow"
)

// continuation is its payload.
type continuation struct {
	Command string `json:"command"`
	JobID   string `json:"job_id"`
	Hop     int    `json:"hop"`
}

// Continue has a function of this kind go on with jobs, in an invocation of its
// own that nobody waits for.
func Continue(client InvokeAPI, function string) func(ctx context.Context, jobID string, hop int) error {
	return again(client, function, goOn)
}

// Follow has a function of this kind follow the tasks of jobs, likewise.
func Follow(client InvokeAPI, function string) func(ctx context.Context, jobID string, hop int) error {
	return again(client, function, follow)
}

func again(client InvokeAPI, function, command string) func(ctx context.Context, jobID string, hop int) error {
	return func(ctx context.Context, jobID string, hop int) error {
		payload, err := json.Marshal(continuation{Command: command, JobID: jobID, Hop: hop})
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
