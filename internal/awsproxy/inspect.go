package awsproxy

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strings"
)

// inspect fills in the call what its answer says. body is nil for answers that
// are streamed.
func (c *Call) inspect(status int, header http.Header, body []byte) {
	c.Status = status
	c.Response = body
	if status >= 400 {
		c.ErrorCode = bare(header.Get("X-Amzn-Errortype"))
	}
	switch c.protocol {
	case awsJSON:
		c.inspectJSON(body)
	case awsQuery:
		if status >= 400 && c.ErrorCode == "" {
			c.ErrorCode = xmlCode(body)
		}
	default: // streamed, and not looked into
	}
}

// answerBody holds the parts of JSON answers that are counted.
type answerBody struct {
	Type                string `json:"__type"`
	Responses           json.RawMessage
	ConsumedCapacity    json.RawMessage
	CancellationReasons []struct{ Code string }
	Failed              []struct {
		ID   string `json:"Id"`
		Code string
	}
}

type capacity struct {
	CapacityUnits, ReadCapacityUnits, WriteCapacityUnits float64
}

func (c *Call) inspectJSON(body []byte) {
	var a answerBody
	if json.Unmarshal(body, &a) != nil {
		return
	}
	if c.Status >= 400 && c.ErrorCode == "" {
		c.ErrorCode = bare(a.Type)
	}
	for i, r := range a.CancellationReasons {
		if r.Code != "" && r.Code != "None" {
			c.Failures = append(c.Failures, Failure{i, r.Code})
		}
	}
	for _, f := range a.Failed {
		c.Failures = append(c.Failures, Failure{slices.Index(c.ids, f.ID), f.Code})
	}
	if c.Operation == "BatchExecuteStatement" {
		var responses []struct{ Error *struct{ Code string } }
		_ = json.Unmarshal(a.Responses, &responses)
		for i, r := range responses {
			if r.Error != nil {
				c.Failures = append(c.Failures, Failure{i, r.Error.Code})
			}
		}
	}
	var all []capacity
	if json.Unmarshal(a.ConsumedCapacity, &all) != nil {
		var one capacity
		_ = json.Unmarshal(a.ConsumedCapacity, &one)
		all = []capacity{one}
	}
	for _, u := range all {
		c.Units += u.CapacityUnits
		c.ReadUnits += u.ReadCapacityUnits
		c.WriteUnits += u.WriteCapacityUnits
	}
}

// bare takes the namespace before # and the address after : from an error type.
func bare(code string) string {
	code, _, _ = strings.Cut(code, ":")
	if _, after, ok := strings.Cut(code, "#"); ok {
		return after
	}
	return code
}

// xmlCode finds the first Code element of an XML error.
func xmlCode(body []byte) string {
	d := xml.NewDecoder(bytes.NewReader(body)) //nolint:gosec // reads tokens of an answer that is bounded
	for {
		t, err := d.Token()
		if err != nil {
			return ""
		}
		if e, ok := t.(xml.StartElement); ok && e.Name.Local == "Code" {
			var code string
			_ = d.DecodeElement(&code, &e)
			return code
		}
	}
}

// plain undoes gzip. The proxy asks for no encoding, but some targets, and
// requests that signed their Accept-Encoding, get one all the same.
func plain(a *answer, limit int64) ([]byte, error) {
	if a.header.Get("Content-Encoding") != "gzip" {
		return a.body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		return nil, err
	}
	return readAll(z, limit)
}

// readAll reads at most limit bytes and fails if there are more.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errTooLarge
	}
	return b, nil
}
