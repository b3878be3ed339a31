package awsproxy

import (
	"encoding/json"
	"fmt"
	"slices"
)

// batchField is the member of the request that holds the entries of a batch
// whose answer reports them one by one; empty for other calls.
func batchField(c *Call) string {
	switch {
	case c.Service == "dynamodb" && c.Operation == "BatchExecuteStatement":
		return "Statements"
	case c.Service == "sqs" && c.ids != nil:
		return "Entries"
	}
	return ""
}

// without takes the picked entries out of a request. It returns nil when none
// is left.
func without(c *Call, picks []bool) ([]byte, error) {
	field := batchField(c)
	var body map[string]json.RawMessage
	if err := json.Unmarshal(c.Request, &body); err != nil {
		return nil, fmt.Errorf("read %s request: %w", c.Operation, err)
	}
	var entries, left []json.RawMessage
	if err := json.Unmarshal(body[field], &entries); err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", field, c.Operation, err)
	}
	for i, e := range entries {
		if !picks[i] {
			left = append(left, e)
		}
	}
	if len(left) == 0 {
		return nil, nil
	}
	body[field] = marshal(left)
	return marshal(body), nil
}

// report writes into a successful answer that the picked entries failed.
// removed says that they were taken out of the request, so that the answer has
// nothing about them yet. An empty body stands for the answer to no entries.
func report(c *Call, body []byte, v *verdict, removed bool) ([]byte, error) {
	if len(body) == 0 {
		body = []byte("{}")
	}
	var a map[string]json.RawMessage
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("read %s response: %w", c.Operation, err)
	}
	var err error
	if c.Service == "dynamodb" {
		err = reportStatements(c, a, v, removed)
	} else {
		err = reportEntries(c, a, v)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s response: %w", c.Operation, err)
	}
	return marshal(a), nil
}

// reportStatements puts errors into Responses, which is in request order.
func reportStatements(c *Call, a map[string]json.RawMessage, v *verdict, removed bool) error {
	var have, all []json.RawMessage
	if raw, ok := a["Responses"]; ok {
		if err := json.Unmarshal(raw, &have); err != nil {
			return err
		}
	}
	failed := marshal(map[string]any{"Error": map[string]string{
		"Code": v.err.entryCode(c), "Message": v.err.message(),
	}})
	for _, picked := range v.picks {
		if picked {
			all = append(all, failed)
		}
		if picked && removed {
			continue
		}
		if len(have) == 0 {
			return fmt.Errorf("%d statements but fewer responses", len(v.picks))
		}
		if !picked {
			all = append(all, have[0])
		}
		have = have[1:]
	}
	a["Responses"] = marshal(all)
	return nil
}

// reportEntries moves entries from Successful to Failed, which name them by id.
func reportEntries(c *Call, a map[string]json.RawMessage, v *verdict) error {
	successful, failed := []json.RawMessage{}, []json.RawMessage{}
	picked := func(entry json.RawMessage) bool {
		var e struct {
			ID string `json:"Id"`
		}
		_ = json.Unmarshal(entry, &e)
		i := slices.Index(c.ids, e.ID)
		return i >= 0 && v.picks[i]
	}
	for field, to := range map[string]*[]json.RawMessage{"Successful": &successful, "Failed": &failed} {
		if raw, ok := a[field]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return err
			}
			*to = slices.DeleteFunc(*to, picked)
		}
	}
	for i, id := range c.ids {
		if v.picks[i] {
			failed = append(failed, marshal(map[string]any{
				"Id": id, "SenderFault": false, "Code": v.err.entryCode(c), "Message": v.err.message(),
			}))
		}
	}
	a["Successful"], a["Failed"] = marshal(successful), marshal(failed)
	return nil
}
