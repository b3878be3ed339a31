package saga

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// object is a JSON object whose fields keep their order, so that a machine
// reads in the order in which it runs.
type object []field

type field struct {
	name  string
	value any
}

// MarshalJSON writes the fields in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var buf bytes.Buffer
	for i, f := range o {
		buf.WriteByte("{,"[min(i, 1)])
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		value, err := plainJSON(f.value)
		if err != nil {
			return nil, err
		}
		buf.Write(name)
		buf.WriteByte(':')
		buf.Write(value)
	}
	if len(o) == 0 {
		buf.WriteByte('{')
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// plainJSON encodes without the escapes that are for web pages.
func plainJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimRight(buf.Bytes(), "\n"), err
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
