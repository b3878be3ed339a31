package memstack

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

var attributeValue = reflect.TypeFor[types.AttributeValue]()

// decode fills an SDK input type from a request's JSON, in which numbers are
// [json.Number]. It is what the services do with a request, and the reverse of
// what the SDK's client did. A member that the type does not have is an error:
// the client cannot have sent it.
func decode(value any, into reflect.Value) error {
	if value == nil {
		return nil
	}
	if into.Type() == attributeValue {
		v, err := decodeAttribute(value)
		if err == nil {
			into.Set(reflect.ValueOf(v))
		}
		return err
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return decode(value, into.Elem())
	case reflect.Struct:
		return decodeStruct(value, into)
	case reflect.Map:
		return decodeMap(value, into)
	case reflect.Slice:
		return decodeSlice(value, into)
	case reflect.String:
		text, ok := value.(string)
		into.SetString(text)
		return wrong(ok, value, into)
	case reflect.Bool:
		truth, ok := value.(bool)
		into.SetBool(truth)
		return wrong(ok, value, into)
	case reflect.Int32, reflect.Int64:
		n, ok := value.(json.Number)
		if !ok {
			return wrong(false, value, into)
		}
		i, err := n.Int64()
		into.SetInt(i)
		return err
	default:
		return wrong(false, value, into)
	}
}

// wrong is the error for a value of another type.
func wrong(ok bool, value any, into reflect.Value) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%T for a %s", value, into.Type())
}

func decodeStruct(value any, into reflect.Value) error {
	members, ok := value.(map[string]any)
	if !ok {
		return wrong(false, value, into)
	}
	for name, v := range members {
		field := into.FieldByNameFunc(func(f string) bool { return strings.EqualFold(f, name) })
		if !field.IsValid() {
			return fmt.Errorf("%s has no member %s", into.Type(), name)
		}
		if err := decode(v, field); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func decodeMap(value any, into reflect.Value) error {
	entries, ok := value.(map[string]any)
	if !ok {
		return wrong(false, value, into)
	}
	into.Set(reflect.MakeMapWithSize(into.Type(), len(entries)))
	for key, v := range entries {
		entry := reflect.New(into.Type().Elem()).Elem()
		if err := decode(v, entry); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		into.SetMapIndex(reflect.ValueOf(key).Convert(into.Type().Key()), entry)
	}
	return nil
}

func decodeSlice(value any, into reflect.Value) error {
	if into.Type().Elem().Kind() == reflect.Uint8 {
		text, ok := value.(string)
		if !ok {
			return wrong(false, value, into)
		}
		data, err := base64.StdEncoding.DecodeString(text)
		into.SetBytes(data)
		return err
	}
	items, ok := value.([]any)
	if !ok {
		return wrong(false, value, into)
	}
	into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
	for i, item := range items {
		if err := decode(item, into.Index(i)); err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	return nil
}

// decodeAttribute reads {"S": "text"} and its like.
func decodeAttribute(value any) (types.AttributeValue, error) {
	union, _ := value.(map[string]any)
	if len(union) != 1 {
		return nil, fmt.Errorf("%v is no attribute value", value)
	}
	for kind, v := range union {
		var into types.AttributeValue
		switch kind {
		case "S":
			into = &types.AttributeValueMemberS{}
		case "N":
			into = &types.AttributeValueMemberN{}
		case "B":
			into = &types.AttributeValueMemberB{}
		case "BOOL":
			into = &types.AttributeValueMemberBOOL{}
		case "NULL":
			into = &types.AttributeValueMemberNULL{}
		case "L":
			into = &types.AttributeValueMemberL{}
		case "M":
			into = &types.AttributeValueMemberM{}
		case "SS":
			into = &types.AttributeValueMemberSS{}
		case "NS":
			into = &types.AttributeValueMemberNS{}
		case "BS":
			into = &types.AttributeValueMemberBS{}
		default:
			return nil, fmt.Errorf("%s is no type of an attribute value", kind)
		}
		return into, decode(v, reflect.ValueOf(into).Elem().FieldByName("Value"))
	}
	panic("not reached")
}
