package trip

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
)

// exportProgress is how far an export has come.
type exportProgress struct {
	count, pages int64
	after        exportKey // of the last item that was read; zero at the beginning
	hash         resumable // over the reservations up to there
}

// resumable is a hash whose state can be stored.
type resumable interface {
	hash.Hash
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

func newHash() resumable {
	return sha256.New().(resumable) //nolint:errcheck // crypto/sha256 promises it
}

// exportState is an [exportProgress] as its checkpoint, some 300 bytes of JSON.
type exportState struct {
	Count int64     `json:"count"`
	Pages int64     `json:"pages"`
	After exportKey `json:"after"`
	Hash  []byte    `json:"hash"` // the state of a SHA-256, as its MarshalBinary has it
}

// exportKey is a key of the reservations table.
type exportKey struct {
	PK string `json:"pk"`
	SK string `json:"sk"`
}

// resumeExport returns the progress of the last checkpoint, or none.
func resumeExport(ctx context.Context) (*exportProgress, error) {
	p := &exportProgress{hash: newHash()}
	var s exportState
	if ok, err := task.Restore(ctx, &s); err != nil || !ok {
		return p, err
	}
	// No checkpoint is without a key: it would read from the beginning what
	// is in the hash already.
	if s.After.PK == "" || s.After.SK == "" || s.Count < 0 || s.Pages < 1 {
		return nil, task.Permanent(errors.New("restore checkpoint: it is not one of an export"))
	}
	if err := p.hash.UnmarshalBinary(s.Hash); err != nil {
		return nil, task.Permanent(fmt.Errorf("restore checkpoint: %w", err))
	}
	p.count, p.pages, p.after = s.Count, s.Pages, s.After
	return p, nil
}

// save stores a checkpoint, with what callers see of it in the same write.
func (p *exportProgress) save(ctx context.Context) error {
	state, err := p.hash.MarshalBinary()
	if err != nil {
		return task.Permanent(fmt.Errorf("checkpoint: %w", err))
	}
	return task.CheckpointAt(ctx, exportState{Count: p.count, Pages: p.pages, After: p.after, Hash: state},
		task.Advance{Done: p.count, Note: "after page " + strconv.FormatInt(p.pages, 10)})
}

func (p *exportProgress) result() ExportResult {
	return ExportResult{Count: p.count, Pages: p.pages, Digest: "sha256:" + hex.EncodeToString(p.hash.Sum(nil))}
}

// exportFields are what is hashed of a reservation, in this order.
var exportFields = []string{"pk", "sk", "item", exportQuantity, "traveler", "confirmation"}

// exportQuantity is the only field that is a number.
const exportQuantity = "quantity"

// add hashes a reservation: each of [exportFields] as a netstring
// (https://cr.yp.to/proto/netstrings.txt), or "-," where it has none. As many
// fields are always one reservation, so no two sequences of reservations have
// the same text.
func (p *exportProgress) add(it item) error {
	for _, name := range exportFields {
		text, ok := canonical(it[name], name == exportQuantity)
		if !ok {
			return task.Permanent(task.Code("malformed_reservation", fmt.Errorf("a reservation has a malformed %s", name)))
		}
		_, _ = io.WriteString(p.hash, text) // a hash takes everything
	}
	p.count++
	return nil
}

// canonical is one field as it is hashed; false if it is of another type than
// a booking writes.
func canonical(v types.AttributeValue, number bool) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "-,", true
	case *types.AttributeValueMemberS:
		text, ok = v.Value, !number
	case *types.AttributeValueMemberN:
		n, err := strconv.ParseInt(v.Value, 10, 64) // endpoints may write one number in several ways
		text, ok = strconv.FormatInt(n, 10), number && err == nil
	}
	return strconv.Itoa(len(text)) + ":" + text + ",", ok
}

// exportKeyOf reads a key of the table.
func exportKeyOf(it item) (exportKey, error) {
	pk, hasPK := it["pk"].(*types.AttributeValueMemberS)
	sk, hasSK := it["sk"].(*types.AttributeValueMemberS)
	if !hasPK || !hasSK {
		return exportKey{}, errors.New("the table answered with a key that is not one of reservations")
	}
	return exportKey{PK: pk.Value, SK: sk.Value}, nil
}

// item is the key as DynamoDB takes it; nil for the zero key.
func (k exportKey) item() item {
	if k == (exportKey{}) {
		return nil
	}
	return item{"pk": str(k.PK), "sk": str(k.SK)}
}
