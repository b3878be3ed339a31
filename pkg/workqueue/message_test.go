package workqueue_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

func TestEncode(t *testing.T) {
	t.Parallel()
	out := encode(t, example())
	wantBody := `{"v":1,"task_id":"01JH5T2V9Q8N4R6W3X7Y1Z0ABC","run":2,"type":"webhook.deliver","tenant":"AIDAEXAMPLE",` +
		`"created_at":"2026-01-31T12:00:00.125Z","replayed_at":"2026-01-31T13:00:00.000Z","deadline":"2026-02-07T12:00:00.000Z",` +
		`"input":{"url":"https://example.com/?a=1&b=<2>"}}`
	if diff := cmp.Diff(wantBody, out.Body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	wantAttrs := map[string]string{
		"task_id": "String=" + taskID, "type": "String=webhook.deliver", "tenant": "String=AIDAEXAMPLE",
		"priority": "String=bulk", "run": "Number=2", "replays": "Number=1", "hops": "Number=3", "origin": "String=tasks",
	}
	if diff := cmp.Diff(wantAttrs, plain(out.Attributes)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if out.Group != "AIDAEXAMPLE" {
		t.Errorf("group %q", out.Group)
	}
}

func TestEncodeSmallest(t *testing.T) {
	t.Parallel()
	out := encode(t, workqueue.Message{
		TaskID: "t", Run: 1, Type: "x", Tenant: "default", CreatedAt: at("2026-01-31T12:00:00+02:00"),
		Deadline: at("2026-02-01T00:00:00Z"), InputRef: "s3://inputs/t",
	})
	want := `{"v":1,"task_id":"t","run":1,"type":"x","tenant":"default","created_at":"2026-01-31T10:00:00.000Z",` +
		`"deadline":"2026-02-01T00:00:00.000Z","input_ref":"s3://inputs/t"}`
	if diff := cmp.Diff(want, out.Body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if _, ok := out.Attributes["origin"]; ok {
		t.Error("an empty origin became an attribute, which SQS refuses")
	}
	if got := plain(out.Attributes)["priority"]; got != "String=normal" {
		t.Errorf("priority %s", got)
	}
}

func TestDecodeTakesBackWhatEncodeWrites(t *testing.T) {
	t.Parallel()
	want := example()
	out := encode(t, want)
	got, err := workqueue.Decode(out.Body, out.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	got, err = workqueue.DecodeRecord(record(out))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// Characters that JSON allows and SQS refuses must not keep a task from its queue.
func TestEncodeEscapesWhatSQSRefuses(t *testing.T) {
	t.Parallel()
	m := example()
	m.Input = []byte("{\"a\":\"x\uFFFEy\uFFFFz\"}")
	out := encode(t, m)
	if strings.ContainsAny(out.Body, "\uFFFE\uFFFF") || !strings.Contains(out.Body, `"x\ufffey\uffffz"`) {
		t.Errorf("body %q", out.Body)
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*workqueue.Message){
		"no id":               func(m *workqueue.Message) { m.TaskID = "" },
		"id with a slash":     func(m *workqueue.Message) { m.TaskID = "../x" },
		"long id":             func(m *workqueue.Message) { m.TaskID = strings.Repeat("a", 65) },
		"run 0":               func(m *workqueue.Message) { m.Run = 0 },
		"no type":             func(m *workqueue.Message) { m.Type = "" },
		"type in upper case":  func(m *workqueue.Message) { m.Type = "Webhook" },
		"type ends in a dot":  func(m *workqueue.Message) { m.Type = "a." },
		"type begins with 1":  func(m *workqueue.Message) { m.Type = "1a" },
		"no tenant":           func(m *workqueue.Message) { m.Tenant = "" },
		"tenant with a space": func(m *workqueue.Message) { m.Tenant = "a b" },
		"no creation":         func(m *workqueue.Message) { m.CreatedAt = at("0001-01-01T00:00:00Z") },
		"no deadline":         func(m *workqueue.Message) { m.Deadline = at("0001-01-01T00:00:00Z") },
		"year 10000":          func(m *workqueue.Message) { m.Deadline = m.Deadline.AddDate(9000, 0, 0) },
		"no input":            func(m *workqueue.Message) { m.Input = nil },
		"input and reference": func(m *workqueue.Message) { m.InputRef = "s3://x" },
		"input is not JSON":   func(m *workqueue.Message) { m.Input = []byte(`{"a":`) },
		"input is not UTF-8":  func(m *workqueue.Message) { m.Input = []byte("\"\xff\"") },
		"illegal reference":   func(m *workqueue.Message) { m.Input, m.InputRef = nil, "s3://\x00" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := example()
			change(&m)
			if out, err := workqueue.Encode(m); err == nil {
				t.Errorf("encoded as %s", out.Body)
			}
		})
	}
}

// valid is a body with every member, for tests to break.
const valid = `{"v":1,"task_id":"t1","run":1,"type":"a.b","tenant":"default","created_at":"2026-01-31T12:00:00.000Z","deadline":"2026-02-01T12:00:00.000Z","input":{}}`

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	replace := func(old, new string) string {
		if !strings.Contains(valid, old) {
			panic(old)
		}
		return strings.Replace(valid, old, new, 1)
	}
	tests := map[string]struct {
		body  string
		newer bool
	}{
		"empty":                {body: ""},
		"text":                 {body: "hello"},
		"cut off":              {body: valid[:len(valid)-1]},
		"trailing data":        {body: valid + "{}"},
		"byte order mark":      {body: "\ufeff" + valid},
		"a list":               {body: "[" + valid + "]"},
		"a string":             {body: `"v"`},
		"null":                 {body: "null"},
		"empty object":         {body: "{}"},
		"S3 notification":      {body: `{"Records":[{"eventVersion":"2.1","s3":{"bucket":{"name":"b"}}}]}`},
		"SNS envelope":         {body: `{"Type":"Notification","MessageId":"1","Message":"{\"v\":1}"}`},
		"v missing":            {body: replace(`"v":1,`, ``)},
		"v null":               {body: replace(`"v":1`, `"v":null`)},
		"v is text":            {body: replace(`"v":1`, `"v":"1"`)},
		"v zero":               {body: replace(`"v":1`, `"v":0`)},
		"v negative":           {body: replace(`"v":1`, `"v":-1`)},
		"v fractional":         {body: replace(`"v":1`, `"v":1.5`)},
		"v in upper case":      {body: replace(`"v"`, `"V"`)},
		"v twice":              {body: replace(`"v":1`, `"v":1,"v":2`)},
		"v absurd":             {body: replace(`"v":1`, `"v":1000000`)},
		"v newer":              {body: replace(`"v":1`, `"v":2`), newer: true},
		"v newer, other types": {body: `{"v":2,"task_id":["t1"],"run":{"n":1}}`, newer: true},
		"task_id missing":      {body: replace(`"task_id":"t1",`, ``)},
		"task_id empty":        {body: replace(`"t1"`, `""`)},
		"task_id null":         {body: replace(`"t1"`, `null`)},
		"task_id a number":     {body: replace(`"t1"`, `1`)},
		"task_id illegal":      {body: replace(`"t1"`, `"a b"`)},
		"task_id too long":     {body: replace(`"t1"`, `"`+strings.Repeat("a", 65)+`"`)},
		"run missing":          {body: replace(`"run":1,`, ``)},
		"run zero":             {body: replace(`"run":1`, `"run":0`)},
		"run negative":         {body: replace(`"run":1`, `"run":-3`)},
		"run fractional":       {body: replace(`"run":1`, `"run":1.5`)},
		"run absurd":           {body: replace(`"run":1`, `"run":99999999999999999999`)},
		"run at the limit":     {body: replace(`"run":1`, `"run":2147483647`)},
		"type missing":         {body: replace(`"type":"a.b",`, ``)},
		"type illegal":         {body: replace(`a.b`, `A b`)},
		"tenant missing":       {body: replace(`"tenant":"default",`, ``)},
		"tenant too long":      {body: replace(`default`, strings.Repeat("x", 129))},
		"created_at missing":   {body: replace(`"created_at":"2026-01-31T12:00:00.000Z",`, ``)},
		"created_at a number":  {body: replace(`"2026-01-31T12:00:00.000Z"`, `1769860800`)},
		"created_at no time":   {body: replace(`2026-01-31T12:00:00.000Z`, `yesterday`)},
		"deadline missing":     {body: replace(`"deadline":"2026-02-01T12:00:00.000Z",`, ``)},
		"input missing":        {body: replace(`,"input":{}`, ``)},
		"input and input_ref":  {body: replace(`"input":{}`, `"input":{},"input_ref":"s3://x"`)},
		"input_ref a number":   {body: replace(`"input":{}`, `"input_ref":5`)},
		"input_ref too long":   {body: replace(`"input":{}`, `"input_ref":"`+strings.Repeat("x", 1025)+`"`)},
		"input not UTF-8":      {body: replace(`"input":{}`, "\"input\":\"\xff\"")},
		"larger than allowed":  {body: replace(`"input":{}`, `"input":"`+strings.Repeat("x", workqueue.MaxBytes)+`"`)},
		"nested without end":   {body: replace(`"input":{}`, `"input":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000))},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := workqueue.Decode(tt.body, nil)
			foreign, isForeign := errors.AsType[*workqueue.ForeignError](err)
			if tt.newer {
				if !errors.Is(err, workqueue.ErrNewerVersion) || isForeign {
					t.Errorf("got %v, want ErrNewerVersion", err)
				}
				return
			}
			if !isForeign || errors.Is(err, workqueue.ErrNewerVersion) {
				t.Fatalf("got %+v, %v, want a ForeignError", m, err)
			}
			if foreign.Reason == "" || len(foreign.Reason) > 200 {
				t.Errorf("reason %q", foreign.Reason)
			}
		})
	}
}

func TestDecodeTakes(t *testing.T) {
	t.Parallel()
	replace := func(old, new string) string { return strings.Replace(valid, old, new, 1) }
	tests := map[string]struct {
		body string
		want func(*workqueue.Message)
	}{
		"as it is":            {body: valid},
		"unknown members":     {body: replace(`"v":1`, `"x":{"v":9,"run":[7,"}"]},"v":1,"run2":5`)},
		"unknown twice":       {body: replace(`"v":1`, `"x":1,"x":2,"v":1`)},
		"white space":         {body: " \t\r\n" + strings.NewReplacer(`:{}`, " : { }\n", `,"`, " , \n\"").Replace(valid) + "\n", want: func(m *workqueue.Message) { m.Input = []byte("{ }") }},
		"an escaped name":     {body: replace(`"v"`, `"\u0076"`)},
		"other case is other": {body: replace(`"v":1`, `"v":1,"RUN":"x","Task_ID":5`)},
		"input null":          {body: replace(`{}`, `null`), want: func(m *workqueue.Message) { m.Input = []byte("null") }},
		"input a number":      {body: replace(`{}`, `-1.5e3`), want: func(m *workqueue.Message) { m.Input = []byte("-1.5e3") }},
		"input a list":        {body: replace(`{}`, `["]",{"a":"\"}"}]`), want: func(m *workqueue.Message) { m.Input = []byte(`["]",{"a":"\"}"}]`) }},
		"null for absent":     {body: replace(`"input":{}`, `"replayed_at":null,"input":{},"input_ref":null`)},
		"a reference": {body: replace(`"input":{}`, `"input":null,"input_ref":"s3://x"`), want: func(m *workqueue.Message) {
			m.Input, m.InputRef = nil, "s3://x"
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := workqueue.Decode(tt.body, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := workqueue.Message{
				Version: 1, TaskID: "t1", Run: 1, Type: "a.b", Tenant: "default", Priority: "normal",
				CreatedAt: at("2026-01-31T12:00:00Z"), Deadline: at("2026-02-01T12:00:00Z"), Input: []byte("{}"),
			}
			if tt.want != nil {
				tt.want(&want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeToleratesAttributes(t *testing.T) {
	t.Parallel()
	type attrs = map[string]types.MessageAttributeValue
	tests := map[string]struct {
		attrs         attrs
		priority      string
		replays, hops int
	}{
		"none":      {nil, "normal", 0, 0},
		"text":      {attrs{"hops": str("many"), "replays": str("-4"), "priority": str("urgent")}, "normal", 0, 0},
		"huge":      {attrs{"hops": str("99999999999999999999"), "replays": str("7")}, "normal", 7, 1 << 20},
		"binary":    {attrs{"hops": {DataType: aws.String("Binary"), BinaryValue: []byte{9}}}, "normal", 0, 0},
		"no values": {attrs{"hops": {}, "priority": {}}, "normal", 0, 0},
		"bulk":      {attrs{"priority": str("bulk"), "run": str("77"), "task_id": str("other")}, "bulk", 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := workqueue.Decode(valid, tt.attrs)
			if err != nil {
				t.Fatal(err)
			}
			if string(m.Priority) != tt.priority || m.Replays != tt.replays || m.Hops != tt.hops {
				t.Errorf("got %s, %d, %d", m.Priority, m.Replays, m.Hops)
			}
			if m.TaskID != "t1" || m.Run != 1 {
				t.Errorf("an attribute overruled the body: %+v", m)
			}
		})
	}
}

func TestWaitingSince(t *testing.T) {
	t.Parallel()
	m := example()
	if got := m.WaitingSince(); !got.Equal(m.ReplayedAt) {
		t.Errorf("after a replay: %v", got)
	}
	m.ReplayedAt = at("0001-01-01T00:00:00Z")
	if got := m.WaitingSince(); !got.Equal(m.CreatedAt) {
		t.Errorf("without: %v", got)
	}
}
