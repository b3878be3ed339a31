package event_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/internal/jsonscan"
)

// What the decoders have to agree with: encoding/json, with aws-lambda-go's
// structs for the values and with the rules below for what is accepted.

// agree checks all decoders on one payload.
func agree(t *testing.T, payload string) {
	t.Helper()
	tree, err := parse(payload)
	plain := err == nil && spelledExactly(payload) && strings.ToValidUTF8(payload, "") == payload

	messages, sqsErr := event.SQS([]byte(payload))
	records, kinesisErr := event.Kinesis([]byte(payload))
	changes, changeErr := event.DynamoDB([]byte(payload))
	for _, got := range []struct {
		source string
		err    error
		n      int
		rules  map[string]rule
	}{
		{"aws:sqs", sqsErr, cap(messages), sqsRecord},
		{"aws:kinesis", kinesisErr, cap(records), kinesisRecord},
		{"aws:dynamodb", changeErr, cap(changes), change},
	} {
		if got.n > len(payload)/2+10 {
			t.Errorf("%s: room for %d records made of %d bytes", got.source, got.n, len(payload))
		}
		if err != nil && got.err == nil {
			t.Errorf("%s: accepted, encoding/json: %v", got.source, err)
		}
		if want := accepted(tree, got.source, got.rules); plain && want != (got.err == nil) {
			t.Errorf("%s: accepted %v, want %v (%v)", got.source, got.err == nil, want, got.err)
		}
	}
	if t.Failed() || !plain {
		checkImages(t, changes, false)
		return
	}
	compare(t, payload, sqsErr, messages, wantMessages)
	compare(t, payload, kinesisErr, records, wantRecords)
	compare(t, payload, changeErr, changes, wantChanges)
	checkImages(t, changes, true)
	checkRaw(t, payload, records, changes)
}

func compare[T any](t *testing.T, payload string, err error, got []T, want func(string) ([]T, error)) {
	t.Helper()
	if err != nil {
		return
	}
	wanted, err := want(payload)
	if err != nil {
		return // aws-lambda-go is stricter about fields that are skipped here
	}
	if diff := gocmp.Diff(wanted, got); diff != "" {
		t.Errorf("(-aws-lambda-go +got):\n%s", diff)
	}
}

func wantMessages(payload string) ([]event.SQSMessage, error) {
	var ev events.SQSEvent
	if err := json.Unmarshal([]byte(payload), &ev); err != nil {
		return nil, err
	}
	var all []event.SQSMessage
	for _, m := range ev.Records {
		w := event.SQSMessage{
			MessageID: m.MessageId, ReceiptHandle: m.ReceiptHandle, Body: m.Body, QueueARN: m.EventSourceARN,
			ReceiveCount: int(count(m.Attributes["ApproximateReceiveCount"])), SentAt: millis(m.Attributes["SentTimestamp"]),
			FirstReceivedAt: millis(m.Attributes["ApproximateFirstReceiveTimestamp"]), Sender: m.Attributes["SenderId"],
			TraceHeader: m.Attributes["AWSTraceHeader"], DeadLetterSource: m.Attributes["DeadLetterQueueSourceArn"],
			GroupID: m.Attributes["MessageGroupId"], DeduplicationID: m.Attributes["MessageDeduplicationId"],
			SequenceNumber: m.Attributes["SequenceNumber"],
		}
		for name, a := range m.MessageAttributes {
			attribute := event.Attribute{Name: name, Type: a.DataType}
			if a.StringValue != nil {
				attribute.String = *a.StringValue
			}
			if len(a.BinaryValue) > 0 {
				attribute.Binary = a.BinaryValue
			}
			w.Attributes = append(w.Attributes, attribute)
		}
		all = append(all, w)
	}
	// The order of attributes is the event's; a map has none.
	if got, err := event.SQS([]byte(payload)); err == nil && len(got) == len(all) {
		for i := range all {
			place := map[string]int{}
			for k, a := range got[i].Attributes {
				place[a.Name] = k
			}
			slices.SortFunc(all[i].Attributes, func(a, b event.Attribute) int { return cmp.Compare(place[a.Name], place[b.Name]) })
		}
	}
	return all, nil
}

func count(s string) int64 {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && s[0] != '+' && len(s) <= 18 && n >= 0 && n <= 1<<52 {
		return n
	}
	return 0
}

func millis(s string) time.Time {
	if n := count(s); n > 0 {
		return time.UnixMilli(n)
	}
	return time.Time{}
}

func wantRecords(payload string) ([]event.KinesisRecord, error) {
	var ev events.KinesisEvent
	if err := json.Unmarshal([]byte(payload), &ev); err != nil {
		return nil, err
	}
	raw := recordTexts(payload)
	var all []event.KinesisRecord
	for i, r := range ev.Records {
		all = append(all, event.KinesisRecord{
			EventID: r.EventID, StreamARN: r.EventSourceArn, PartitionKey: r.Kinesis.PartitionKey,
			SequenceNumber: r.Kinesis.SequenceNumber, Data: r.Kinesis.Data, JSON: raw[i],
			ArrivedAt: seconds(r.Kinesis.ApproximateArrivalTimestamp.Time),
		})
	}
	return all, nil
}

func wantChanges(payload string) ([]event.Change, error) {
	var ev events.DynamoDBEvent
	if err := json.Unmarshal([]byte(payload), &ev); err != nil {
		return nil, err
	}
	var texts struct {
		Records []struct {
			Change struct{ Keys, NewImage, OldImage json.RawMessage } `json:"dynamodb"`
		}
	}
	if err := json.Unmarshal([]byte(payload), &texts); err != nil {
		return nil, err
	}
	image := func(raw json.RawMessage) event.Image {
		if string(raw) == "null" {
			return ""
		}
		return event.Image(raw)
	}
	raw := recordTexts(payload)
	var all []event.Change
	for i, r := range ev.Records {
		images := texts.Records[i].Change
		all = append(all, event.Change{
			EventID: r.EventID, Kind: event.ChangeKind(r.EventName), StreamARN: r.EventSourceArn,
			SequenceNumber: r.Change.SequenceNumber, At: seconds(r.Change.ApproximateCreationDateTime.Time), JSON: raw[i],
			Keys: image(images.Keys), New: image(images.NewImage), Old: image(images.OldImage),
			Expired: r.UserIdentity != nil && r.UserIdentity.PrincipalID == "dynamodb.amazonaws.com",
		})
	}
	return all, nil
}

// recordTexts returns the records as they stand in the payload.
func recordTexts(payload string) []string {
	var ev struct{ Records []json.RawMessage }
	if json.Unmarshal([]byte(payload), &ev) != nil {
		return nil
	}
	var texts []string
	for _, r := range ev.Records {
		texts = append(texts, string(r))
	}
	return texts
}

// seconds does to aws-lambda-go's time what is promised of ours: milliseconds,
// and nothing for what is no time.
func seconds(t time.Time) time.Time {
	s := float64(t.Unix()) + float64(t.Nanosecond())/1e9
	if s < 1 || s > 1e11 {
		return time.Time{}
	}
	return t.Add(500 * time.Microsecond).Truncate(time.Millisecond)
}

// rule says whether a value may stand in a field.
type rule func(v any) bool

func text(v any) bool {
	_, ok := v.(string)
	return ok || v == nil
}

func numeric(v any) bool {
	_, ok := v.(json.Number)
	return ok || v == nil
}

func encoded(v any) bool {
	s, _ := v.(string)
	_, err := base64.StdEncoding.DecodeString(s)
	return text(v) && err == nil
}

func image(v any) bool {
	_, ok := v.(map[string]any)
	return ok || v == nil
}

// object is a rule for objects; fields without a rule may be anything.
func object(null bool, fields map[string]rule) rule {
	return func(v any) bool {
		m, ok := v.(map[string]any)
		if v == nil {
			return null
		}
		for name, r := range fields {
			if f, there := m[name]; there && !r(f) {
				return false
			}
		}
		return ok
	}
}

func each(r rule) rule {
	return func(v any) bool {
		m, ok := v.(map[string]any)
		for _, f := range m {
			ok = ok && r(f)
		}
		return ok || v == nil
	}
}

var (
	sqsRecord = map[string]rule{
		"messageId": text, "receiptHandle": text, "body": text, "eventSourceARN": text,
		"attributes": object(true, map[string]rule{
			"ApproximateReceiveCount": text, "SentTimestamp": text, "ApproximateFirstReceiveTimestamp": text, "SenderId": text,
			"AWSTraceHeader": text, "DeadLetterQueueSourceArn": text, "MessageGroupId": text, "MessageDeduplicationId": text,
			"SequenceNumber": text,
		}),
		"messageAttributes": each(object(false, map[string]rule{"dataType": text, "stringValue": text, "binaryValue": encoded})),
	}
	kinesisRecord = map[string]rule{
		"eventID": text, "eventSourceARN": text,
		"kinesis": object(true, map[string]rule{
			"partitionKey": text, "sequenceNumber": text, "data": encoded, "approximateArrivalTimestamp": numeric,
		}),
	}
	change = map[string]rule{
		"eventID": text, "eventName": text, "eventSourceARN": text, "userIdentity": object(true, map[string]rule{"principalId": text}),
		"dynamodb": object(true, map[string]rule{
			"SequenceNumber": text, "ApproximateCreationDateTime": numeric, "Keys": image, "NewImage": image, "OldImage": image,
		}),
	}
)

// accepted reports whether a decoder should take an event.
func accepted(tree any, source string, fields map[string]rule) bool {
	root, _ := tree.(map[string]any)
	records, ok := root["Records"].([]any)
	if !ok {
		return false
	}
	for _, r := range records {
		if m, _ := r.(map[string]any); m["eventSource"] != source || !object(false, fields)(r) {
			return false
		}
	}
	return true
}

func parse(payload string) (tree any, err error) {
	if !json.Valid([]byte(payload)) {
		return nil, jsonscan.ErrSyntax
	}
	dec := json.NewDecoder(strings.NewReader(payload))
	dec.UseNumber()
	err = dec.Decode(&tree)
	return tree, err
}

// known are the names of the fields that aws-lambda-go's structs have. What is
// inside of items it takes as it is spelled.
var known = func() []string {
	var names []string
	var add func(v any)
	add = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, f := range v {
				names = append(names, name)
				if name != "Keys" && name != "NewImage" && name != "OldImage" {
					add(f)
				}
			}
		case []any:
			for _, f := range v {
				add(f)
			}
		}
	}
	for _, s := range samples {
		tree, err := parse(s)
		if err != nil {
			panic(err)
		}
		add(tree)
	}
	slices.Sort(names)
	return slices.Compact(names)
}()

// spelledExactly reports whether no object of a payload has a key twice, and no
// key differs from a known one only by its case: encoding/json would take both
// for the same.
func spelledExactly(payload string) bool {
	type level struct {
		keys  []string
		array bool
		value bool // a value comes next, not a key
	}
	levels := []level{{array: true}}
	dec := json.NewDecoder(strings.NewReader(payload))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return true
		}
		top := &levels[len(levels)-1]
		if key, ok := token.(string); ok && !top.array && !top.value {
			for _, k := range top.keys {
				if strings.EqualFold(k, key) {
					return false
				}
			}
			for _, k := range known {
				if k != key && strings.EqualFold(k, key) {
					return false
				}
			}
			top.keys, top.value = append(top.keys, key), true
			continue
		}
		top.value = false
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{})
		case json.Delim('['):
			levels = append(levels, level{array: true})
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
	}
}

// checkImages converts every image and compares it with a conversion of the
// tree that encoding/json makes of it.
func checkImages(t *testing.T, changes []event.Change, exact bool) {
	t.Helper()
	for i := range changes {
		for _, img := range []event.Image{changes[i].Keys, changes[i].New, changes[i].Old} {
			checkImage(t, img, exact)
		}
		_ = changes[i].Key()
	}
}

func checkImage(t *testing.T, img event.Image, exact bool) {
	t.Helper()
	got, err := img.JSON()
	if img == "" {
		if string(got) != "null" || err != nil {
			t.Errorf("an empty image is %s, %v", got, err)
		}
		return
	}
	if err == nil && (!json.Valid(got) || len(got) > len(img)) {
		t.Fatalf("%q as plain JSON is %d bytes, %q", img, len(got), got)
	}
	if !exact {
		return
	}
	tree, _ := parse(string(img))
	want, ok := item(tree)
	if ok != (err == nil) {
		t.Fatalf("%q: %v, want it accepted: %v", img, err, ok)
	}
	if !ok {
		return
	}
	plain, _ := parse(string(got))
	if diff := gocmp.Diff(want, plain); diff != "" {
		t.Fatalf("%q (-want +got):\n%s", img, diff)
	}
}

// item converts an item as its type descriptors say.
func item(v any) (any, bool) {
	m, ok := v.(map[string]any)
	plain := map[string]any{}
	for name, f := range m {
		var good bool
		plain[name], good = attributeValue(f)
		ok = ok && good
	}
	return plain, ok
}

func attributeValue(v any) (any, bool) {
	m, _ := v.(map[string]any)
	if len(m) != 1 {
		return nil, false
	}
	for kind, v := range m {
		switch kind {
		case "S", "B":
			s, ok := v.(string)
			return s, ok
		case "N":
			return numberText(v)
		case "BOOL":
			b, ok := v.(bool)
			return b, ok
		case "NULL":
			return nil, true
		case "M":
			return item(v)
		case "L":
			return elements(v, attributeValue)
		case "SS", "BS":
			return elements(v, func(v any) (any, bool) { s, ok := v.(string); return s, ok })
		case "NS":
			return elements(v, numberText)
		}
	}
	return nil, false
}

func numberText(v any) (any, bool) {
	s, ok := v.(string)
	number, err := parse(s)
	n, isNumber := number.(json.Number)
	return n, ok && err == nil && isNumber && string(n) == s
}

func elements(v any, convert func(any) (any, bool)) (any, bool) {
	list, ok := v.([]any)
	plain := []any{}
	for _, e := range list {
		p, good := convert(e)
		plain, ok = append(plain, p), ok && good
	}
	return plain, ok
}

// checkRaw checks what is shared or joined.
func checkRaw(t *testing.T, payload string, records []event.KinesisRecord, changes []event.Change) {
	t.Helper()
	total := 0
	for i := range records {
		total += len(records[i].Data)
		rec := records[i].StreamRecord()
		if rec.Key != records[i].PartitionKey || !strings.HasPrefix(rec.EventID, rec.ShardID) || rec.Source != "aws:kinesis" {
			t.Errorf("stream record %+v", rec)
		}
	}
	if total > len(payload) {
		t.Errorf("%d bytes of data from %d", total, len(payload))
	}
	// Equal keys, and only those, have the same text.
	for i := range changes {
		a, aOK := keys(changes[i].Keys)
		if key := changes[i].Key(); (key != "") != aOK {
			t.Fatalf("the key of %q is %q", changes[i].Keys, key)
		}
		for j := range min(i, 20) {
			b, bOK := keys(changes[j].Keys)
			if same := changes[i].Key() == changes[j].Key(); aOK && bOK && same != gocmp.Equal(a, b) {
				t.Fatalf("%q and %q: %q and %q", changes[i].Keys, changes[j].Keys, changes[i].Key(), changes[j].Key())
			}
		}
	}
}

// keys reads keys as a tree, if they are some: attributes with one type, and
// a string for each.
func keys(img event.Image) (any, bool) {
	tree, err := parse(string(img))
	m, ok := tree.(map[string]any)
	for _, v := range m {
		kind, isObject := v.(map[string]any)
		ok = ok && isObject && len(kind) == 1 && kind[""] == nil
		for name, value := range kind {
			_, isText := value.(string)
			ok = ok && isText && name != ""
		}
	}
	return tree, ok && err == nil && len(m) > 0
}
