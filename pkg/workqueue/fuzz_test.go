package workqueue_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

// legal is the documented rule, character by character.
func legal(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r != '\t' && r != '\n' && r != '\r' && (r < 0x20 || r == 0xFFFE || r == 0xFFFF) {
			return false
		}
	}
	return true
}

func FuzzDecode(f *testing.F) {
	f.Add(valid)
	f.Add(strings.Replace(valid, `"v":1`, `"v":2`, 1))
	f.Add(strings.Replace(valid, `"input":{}`, `"input_ref":"s3://bucket/key"`, 1))
	f.Add(strings.Replace(valid, `{}`, "[\"\\\"}\",{\"a\":[]},\"\uFFFE\"]", 1))
	f.Add(strings.Replace(valid, `"run":1`, `"\u0072un" : 1 , "x":{"run":7}`, 1))
	f.Add(strings.Replace(valid, `"v":1`, `"v":1,"v":1`, 1))
	f.Add(`{"v":1,"a":tru`)
	f.Add(`{"":{"":[]},"v":1e0}`)
	f.Add("{}")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := workqueue.Decode(text, nil)
		if err != nil {
			foreign, ok := errors.AsType[*workqueue.ForeignError](err)
			if ok == errors.Is(err, workqueue.ErrNewerVersion) {
				t.Fatalf("neither foreign nor newer, or both: %v", err)
			}
			if ok && !legal(foreign.Reason) {
				t.Fatalf("reason %q", foreign.Reason)
			}
			return
		}
		out, err := workqueue.Encode(m)
		if err != nil {
			t.Fatalf("decoded, but not encoded: %v", err)
		}
		if !legal(out.Body) {
			t.Fatalf("SQS refuses %q", out.Body)
		}
		again, err := workqueue.Decode(out.Body, out.Attributes)
		if err != nil {
			t.Fatalf("encoded, but not decoded: %v\n%s", err, out.Body)
		}
		m.Input, again.Input = nil, nil // compacted and escaped
		if diff := cmp.Diff(m, again); diff != "" {
			t.Fatalf("changed on the way:\n%s", diff)
		}
		if !legal(text) {
			return // no queue delivered it
		}
		rec := record(workqueue.Outgoing{Body: text})
		dead, _ := workqueue.DeadLetter(rec, workqueue.FailureRecord{}, m.Run)
		next, err := workqueue.Decode(dead.Body, dead.Attributes)
		if err != nil || next.Run != m.Run+1 {
			t.Fatalf("dead letter: run %d, %v\n%s", next.Run, err, dead.Body)
		}
	})
}
