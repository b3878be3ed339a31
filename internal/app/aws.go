package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// maxAttempts is how often a call is tried, the first time included.
const maxAttempts = 4

// AWS returns the configuration for the SDK's clients, from what Lambda puts
// into every function's environment: AWS_REGION, AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. AWS_ENDPOINT_URL, its forms for one
// service (AWS_ENDPOINT_URL_SQS), AWS_USE_FIPS_ENDPOINT,
// AWS_USE_DUALSTACK_ENDPOINT and AWS_RETRY_MODE are honored as well. Nothing
// else is: no files, no metadata service, no login (docs/adr/0009). So it makes
// no call, and the credentials are those that the environment began with.
func (e *Env) AWS() aws.Config {
	cfg := aws.Config{
		Region: e.String("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			e.String("AWS_ACCESS_KEY_ID"), e.String("AWS_SECRET_ACCESS_KEY"), e.Optional("AWS_SESSION_TOKEN")),
		HTTPClient:       e.HTTPClient(callTimeout),
		RetryMaxAttempts: maxAttempts,
		ConfigSources:    []any{endpoints{e.getenv, e.flag("AWS_USE_FIPS_ENDPOINT"), e.flag("AWS_USE_DUALSTACK_ENDPOINT")}},
	}
	if url := e.Optional("AWS_ENDPOINT_URL"); url != "" {
		cfg.BaseEndpoint = &url
	}
	if mode := e.Optional("AWS_RETRY_MODE"); mode != "" {
		var err error
		if cfg.RetryMode, err = aws.ParseRetryMode(mode); err != nil {
			e.errs = append(e.errs, fmt.Errorf("AWS_RETRY_MODE is neither %s nor %s", aws.RetryModeStandard, aws.RetryModeAdaptive))
		}
	}
	return cfg
}

// flag returns a boolean of the SDK's: unset is false, case does not matter.
func (e *Env) flag(name string) bool {
	switch strings.ToLower(e.getenv(name)) {
	case "true":
		return true
	case "false", "":
		return false
	default:
		e.errs = append(e.errs, fmt.Errorf("%s is neither true nor false", name))
		return false
	}
}

// endpoints answers what a client asks its configuration's sources for; each
// method is one of the SDK's optional interfaces, found by its name.
type endpoints struct {
	getenv          func(string) string
	fips, dualStack bool
}

// GetUseFIPSEndpoint says whether to use endpoints with FIPS 140 modules.
func (s endpoints) GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error) {
	return aws.FIPSEndpointStateEnabled, s.fips, nil
}

// GetUseDualStackEndpoint says whether to use endpoints that also speak IPv6.
func (s endpoints) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	return aws.DualStackEndpointStateEnabled, s.dualStack, nil
}

// GetServiceBaseEndpoint returns the endpoint of one service, which goes before
// AWS_ENDPOINT_URL. service is a name such as "Secrets Manager".
func (s endpoints) GetServiceBaseEndpoint(_ context.Context, service string) (string, bool, error) {
	url := s.getenv("AWS_ENDPOINT_URL_" + strings.ReplaceAll(strings.ToUpper(service), " ", "_"))
	return url, url != "", nil
}
