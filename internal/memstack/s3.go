package memstack

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/archive"
)

// objects is S3: the objects of the stack's one bucket.
type objects struct {
	archive.ObjectAPI

	bucket string
}

// serve answers a request for an object
// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html).
func (o *objects) serve(r *http.Request, c Call) (*http.Response, error) {
	bucket, rest, _ := strings.Cut(r.URL.Hostname(), ".s3.")
	key := strings.TrimPrefix(r.URL.Path, "/")
	if rest == "" { // the bucket in the path
		bucket, key, _ = strings.Cut(key, "/")
	}
	if bucket != o.bucket {
		return o.refuse(&smithy.GenericAPIError{Code: "NoSuchBucket", Message: "The specified bucket does not exist: " + bucket})
	}
	query := r.URL.Query()
	query.Del("x-id") // the SDK's name of the operation
	if key == "" || len(query) > 0 {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL, errUnknown)
	}
	switch r.Method {
	case http.MethodPut:
		data, err := unchunked(r, c.Body)
		if err != nil {
			return nil, err
		}
		in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data)}
		if match := r.Header.Get("If-None-Match"); match != "" {
			in.IfNoneMatch = &match
		}
		if _, err := o.PutObject(r.Context(), in); err != nil {
			return o.refuse(err)
		}
		return respond(http.StatusOK, nil, nil), nil
	case http.MethodGet:
		out, err := o.GetObject(r.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			return o.refuse(err)
		}
		data, err := io.ReadAll(out.Body)
		return respond(http.StatusOK, http.Header{"Content-Length": {fmt.Sprint(len(data))}}, data), err
	case http.MethodDelete:
		if _, err := o.DeleteObject(r.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
			return o.refuse(err)
		}
		return respond(http.StatusNoContent, nil, nil), nil
	default:
		return nil, fmt.Errorf("%s: %w", r.Method, errUnknown)
	}
}

// unchunked is the body of a request whose checksum comes behind it, in
// aws-chunked encoding
// (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html).
func unchunked(r *http.Request, body []byte) ([]byte, error) {
	if !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		return body, nil
	}
	var data []byte
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		var size int
		if _, err := fmt.Sscanf(string(line), "%x", &size); err != nil || !ok || size > len(rest) {
			return nil, fmt.Errorf("a chunk of %q, of which %d bytes are there", line, len(rest))
		}
		if size == 0 {
			return data, nil
		}
		data, body = append(data, rest[:size]...), bytes.TrimPrefix(rest[size:], []byte("\r\n"))
	}
}

// s3Statuses are those of the errors that the bucket answers
// (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
var s3Statuses = map[string]int{
	"NoSuchKey": http.StatusNotFound, "NoSuchBucket": http.StatusNotFound, "PreconditionFailed": http.StatusPreconditionFailed,
	"SlowDown": http.StatusServiceUnavailable,
}

// refuse implements [restService].
func (o *objects) refuse(err error) (*http.Response, error) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return nil, err
	}
	status := s3Statuses[api.ErrorCode()]
	switch {
	case status != 0:
	case api.ErrorFault() == smithy.FaultServer:
		status = http.StatusInternalServerError
	default:
		status = http.StatusBadRequest
	}
	text, err := xml.Marshal(struct {
		XMLName struct{} `xml:"Error"`
		Code    string
		Message string
	}{Code: api.ErrorCode(), Message: api.ErrorMessage()})
	return respond(status, http.Header{"Content-Type": {"application/xml"}}, text), err
}
