package memstack

import (
	"encoding/json"
	"fmt"
)

// filter is an event pattern, of the part of the language that template.yaml
// uses: nested members, lists of texts, and whether a member exists
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html).
type filter map[string]any

// parseFilter reads a pattern, and refuses what it does not know.
func parseFilter(text string) (filter, error) {
	var f filter
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return nil, fmt.Errorf("filter %s: %w", text, err)
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("filter %s: %w", text, err)
	}
	return f, nil
}

func (f filter) check() error {
	for name, want := range f {
		switch want := want.(type) {
		case map[string]any:
			if err := filter(want).check(); err != nil {
				return err
			}
		case []any:
			for _, one := range want {
				if _, text := one.(string); !text {
					if _, ok := exists(one); !ok {
						return fmt.Errorf("%s: %v is not known", name, one)
					}
				}
			}
		default:
			return fmt.Errorf("%s: %v is no list", name, want)
		}
	}
	return nil
}

// exists reads {"exists": true}.
func exists(v any) (want, ok bool) {
	operator, isMap := v.(map[string]any)
	if !isMap || len(operator) != 1 {
		return false, false
	}
	want, ok = operator["exists"].(bool)
	return want, ok
}

// matches reports whether an event has everything that the pattern asks for.
func (f filter) matches(event map[string]any) bool {
	for name, want := range f {
		got, there := event[name]
		switch want := want.(type) {
		case map[string]any:
			members, _ := got.(map[string]any)
			if !filter(want).matches(members) {
				return false
			}
		case []any:
			if !anyOf(want, got, there) {
				return false
			}
		}
	}
	return true
}

func anyOf(list []any, got any, there bool) bool {
	for _, one := range list {
		if want, ok := exists(one); ok && want == there {
			return true
		}
		if text, ok := one.(string); ok && there && got == text {
			return true
		}
	}
	return false
}
