package event_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/event"
)

// decoders by the source that they are for.
var decoders = map[string]func([]byte) (int, error){
	"aws:sqs":      func(p []byte) (int, error) { m, err := event.SQS(p); return len(m), err },
	"aws:kinesis":  func(p []byte) (int, error) { m, err := event.Kinesis(p); return len(m), err },
	"aws:dynamodb": func(p []byte) (int, error) { m, err := event.DynamoDB(p); return len(m), err },
}

func TestSamplesAgree(t *testing.T) {
	t.Parallel()
	for _, s := range samples {
		agree(t, s)
	}
	for _, s := range odd {
		for _, s := range fromEverywhere(s) {
			agree(t, s)
		}
	}
}

var firstField = regexp.MustCompile(`\{("(?:messageId|body|attributes|messageAttributes|kinesis|dynamodb|userIdentity)":)`)

// fromEverywhere returns an odd payload, and what it would be like if its
// records said that they come from each of the sources.
func fromEverywhere(s string) []string {
	all := []string{s}
	for source := range decoders {
		if with := firstField.ReplaceAllString(s, `{"eventSource":"`+source+`",$1`); with != s {
			all = append(all, with)
		}
	}
	return all
}

// odd are payloads that no source sends, or hardly ever.
var odd = []string{
	``, `null`, `[]`, `{}`, `{"Records":null}`, `{"Records":{}}`, `{"Records":[]}`, `{"Records":[null]}`, `{"Records":[{}]}`, `{"Records":[1]}`,
	`{"Records":[{}]} {}`, `{"Records":[{}`, `{"records":[{}]}`, `{"Records":[{}],"Records":[{},{}]}`, `{"task_id":"x"}`,
	`{"Records":[{"eventSource":"aws:sns"}]}`, `{"Records":[{"eventSource":null}]}`, `{"Records":[{"eventSource":7}]}`,
	`{"Records":[{"messageId":null,"attributes":null,"messageAttributes":null}]}`,
	`{"Records":[{"messageId":7}]}`, `{"Records":[{"body":{}}]}`, `{"Records":[{"attributes":[]}]}`,
	`{"Records":[{"attributes":{"ApproximateReceiveCount":1}}]}`,
	`{"Records":[{"attributes":{"ApproximateReceiveCount":"-1","SentTimestamp":"x","ApproximateFirstReceiveTimestamp":"99999999999999999999"}}]}`,
	`{"Records":[{"messageAttributes":{"a":null}}]}`, `{"Records":[{"messageAttributes":{"a":{"binaryValue":"*"}}}]}`,
	`{"Records":[{"messageAttributes":{"a":{"binaryValue":"","stringValue":null,"dataType":null},"b":{}}}]}`,
	`{"Records":[{"kinesis":null,"eventID":null}]}`, `{"Records":[{"kinesis":{"data":"*"}}]}`, `{"Records":[{"kinesis":{"data":"QQ"}}]}`,
	`{"Records":[{"kinesis":{"data":"Q\nQ==","approximateArrivalTimestamp":null}}]}`, `{"Records":[{"kinesis":{"data":[65]}}]}`,
	`{"Records":[{"kinesis":{"data":""}},{"kinesis":{"data":null}},{"kinesis":{"data":"QUJD"}}]}`,
	`{"Records":[{"kinesis":{"approximateArrivalTimestamp":"1"}}]}`, `{"Records":[{"kinesis":{"approximateArrivalTimestamp":-1}}]}`,
	`{"Records":[{"kinesis":{"approximateArrivalTimestamp":1e300}}]}`, `{"Records":[{"kinesis":{"approximateArrivalTimestamp":1e999}}]}`,
	`{"Records":[{"dynamodb":null,"userIdentity":null}]}`, `{"Records":[{"dynamodb":{"Keys":null,"NewImage":[]}}]}`,
	`{"Records":[{"dynamodb":{"Keys":{"a":{"S":"1"},"b":{"S":"2"}}}},{"dynamodb":{"Keys":{"b":{"S":"\u0032"}, "a":{"S":"1"}}}},{"dynamodb":{"Keys":{"a":{"S":"2"},"b":{"S":"1"}}}}]}`,
	`{"Records":[{"dynamodb":{"Keys":{"a":{"S":"1"}}}},{"dynamodb":{"Keys":{"a":{"N":"1"}}}},{"dynamodb":{"Keys":{"a":{"":"1"}}}},{"dynamodb":{"Keys":{"a":{}}}}]}`,
	`{"Records":[{"dynamodb":{"Keys":{"a":{"S":"1","N":"2"}}}},{"dynamodb":{"Keys":{"\n\n\n\n\n\n":{"S":"1"}}}}]}`,
	`{"Records":[{"dynamodb":{"Keys":{"\n":{"S":"\u0001\"\\\/"}},"NewImage":{"a":{"S":"x","N":"1"}},"OldImage":{"a":{"X":1}}}}]}`,
	`{"Records":[{"dynamodb":{"NewImage":{"a":{"N":"01"}},"OldImage":{"a":{"N":"NaN"}},"Keys":{"a":{"N":""}}}}]}`,
	`{"Records":[{"dynamodb":{"NewImage":{"a":{"BOOL":"true"}},"OldImage":{"a":{"S":1}},"Keys":{"a":{"L":null}}}}]}`,
	`{"Records":[{"userIdentity":{"principalId":"someone"}},{"userIdentity":{"type":"Service","principalId":null}}]}`,
	`{"Records":[{"dynamodb":{"NewImage":` + strings.Repeat(`{"a":{"M":`, 200) + `{}` + strings.Repeat(`}}`, 200) + `}}]}`,
	strings.Repeat(`[`, 20000), `{"Records":[` + strings.Repeat(`{"a":`, 20000),
	"{\"Records\":[{\"messageId\":\"\xff\"}]}",
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for source, decode := range decoders {
		for payload, want := range map[string]string{
			``:                     "unexpected JSON",
			`{"Records":[{"x":}]}`: "unexpected JSON",
			`{"Records":[]}x`:      "unexpected JSON",
			`{"Records":7}`:        "unexpected JSON: no [ at byte 11",
			`{"Records":[{}]}`:     "has no eventSource; the function expects batches from " + source,
			// SNS spells it so.
			`{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"x"}}]}`: "has no eventSource",
			`{"detail":{}}`:                     "has no Records; the function expects batches from " + source,
			`{"Records":[{"eventSource":"x"}]}`: `from "x"; the function expects batches from ` + source,
		} {
			n, err := decode([]byte(payload))
			if !errors.Is(err, event.ErrMalformed) || !strings.Contains(err.Error(), want) || n != 0 {
				t.Errorf("%s: %q: %d records, %v; want %q", source, payload, n, err, want)
			}
		}
		if n, err := decode([]byte(`{"Records":[]}`)); n != 0 || err != nil {
			t.Errorf("%s: an empty batch: %d records, %v", source, n, err)
		}
		for _, s := range samples {
			n, err := decode([]byte(s))
			if ours := strings.Contains(s, `"`+source+`"`); ours != (err == nil) || ours != (n > 0) {
				t.Errorf("%s: %d records, %v of %.80s", source, n, err, s)
			}
		}
	}
}

// The runtime client reads the next event into the same buffer, while a handler
// that was given up may still look at this one.
func TestPayloadMayBeUsedAgain(t *testing.T) {
	t.Parallel()
	for _, s := range samples {
		payload := []byte(s)
		messages, _ := event.SQS(payload)
		records, _ := event.Kinesis(payload)
		changes, _ := event.DynamoDB(payload)
		clear(payload)
		for i := range messages {
			if strings.ContainsRune(messages[i].Body+messages[i].MessageID+messages[i].QueueARN, 0) {
				t.Errorf("message %d has changed: %+v", i, messages[i])
			}
		}
		for i := range records {
			if strings.ContainsRune(records[i].JSON+records[i].SequenceNumber, 0) {
				t.Errorf("record %d has changed: %+v", i, records[i])
			}
		}
		for i := range changes {
			if strings.ContainsRune(changes[i].JSON+string(changes[i].Keys)+changes[i].SequenceNumber, 0) {
				t.Errorf("change %d has changed: %+v", i, changes[i])
			}
		}
	}
}

func TestInvalidUTF8(t *testing.T) {
	t.Parallel()
	messages, err := event.SQS([]byte("{\"Records\":[{\"eventSource\":\"aws:sqs\",\"body\":\"a\xffb\"}]}"))
	if err != nil || len(messages) != 1 || messages[0].Body != "a\uFFFDb" {
		t.Errorf("%+v, %v", messages, err)
	}
}

// FuzzEvents feeds all decoders, and what they lead to.
func FuzzEvents(f *testing.F) {
	for _, s := range samples {
		f.Add(s)
	}
	for _, s := range odd {
		for _, s := range fromEverywhere(s) {
			if len(s) < 10000 {
				f.Add(s)
			}
		}
	}
	f.Fuzz(agree)
}

// FuzzImage feeds the conversion of items, and of keys, with what need not be
// part of an event.
func FuzzImage(f *testing.F) {
	for _, s := range samples {
		changes, _ := event.DynamoDB([]byte(s))
		for i := range changes {
			f.Add(string(changes[i].New))
			f.Add(string(changes[i].Keys))
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		tree, err := parse(s)
		exact := err == nil && spelledExactly(s) && strings.ToValidUTF8(s, "") == s
		if _, isItem := tree.(map[string]any); exact && !isItem {
			exact = false
			if _, err := event.Image(s).JSON(); !errors.Is(err, event.ErrMalformed) {
				t.Errorf("%q: %v", s, err)
			}
		}
		checkImage(t, event.Image(s), exact)
		c := event.Change{Keys: event.Image(s)}
		key := c.Key()
		again := event.Change{Keys: event.Image(key)}
		if again.Key() != key {
			t.Errorf("the key of %q is %q, the key of that %q", s, key, again.Key())
		}
		if want, ok := keys(c.Keys); exact && ok {
			if got, _ := keys(event.Image(key)); !cmp.Equal(want, got) {
				t.Errorf("the key of %q is %q", s, key)
			}
		}
	})
}
