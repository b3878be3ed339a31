package app_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

// lambdaGives is what Lambda puts into a function's environment, with changes.
func lambdaGives(changes map[string]string) map[string]string {
	values := map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": "EXAMPLETOKEN",
	}
	maps.Copy(values, changes)
	return values
}

func TestAWS(t *testing.T) {
	t.Parallel()
	env := from(lambdaGives(map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_RETRY_MODE": "adaptive"}))
	cfg := env.AWS()
	if err := env.Err(); err != nil {
		t.Fatal(err)
	}
	creds, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || creds.AccessKeyID != "AKIAEXAMPLE" || creds.SecretAccessKey != "hunter2" || creds.SessionToken != "EXAMPLETOKEN" || creds.CanExpire {
		t.Errorf("credentials %v, %v", creds.AccessKeyID, err)
	}
	if cfg.Region != "eu-west-1" || cfg.RetryMaxAttempts != 4 || cfg.RetryMode != aws.RetryModeAdaptive || aws.ToString(cfg.BaseEndpoint) != "http://127.0.0.1:4566" {
		t.Errorf("region %q, %d attempts, mode %q, endpoint %q", cfg.Region, cfg.RetryMaxAttempts, cfg.RetryMode, aws.ToString(cfg.BaseEndpoint))
	}
}

// What is wrong is named with all else that is, and without the values.
func TestAWSMistakes(t *testing.T) {
	t.Parallel()
	env := from(map[string]string{"AWS_USE_FIPS_ENDPOINT": "hunter2", "AWS_USE_DUALSTACK_ENDPOINT": "1", "AWS_RETRY_MODE": "hunter2"})
	env.AWS()
	env.String("TASKS_TABLE")
	want := strings.Join([]string{
		"AWS_REGION is not set",
		"AWS_ACCESS_KEY_ID is not set",
		"AWS_SECRET_ACCESS_KEY is not set",
		"AWS_USE_FIPS_ENDPOINT is neither true nor false",
		"AWS_USE_DUALSTACK_ENDPOINT is neither true nor false",
		"AWS_RETRY_MODE is neither standard nor adaptive",
		"TASKS_TABLE is not set",
	}, "\n")
	if err := env.Err(); err == nil || err.Error() != want {
		t.Errorf("Err =\n%v\nwant\n%s", err, want)
	}
}

// offline keeps the requests that clients make instead of sending them.
type offline struct{ requests []*http.Request }

var errOffline = errors.New("offline")

func (o *offline) Do(r *http.Request) (*http.Response, error) {
	o.requests = append(o.requests, r)
	return nil, errOffline
}

// The real clients understand the configuration: where they send to, and as
// whom. Not parallel, because the SDK asks the process's own environment
// whether an endpoint is set.
func TestAWSEndpoints(t *testing.T) {
	tests := []struct {
		name                       string
		values                     map[string]string
		dynamodb, sqs, secretsmngr string
	}{
		{"on AWS", nil, "https://dynamodb.eu-west-1.amazonaws.com", "https://sqs.eu-west-1.amazonaws.com", "https://secretsmanager.eu-west-1.amazonaws.com"},
		{
			"on an emulator",
			map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
			"http://127.0.0.1:4566", "http://127.0.0.1:4566", "http://127.0.0.1:4566",
		},
		{
			"one service apart",
			map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9324"},
			"http://127.0.0.1:4566", "http://127.0.0.1:9324", "http://127.0.0.1:4566",
		},
		{
			"only one service",
			map[string]string{"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://vault.example.com"},
			"https://dynamodb.eu-west-1.amazonaws.com", "https://sqs.eu-west-1.amazonaws.com", "https://vault.example.com",
		},
		{
			"FIPS",
			map[string]string{"AWS_USE_FIPS_ENDPOINT": "true", "AWS_REGION": "us-gov-west-1"},
			"https://dynamodb.us-gov-west-1.amazonaws.com", "https://sqs.us-gov-west-1.amazonaws.com", "https://secretsmanager-fips.us-gov-west-1.amazonaws.com",
		},
		{
			"dual stack",
			map[string]string{"AWS_USE_DUALSTACK_ENDPOINT": "TRUE"},
			"https://dynamodb.eu-west-1.api.aws", "https://sqs.eu-west-1.api.aws", "https://secretsmanager.eu-west-1.amazonaws.com", // speaks both
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			apptest.Hermetic(t, "")
			values := lambdaGives(tt.values)
			for name, value := range values {
				t.Setenv(name, value)
			}
			env, sent := from(values), &offline{}
			cfg := env.AWS()
			if err := env.Err(); err != nil {
				t.Fatal(err)
			}
			cfg.HTTPClient, cfg.RetryMaxAttempts = sent, 1
			for _, call := range []func(context.Context) error{
				func(ctx context.Context) error {
					_, err := dynamodb.NewFromConfig(cfg).ListTables(ctx, &dynamodb.ListTablesInput{})
					return err
				},
				func(ctx context.Context) error {
					_, err := sqs.NewFromConfig(cfg).ListQueues(ctx, &sqs.ListQueuesInput{})
					return err
				},
				func(ctx context.Context) error {
					_, err := secretsmanager.NewFromConfig(cfg).ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
					return err
				},
			} {
				if err := call(t.Context()); !errors.Is(err, errOffline) {
					t.Fatal(err)
				}
			}
			for i, want := range []string{tt.dynamodb, tt.sqs, tt.secretsmngr} {
				r := sent.requests[i]
				if got := r.URL.Scheme + "://" + r.URL.Host; got != want {
					t.Errorf("sends to %s, want %s", got, want)
				}
				signed := r.Header.Get("Authorization")
				if !strings.Contains(signed, "Credential=AKIAEXAMPLE/") || !strings.Contains(signed, "/"+values["AWS_REGION"]+"/") {
					t.Errorf("signed as %s", signed)
				}
				if got := r.Header.Get("X-Amz-Security-Token"); got != "EXAMPLETOKEN" {
					t.Errorf("session token %q", got)
				}
			}
		})
	}
}
