package app

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A client of the function's configuration sends through the transport it was
// given, to the address that it would have on AWS.
func TestWithTransport(t *testing.T) {
	var host string
	env := NewEnv(func(name string) string {
		return map[string]string{"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}[name]
	}, WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
		host = r.URL.Host
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"QueueUrl":"q"}`)), Request: r}, nil
	})))
	out, err := sqs.NewFromConfig(env.AWS()).GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("tasks")})
	if err != nil || aws.ToString(out.QueueUrl) != "q" || host != "sqs.eu-central-1.amazonaws.com" {
		t.Errorf("GetQueueUrl = %v, %v from %q", out, err, host)
	}
	if err := env.Err(); err != nil {
		t.Error(err)
	}
}
