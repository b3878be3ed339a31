package admin

import (
	"encoding/json"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/redrive"
)

// checkFilter refuses what redrive's decoder refuses in the filter of a payload:
// members that no filter has, wrong types, and texts that are no durations.
func checkFilter(payload []byte) error {
	return json.Unmarshal(payload, &struct {
		Filter *redrive.Filter `json:"filter"`
	}{})
}

// filterOf is a filter that [checkFilter] has passed. Nil matches all.
func filterOf(f *adminapi.Filter) (redrive.Filter, error) {
	var out redrive.Filter
	if f == nil {
		return out, nil
	}
	text, err := json.Marshal(f)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	return out, err
}

// filterAs is a filter as it is answered.
func filterAs(f *redrive.Filter) adminapi.Filter {
	duration := func(d time.Duration) string {
		if d <= 0 {
			return ""
		}
		return d.String()
	}
	return adminapi.Filter{
		Type: f.Type, Tenant: f.Tenant, ErrorContains: f.ErrorContains, OlderThan: duration(f.OlderThan), NewerThan: duration(f.NewerThan),
		IDs: f.IDs, Status: f.Status,
	}
}
