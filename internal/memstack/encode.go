package memstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/schemas"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// operation stands for any: the protocol asks it for its name alone.
var operation = smithy.NewOperationSchema(schemas.PutItem, schemas.PutItemInput, schemas.PutItemOutput)

// encode writes an output, or a part of one, as its service does. The SDK can
// write outputs as well as inputs, and writes both alike; those of Step
// Functions it cannot.
func encode(v any) ([]byte, error) {
	modeled, ok := v.(smithy.Serializable)
	if !ok {
		members, err := plain(reflect.ValueOf(v))
		if err != nil {
			return nil, err
		}
		return json.Marshal(members)
	}
	request, ok := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	if !ok {
		return nil, errors.New("memstack: the SDK makes no HTTP request")
	}
	if err := awsjson.New10(schemas.DynamoDB_20120810).SerializeRequest(context.Background(), operation, modeled, request); err != nil {
		return nil, err
	}
	return io.ReadAll(request.GetStream())
}

// encodeItem writes an item as DynamoDB does.
func encodeItem(item map[string]types.AttributeValue) ([]byte, error) {
	return encode(&dynamodb.GetItemOutput{Item: item})
}

var (
	metadata  = reflect.TypeFor[middleware.Metadata]()
	timeValue = reflect.TypeFor[time.Time]()
)

// plain makes JSON values of an output as Step Functions writes them: members
// begin in lower case, times are seconds since 1970, and what is nil is left
// out.
func plain(v reflect.Value) (any, error) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // is left out
		}
		return plain(v.Elem())
	case reflect.Struct:
		if v.Type() == timeValue {
			at, _ := v.Interface().(time.Time)
			return float64(at.UnixMilli()) / 1000, nil
		}
		members := map[string]any{}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() || field.Type == metadata {
				continue
			}
			member, err := plain(v.Field(i))
			if err != nil {
				return nil, err
			}
			if member != nil {
				members[strings.ToLower(field.Name[:1])+field.Name[1:]] = member
			}
		}
		return members, nil
	case reflect.Slice:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // is left out
		}
		items := make([]any, v.Len())
		for i := range items {
			var err error
			if items[i], err = plain(v.Index(i)); err != nil {
				return nil, err
			}
		}
		return items, nil
	case reflect.Map:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // is left out
		}
		members := map[string]any{}
		for key, value := range v.Seq2() {
			var err error
			if members[key.String()], err = plain(value); err != nil {
				return nil, err
			}
		}
		return members, nil
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Int32, reflect.Int64:
		return v.Int(), nil
	default:
		return nil, fmt.Errorf("memstack: a %s cannot be written", v.Type())
	}
}
