package app

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// CallTimeout is the bound of one exchange with this client, 0 without one.
func CallTimeout(c aws.HTTPClient) time.Duration {
	client, ok := c.(httpClient)
	if !ok {
		return 0
	}
	sdk, ok := client.sdk.(*awshttp.BuildableClient)
	if !ok {
		return 0
	}
	return sdk.GetTimeout()
}
