package app

import (
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// callTimeout bounds one HTTP exchange with AWS; the SDK itself has no bound.
const callTimeout = 5 * time.Second

// httpClient is the SDK's own client, which all clients of a function share,
// with one shortcut taken away: that the body of a request is an [io.WriterTo].
//
// net/http looks for more behind the last byte of a body. Once the SDK has an
// answer it closes the body, and from then on the shortcut returns [io.EOF],
// where an end is no error. So when the answer overtakes that look, as it does
// on a busy machine for requests that need several writes, net/http takes the
// sending for failed and closes the connection under the answer. A call that
// took effect is then made again, up to a second later
// (https://github.com/aws/aws-sdk-go-v2/issues/2737). Read has no such flaw.
type httpClient struct{ sdk aws.HTTPClient }

// HTTPClient returns a client for the SDK that does not break calls which took
// effect. timeout bounds one exchange; 0 means no bound but the context's.
func HTTPClient(timeout time.Duration) aws.HTTPClient {
	return httpClient{awshttp.NewBuildableClient().WithTimeout(timeout)}
}

// Do sends a request.
func (c httpClient) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.sdk.Do(r)
}
