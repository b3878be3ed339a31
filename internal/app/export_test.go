package app

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// CallTimeout is the bound of one exchange with this client, 0 without one.
func CallTimeout(c aws.HTTPClient) time.Duration {
	client, ok := c.(httpClient)
	if !ok {
		return 0
	}
	return client.sdk.GetTimeout()
}
