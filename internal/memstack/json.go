package memstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"reflect"
	"strconv"

	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// errUnknown is the error for an operation that an implementation lacks.
var errUnknown = errors.New("the stack in memory does not know this operation")

// call answers a request of a JSON protocol: it calls the method of impl that
// is named after the operation and has the signature of the SDK's client. The
// response is what the service would send; an error means that there is none.
func call(ctx context.Context, impl any, operation string, body []byte) (*http.Response, error) {
	method := reflect.ValueOf(impl).MethodByName(operation)
	if !method.IsValid() || method.Type().NumIn() != 3 {
		return nil, errUnknown
	}
	in := reflect.New(method.Type().In(1).Elem())
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var members any
	if err := decoder.Decode(&members); err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	if err := decode(members, in.Elem()); err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), in})
	if err, failed := results[1].Interface().(error); failed {
		return failure(err)
	}
	text, err := encode(results[0].Interface())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	return jsonResponse(http.StatusOK, text), nil
}

// failure is the response for an error of an implementation. An error that no
// service sends, such as the end of the request's context, is returned.
func failure(err error) (*http.Response, error) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return nil, err
	}
	status, kind := http.StatusBadRequest, api.ErrorCode()
	members := map[string]any{"message": api.ErrorMessage()}
	if modeled, ok := api.(smithy.Serializable); ok { // with what else it has, such as an item
		text, err := encode(modeled)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &members); err != nil {
			return nil, err
		}
	}
	if api.ErrorFault() == smithy.FaultServer {
		status = http.StatusInternalServerError
	}
	header := http.Header{}
	if refused, ok := errors.AsType[*workqueuetest.Error](err); ok {
		status, kind = refused.Status, refused.Shape
		header.Set("X-Amzn-Query-Error", refused.Code+";Sender")
	}
	members["__type"] = "com.amazonaws#" + kind
	text, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	response := jsonResponse(status, text)
	for name, values := range header {
		response.Header[name] = values
	}
	return response, nil
}

func jsonResponse(status int, body []byte) *http.Response {
	return respond(status, http.Header{
		"Content-Type": {"application/x-amz-json-1.0"},
		"X-Amz-Crc32":  {strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10)}, // which the DynamoDB client checks
	}, body)
}

// respond makes an HTTP response.
func respond(status int, header http.Header, body []byte) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func readAll(r *http.Response) ([]byte, error) {
	defer r.Body.Close() //nolint:errcheck // bytes in memory
	return io.ReadAll(r.Body)
}
