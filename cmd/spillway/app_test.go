package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// output is a buffer that a command may write to while a test looks.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// testApp is an app in a world of its own.
type testApp struct {
	*app
	stdout, stderr *output
	env            map[string]string
	cfg            aws.Config
	stack          stackFunc
	caller         identityFunc
	interrupt      func() // what Ctrl-C does to the command that try runs
}

type stackFunc func(name string) (*cloudformation.DescribeStacksOutput, error)

func (f stackFunc) DescribeStacks(_ context.Context, in *cloudformation.DescribeStacksInput, _ ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	return f(aws.ToString(in.StackName))
}

type identityFunc func() (*sts.GetCallerIdentityOutput, error)

func (f identityFunc) GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	return f()
}

func newTestApp(t *testing.T) *testApp {
	t.Helper()
	ta := &testApp{stdout: &output{}, stderr: &output{}, env: map[string]string{}}
	ta.cfg = aws.Config{
		Region:      "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	}
	ta.stack = func(name string) (*cloudformation.DescribeStacksOutput, error) {
		t.Errorf("CloudFormation was asked for %q", name)
		return &cloudformation.DescribeStacksOutput{}, nil
	}
	ta.caller = func() (*sts.GetCallerIdentityOutput, error) {
		return &sts.GetCallerIdentityOutput{Account: aws.String("123456789012"), Arn: aws.String("arn:aws:iam::123456789012:user/me")}, nil
	}
	ta.app = &app{
		in: strings.NewReader(""), out: ta.stdout, errw: ta.stderr,
		getenv:  func(name string) string { return ta.env[name] },
		screen:  func(io.Writer) (int, bool) { return 0, false },
		program: "spillway",
		loadAWS: func(_ context.Context, opts ...func(*config.LoadOptions) error) (aws.Config, error) {
			var lo config.LoadOptions
			for _, o := range opts {
				if err := o(&lo); err != nil {
					return aws.Config{}, err
				}
			}
			if lo.SharedConfigProfile == "lost" {
				return aws.Config{}, config.SharedConfigProfileNotExistError{Profile: "lost"}
			}
			cfg := ta.cfg
			if lo.Region != "" {
				cfg.Region = lo.Region
			}
			return cfg, nil
		},
		stacks:   func(aws.Config) stackAPI { return ta.stack },
		identity: func(aws.Config) identityAPI { return ta.caller },
		pace:     demoPace{poll: 5 * time.Millisecond},
	}
	return ta
}

// try runs a command line, with the API's address unless the stack is to be
// looked up. It ends early at interrupt.
func (ta *testApp) try(t *testing.T, apiURL string, args ...string) int {
	t.Helper()
	if apiURL != "" {
		args = append(args, "--api-url", apiURL)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ta.interrupt = cancel
	code := ta.run(ctx, args)
	t.Logf("spillway %s: exit %d\n%s\n%s", strings.Join(args, " "), code, ta.stdout, ta.stderr)
	return code
}

// play is try in a [synctest] bubble, where time goes on only once everything
// waits: however busy the machine is, an answer comes before the next look.
// Nothing in it may reach the network.
func (ta *testApp) play(t *testing.T, args ...string) (code int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { code = ta.try(t, "", args...) })
	return code
}

// stackOf is a CloudFormation that has one stack.
func stackOf(name, status string, outputs map[string]string) stackFunc {
	return func(asked string) (*cloudformation.DescribeStacksOutput, error) {
		if asked != name {
			return nil, awsError("ValidationError", "Stack with id "+asked+" does not exist")
		}
		s := cfntypes.Stack{StackName: &name, StackStatus: cfntypes.StackStatus(status)}
		for k, v := range outputs {
			s.Outputs = append(s.Outputs, cfntypes.Output{OutputKey: aws.String(k), OutputValue: aws.String(v)})
		}
		return &cloudformation.DescribeStacksOutput{Stacks: []cfntypes.Stack{s}}, nil
	}
}

func mustContain(t *testing.T, where, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q:\n%s", where, p, text)
		}
	}
}
