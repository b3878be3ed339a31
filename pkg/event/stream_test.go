package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/event"
)

func TestKinesis(t *testing.T) {
	t.Parallel()
	got, err := event.Kinesis([]byte(kinesisStream))
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	raw := recordTexts(kinesisStream)
	const arn = "arn:aws:kinesis:us-east-2:123456789012:stream/orders"
	want := []event.KinesisRecord{
		{
			EventID: "shardId-000000000006:49590338271490256608559692538361571095921575989136588898", StreamARN: arn, PartitionKey: "customer-1",
			SequenceNumber: "49590338271490256608559692538361571095921575989136588898", Data: []byte("Hello, this is a test."),
			ArrivedAt: time.UnixMilli(1545084650987), JSON: raw[0],
		},
		{
			EventID: "shardId-000000000006:49590338271490256608559692540925702759324208523137515618", StreamARN: arn, PartitionKey: "ü\"",
			SequenceNumber: "49590338271490256608559692540925702759324208523137515618", Data: []byte{0, 0xff},
			ArrivedAt: time.Unix(1545084711, 0), JSON: raw[1],
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[0].ShardID() != "shardId-000000000006" || got[0].Stream() != "orders" {
		t.Errorf("shard %q, stream %q", got[0].ShardID(), got[0].Stream())
	}
	rec := got[0].StreamRecord()
	wantRecord := event.StreamRecord{
		Source: "aws:kinesis", StreamARN: arn, ShardID: "shardId-000000000006", SequenceNumber: want[0].SequenceNumber,
		EventID: want[0].EventID, Key: "customer-1", JSON: raw[0],
	}
	if diff := cmp.Diff(wantRecord, rec); diff != "" || rec.Stream() != "orders" {
		t.Errorf("stream %q (-want +got):\n%s", rec.Stream(), diff)
	}
	// The data of all records is one buffer; appending must not spill over.
	_ = append(got[0].Data, "overrun"...)
	if string(got[1].Data) != "\x00\xff" {
		t.Errorf("data %q", got[1].Data)
	}
}

func TestDynamoDB(t *testing.T) {
	t.Parallel()
	got, err := event.DynamoDB([]byte(tableStream))
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	const arn = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2015-06-27T00:48:05.899"
	if c := got[0]; c.Kind != event.Insert || c.StreamARN != arn || c.Table() != "orders" || c.Expired || c.Old != "" ||
		c.SequenceNumber != "4421584500000000017450439091" || !c.At.Equal(time.Unix(1479499740, 0)) || c.EventID != "c4ca4238a0b923820dcc509a6f75849b" {
		t.Errorf("%+v", c)
	}
	if c := got[1]; c.Kind != event.Modify || c.New != `{"n":{"N":"2"}}` || c.Old != `{"n":{"N":"1"}}` || !c.At.Equal(time.UnixMilli(1479499740500)) {
		t.Errorf("%+v", c)
	}
	if c := got[2]; c.Kind != event.Remove || !c.Expired || c.New != "" || !c.At.IsZero() {
		t.Errorf("%+v", c)
	}
	if a, b := got[0].Key(), got[1].Key(); a != b || a != `{"pk":{"S":"a b"},"sk":{"N":"101"}}` || got[2].Key() == a {
		t.Errorf("keys %s and %s, other %s", a, b, got[2].Key())
	}
	rec := got[1].StreamRecord()
	want := event.StreamRecord{
		Source: "aws:dynamodb", StreamARN: arn, SequenceNumber: got[1].SequenceNumber, EventID: got[1].EventID,
		Key: `{"pk":{"S":"a b"},"sk":{"N":"101"}}`, JSON: recordTexts(tableStream)[1],
	}
	if diff := cmp.Diff(want, rec); diff != "" || rec.Stream() != "orders" {
		t.Errorf("stream %q (-want +got):\n%s", rec.Stream(), diff)
	}
}

func TestImage(t *testing.T) {
	t.Parallel()
	changes, err := event.DynamoDB([]byte(tableStream))
	if err != nil {
		t.Fatal(err)
	}
	var item struct {
		PK   string      `json:"pk"`
		SK   int         `json:"sk"`
		Big  json.Number `json:"big"`
		Tiny json.Number `json:"tiny"`
		On   bool        `json:"on"`
		None *string     `json:"none"`
		Bin  []byte      `json:"bin"`
		Map  struct {
			X []any `json:"x"`
		} `json:"map"`
		SS []string  `json:"ss"`
		NS []float64 `json:"ns"`
		BS [][]byte  `json:"bs"`
	}
	if err := changes[0].New.Unmarshal(&item); err != nil {
		t.Fatal(err)
	}
	if item.PK != "a b" || item.SK != 101 || item.Big != "123456789012345678901234567890.12345678" || item.Tiny != "1E-130" || !item.On ||
		item.None != nil || string(item.Bin) != "\x00\x01*A" || len(item.Map.X) != 3 || item.Map.X[0] != "é<&>" ||
		len(item.SS) != 2 || item.NS[1] != -2.5 || string(item.BS[1]) != "A" {
		t.Errorf("%+v", item)
	}
	kept := 7
	if err := event.Image("").Unmarshal(&kept); err != nil || kept != 7 {
		t.Errorf("an empty image stored %d, %v", kept, err)
	}
	if err := changes[0].New.Unmarshal(&kept); err == nil {
		t.Error("an item fits into a number")
	}
	for _, img := range []event.Image{`x`, `[]`, `null`, `{"a":1}`, `{"a":{}}`, `{"a":{"S":"1"}} x`, `{"a":{"Q":"1"}}`} {
		if err := img.Unmarshal(&kept); !errors.Is(err, event.ErrMalformed) {
			t.Errorf("%s: %v", img, err)
		}
	}
}

// Whatever the order of keys and the escapes in which they are written, keys
// are the same if and only if they mean the same.
func TestKeysAreCanonical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type key struct{ name, kind, value string }
		draw := func() []key {
			var keys []key
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "ä", "<", `"`, "a b"}), 1, 2, rapid.ID[string]).Draw(t, "names") {
				keys = append(keys, key{name, rapid.SampledFrom([]string{"S", "N", "B"}).Draw(t, "kind"), rapid.SampledFrom([]string{"1", "a b", "ä", "\n", "<\\>"}).Draw(t, "value")})
			}
			return keys
		}
		write := func(keys []key) event.Image {
			quote := func(s string) string {
				quoted, _ := json.Marshal(s)
				if rapid.Bool().Draw(t, "escaped") {
					quoted = nil
					for _, r := range s {
						quoted = fmt.Appendf(quoted, `\u%04x`, r)
					}
					return `"` + string(quoted) + `"`
				}
				return string(quoted)
			}
			space := strings.Repeat(" ", rapid.IntRange(0, 1).Draw(t, "space"))
			var members []string
			for _, k := range rapid.Permutation(keys).Draw(t, "order") {
				members = append(members, quote(k.name)+space+":{"+quote(k.kind)+":"+quote(k.value)+"}")
			}
			return event.Image("{" + strings.Join(members, ","+space) + "}")
		}
		first, second := draw(), draw()
		if rapid.Bool().Draw(t, "same") {
			second = first
		}
		a, b := event.Change{Keys: write(first)}, event.Change{Keys: write(second)}
		treeA, okA := keys(a.Keys)
		treeB, okB := keys(b.Keys)
		if !okA || !okB || a.Key() == "" || (a.Key() == b.Key()) != cmp.Equal(treeA, treeB) {
			t.Fatalf("%s and %s: %q and %q", a.Keys, b.Keys, a.Key(), b.Key())
		}
	})
}

func TestStreamNames(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string][2]string{
		"": {"", ""}, "x": {"x", ""},
		"arn:aws:kinesis:us-east-2:123456789012:stream/orders":                {"orders", ""},
		"arn:aws:dynamodb:us-east-1:1:table/t/stream/2015-06-27T00:48:05.899": {"2015-06-27T00:48:05.899", "t"},
		"arn:aws:dynamodb:us-east-1:1:table/t":                                {"t", "t"},
	} {
		kinesis, table := event.KinesisRecord{StreamARN: arn}, event.Change{StreamARN: arn}
		a, b := kinesis.StreamRecord(), table.StreamRecord()
		if kinesis.Stream() != want[0] || a.Stream() != want[0] || table.Table() != want[1] || b.Stream() != want[1] {
			t.Errorf("%s: %q and %q, %q and %q; want %q", arn, kinesis.Stream(), a.Stream(), table.Table(), b.Stream(), want)
		}
	}
}
