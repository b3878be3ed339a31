//go:build integration

package coldstart

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// AWS's JSON protocols write the SDK's own structs, field by field under the
// same names; only attribute values, unions in Go, look different. So requests
// can be read into, and answers written from, the types that the in-memory
// doubles take.

var (
	attributeValue = reflect.TypeFor[types.AttributeValue]()
	// streamValue is the same once more, in the package of streams.
	streamValue  = reflect.TypeFor[streamtypes.AttributeValue]()
	streamRecord = reflect.TypeFor[streamtypes.Record]()
)

// members are the forms of an attribute value by their names on the wire.
var members = map[string]reflect.Type{
	"S": reflect.TypeFor[types.AttributeValueMemberS](), "N": reflect.TypeFor[types.AttributeValueMemberN](),
	"B": reflect.TypeFor[types.AttributeValueMemberB](), "BOOL": reflect.TypeFor[types.AttributeValueMemberBOOL](),
	"NULL": reflect.TypeFor[types.AttributeValueMemberNULL](), "M": reflect.TypeFor[types.AttributeValueMemberM](),
	"L": reflect.TypeFor[types.AttributeValueMemberL](), "SS": reflect.TypeFor[types.AttributeValueMemberSS](),
}

// read sets dst to what parsed JSON says. A field that the SDK's type does not
// have is an error, so that nothing of a request is overlooked.
func read(src any, dst reflect.Value) error {
	if src == nil {
		return nil
	}
	if dst.Type() == attributeValue {
		return readAttribute(src, dst)
	}
	switch v := src.(type) {
	case map[string]any:
		return readObject(v, dst)
	case []any:
		if dst.Kind() != reflect.Slice {
			return fmt.Errorf("a list for %s", dst.Type())
		}
		dst.Set(reflect.MakeSlice(dst.Type(), len(v), len(v)))
		for i, e := range v {
			if err := read(e, dst.Index(i)); err != nil {
				return err
			}
		}
		return nil
	case string:
		if dst.Kind() == reflect.Slice {
			raw, err := base64.StdEncoding.DecodeString(v)
			dst.SetBytes(raw)
			return err
		}
	}
	value := reflect.ValueOf(src)
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	if !value.CanConvert(dst.Type()) {
		return fmt.Errorf("%v for %s", src, dst.Type())
	}
	dst.Set(value.Convert(dst.Type()))
	return nil
}

func readObject(src map[string]any, dst reflect.Value) error {
	switch dst.Kind() {
	case reflect.Pointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		return readObject(src, dst.Elem())
	case reflect.Map:
		dst.Set(reflect.MakeMapWithSize(dst.Type(), len(src)))
		for name, v := range src {
			e := reflect.New(dst.Type().Elem()).Elem()
			if err := read(v, e); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			dst.SetMapIndex(reflect.ValueOf(name), e)
		}
		return nil
	case reflect.Struct:
		for name, v := range src {
			field := dst.FieldByName(name)
			if !field.IsValid() {
				return fmt.Errorf("%s has no %s", dst.Type(), name)
			}
			if err := read(v, field); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	default:
		return fmt.Errorf("an object for %s", dst.Type())
	}
}

func readAttribute(src any, dst reflect.Value) error {
	object, ok := src.(map[string]any)
	if !ok || len(object) != 1 {
		return fmt.Errorf("%v is not an attribute value", src)
	}
	for name, v := range object {
		member, ok := members[name]
		if !ok {
			return fmt.Errorf("attribute values of type %s are not known here", name)
		}
		value := reflect.New(member)
		if err := read(v, value.Elem().FieldByName("Value")); err != nil {
			return err
		}
		dst.Set(value)
	}
	return nil
}

// written is v as something that [encoding/json] writes as AWS does: without
// what is not set, byte slices in base64.
func written(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		if v.Type() == attributeValue || v.Type() == streamValue {
			member := v.Elem().Elem()
			_, name, _ := strings.Cut(member.Type().Name(), "Member")
			return map[string]any{name: written(member.FieldByName("Value"))}
		}
		return written(v.Elem())
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			return at.Unix()
		}
		object := map[string]any{}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() || field.Name == "ResultMetadata" || v.Field(i).IsZero() {
				continue
			}
			name := field.Name
			if v.Type() == streamRecord { // whose names begin small: eventID
				name = strings.ToLower(name[:1]) + name[1:]
			}
			object[name] = written(v.Field(i))
		}
		return object
	case reflect.Map:
		object := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			object[it.Key().String()] = written(it.Value())
		}
		return object
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v.Bytes()
		}
		list := []any{}
		for i := range v.Len() {
			list = append(list, written(v.Index(i)))
		}
		return list
	default:
		return v.Interface()
	}
}
