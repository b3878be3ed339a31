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

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/schemas"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

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
	out, ok := results[0].Interface().(smithy.Serializable)
	if !ok {
		return nil, fmt.Errorf("%s: the SDK cannot write a %s", operation, results[0].Type())
	}
	text, err := encode(out)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	return jsonResponse(http.StatusOK, text), nil
}

// operation stands for any: the protocol asks it for its name alone.
var operation = smithy.NewOperationSchema(schemas.PutItem, schemas.PutItemInput, schemas.PutItemOutput)

// encode writes an output, or a part of one, as its service does. The SDK can
// write outputs as well as inputs, and writes both alike.
func encode(v smithy.Serializable) ([]byte, error) {
	request, ok := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	if !ok {
		return nil, errors.New("memstack: the SDK makes no HTTP request")
	}
	if err := awsjson.New10(schemas.DynamoDB_20120810).SerializeRequest(context.Background(), operation, v, request); err != nil {
		return nil, err
	}
	return io.ReadAll(request.GetStream())
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
	if modeled, ok := api.(smithy.Serializable); ok {
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

// encodeItem writes an item as DynamoDB does.
func encodeItem(item map[string]types.AttributeValue) ([]byte, error) {
	return encode(&dynamodb.GetItemOutput{Item: item})
}

func readAll(r *http.Response) ([]byte, error) {
	defer r.Body.Close() //nolint:errcheck // bytes in memory
	return io.ReadAll(r.Body)
}
