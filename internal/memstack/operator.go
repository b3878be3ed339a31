package memstack

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// Ask sends a command to the admin function, as an operator. The error is a
// [*adminapi.Refusal] for a refusal.
func Ask[Q, A any](ctx context.Context, s *Stack, command adminapi.Command[Q, A], q Q) (*A, error) {
	payload, err := command.Payload(q)
	if err != nil {
		return nil, err
	}
	name := s.Name("AdminFunction")
	out, err := lambda.NewFromConfig(s.Config()).Invoke(ctx, &lambda.InvokeInput{FunctionName: &name, Payload: payload})
	if err != nil {
		return nil, err
	}
	if kind := aws.ToString(out.FunctionError); kind != "" {
		return nil, fmt.Errorf("%s: %s", kind, out.Payload)
	}
	return command.Answer(out.Payload)
}
