//go:build integration

package integration

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/integration/probe"
)

// The suite proves something about the functions' roles only if the endpoint
// refuses what a role does not allow: status may not send messages.
func TestRolesAreEnforced(t *testing.T) {
	t.Parallel()
	needs(t, probe.ExecutionRole)
	fn, err := stack.lambdas.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(stack.out["StatusFunctionName"])})
	if err != nil {
		t.Fatal(err)
	}
	role, err := sts.NewFromConfig(stack.cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: fn.Role, RoleSessionName: aws.String("suite")})
	if err != nil {
		t.Fatal(err)
	}
	as := stack.cfg.Copy()
	as.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		c := role.Credentials
		return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}, nil
	})
	_, err = sqs.NewFromConfig(as).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(stack.out["TasksQueueUrl"]), MessageBody: aws.String("not allowed")})
	if refused, ok := errors.AsType[smithy.APIError](err); !ok || !strings.Contains(refused.ErrorCode(), "AccessDenied") {
		t.Errorf("sending as the status function: %v, want AccessDenied", err)
	}
}
