package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// operator runs the commands that go to the stack's admin function instead of
// the API: they see all tenants, and the queues.
type operator struct {
	*app
	function string // --admin-function, or as the stack names it
	named    bool   // by the flag

	lambda *lambda.Client
	by     string // who the caller is, once known
}

// withAdmin finds the admin function before it runs fn.
func (o *operator) withAdmin(fn func(ctx context.Context, args []string) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if err := o.connectAdmin(ctx); err != nil {
			return err
		}
		return fn(ctx, args)
	}
}

// group is a command that only holds others.
func (o *operator) group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long,
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q for %q", args[0], cmd.CommandPath())
			}
			return cmd.Help()
		},
	}
	cmd.PersistentFlags().StringVar(&o.function, "admin-function", o.getenv("SPILLWAY_ADMIN_FUNCTION"),
		"the admin function's name or ARN; CloudFormation is not asked then (env SPILLWAY_ADMIN_FUNCTION)")
	complete(cmd, "admin-function")
	cmd.AddCommand(commands...)
	return cmd
}

// connectAdmin finds the admin function and makes a client for it.
func (o *operator) connectAdmin(ctx context.Context) error {
	if err := o.loadTarget(ctx); err != nil {
		return err
	}
	cfg := o.target.cfg
	switch {
	case o.target.credsErr != nil:
		return &credentialsError{o.target.credsErr}
	case o.target.standInCreds && !isLoopback(o.target.endpoint):
		return &credentialsError{errors.New("stand-ins are for this machine only, and AWS_ENDPOINT_URL does not point to it")}
	case cfg.Region == "":
		return errNoRegion
	}
	o.named = o.function != ""
	if !o.named {
		s, err := o.findStack(ctx)
		if e, ok := errors.AsType[smithy.APIError](err); ok && (e.ErrorCode() == "AccessDenied" || e.ErrorCode() == "AccessDeniedException") {
			return &exitError{exitFailed, fmt.Sprintf("not allowed: this identity needs cloudformation:DescribeStacks on the stack, or name the function with --admin-function (%s)", clean(e.ErrorMessage()))}
		}
		if err != nil {
			return err
		}
		if o.function, err = s.adminFunction(); err != nil {
			return err
		}
	}
	if cfg.HTTPClient != nil {
		cfg.HTTPClient = wholeBody{cfg.HTTPClient}
	}
	cfg.Logger = logging.Nop{} // what the SDK remarks between two calls is nothing to act on
	o.lambda = lambda.NewFromConfig(cfg)
	return nil
}

// adminFunction returns the name of the stack's admin function.
func (s *stack) adminFunction() (string, error) {
	if name := s.outputs["AdminFunctionName"]; name != "" {
		return name, nil
	}
	return "", &exitError{exitFailed, fmt.Sprintf("the stack %q (%s) has no output AdminFunctionName: it is older than this program or no Spillway stack; bring it up with `make deploy`, or name another with --stack", s.name, s.status)}
}

// wholeBody keeps net/http from taking an answer that came early for a request
// that failed: see HTTPClient in internal/app.
type wholeBody struct{ next aws.HTTPClient }

// Do sends a request.
func (c wholeBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.next.Do(r)
}

// ask makes a call that changes nothing, and so may be made again. Its answer
// comes as a value and as it was received; a refusal is a [*refusal].
func ask[Q, A any](ctx context.Context, o *operator, command adminapi.Command[Q, A], q Q) (*A, json.RawMessage, error) {
	return invoke(ctx, o, command, q)
}

// changes is a request that says who asks.
type changes[Q any] interface {
	*Q
	SetBy(by string)
}

// change makes a call that changes something: it says who asks, and is made
// once only.
func change[Q, A any, P changes[Q]](ctx context.Context, o *operator, command adminapi.Command[Q, A], q Q) (*A, json.RawMessage, error) {
	P(&q).SetBy(o.caller(ctx))
	return invoke(ctx, o, command, q, func(opts *lambda.Options) { opts.Retryer = aws.NopRetryer{} })
}

// invoke calls the admin function.
func invoke[Q, A any](ctx context.Context, o *operator, command adminapi.Command[Q, A], q Q, opts ...func(*lambda.Options)) (*A, json.RawMessage, error) {
	payload, err := command.Payload(q)
	if err != nil {
		return nil, nil, err
	}
	out, err := o.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: &o.function, Payload: payload}, opts...)
	if err != nil {
		return nil, nil, o.invokeError(ctx, string(command), err)
	}
	if out.FunctionError != nil {
		return nil, nil, o.functionError(string(command), out.Payload)
	}
	answer, err := command.Answer(out.Payload)
	if r, ok := errors.AsType[*adminapi.Refusal](err); ok {
		return nil, out.Payload, (*refusal)(r)
	}
	if err != nil {
		return nil, nil, &callError{msg: fmt.Sprintf("the function %s did not answer %s as the admin function does: check --admin-function, and that stack and program are of one version", o.function, command), unsure: true}
	}
	return answer, out.Payload, nil
}

// caller returns the ARN of whoever runs the program, for the audit trail.
// Not being able to tell keeps nobody from working: the trail holds the
// request's id as well.
func (o *operator) caller(ctx context.Context) string {
	if o.by == "" {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if _, arn, err := o.identityOf(ctx); err == nil {
			o.by = cut(arn, 200)
		}
	}
	return o.by
}
