package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/smithy-go"
)

// stackAPI is what is used of CloudFormation.
type stackAPI interface {
	DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error)
}

var _ stackAPI = (*cloudformation.Client)(nil)

// errNoStack is a stack name that CloudFormation does not know.
var errNoStack = errors.New("no such stack")

// stack is a deployed stack as far as it matters here.
type stack struct {
	name    string
	status  string
	outputs map[string]string
}

// findStack asks CloudFormation for the stack that the flags name.
func (a *app) findStack(ctx context.Context) (*stack, error) {
	if a.target.cfg.Region == "" {
		return nil, errNoRegion
	}
	out, err := a.stacks(a.target.cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(a.flags.stack)})
	if err != nil {
		if e, ok := errors.AsType[smithy.APIError](err); ok && strings.Contains(e.ErrorMessage(), "does not exist") {
			err = errNoStack
		}
		return nil, fmt.Errorf("find stack %q: %w", a.flags.stack, err)
	}
	if len(out.Stacks) == 0 {
		return nil, fmt.Errorf("find stack %q: %w", a.flags.stack, errNoStack)
	}
	s := &stack{name: a.flags.stack, status: string(out.Stacks[0].StackStatus), outputs: map[string]string{}}
	for _, o := range out.Stacks[0].Outputs {
		s.outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return s, nil
}

// apiURL returns where the stack's API is.
func (s *stack) apiURL() (string, error) {
	if u := strings.TrimRight(s.outputs["ApiUrl"], "/"); u != "" {
		return u, nil
	}
	if strings.HasSuffix(s.status, "_IN_PROGRESS") {
		return "", &exitError{exitFailed, fmt.Sprintf("the stack %q is being changed (%s) and has no ApiUrl yet: wait for the deployment to end", s.name, s.status)}
	}
	return "", &exitError{exitFailed, fmt.Sprintf("the stack %q (%s) has no output ApiUrl, so it is not a Spillway stack or its deployment failed: see `spillway doctor`, or name another with --stack", s.name, s.status)}
}
