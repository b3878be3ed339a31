package archive

import (
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Attribute names.
const (
	attrGroup     = "pk"
	attrID        = "sk"
	attrMeta      = "meta"
	attrData      = "data"
	attrObject    = "s3_key"
	attrSize      = "size"
	attrStoredAt  = "stored_at"
	attrExpiresAt = "expires_at"
)

type attributes = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func keyOf(group, id string) attributes { return attributes{attrGroup: str(group), attrID: str(id)} }

// attributes returns the item as it is stored: with its data, or with the key
// of the object that holds it.
func (it *Item) attributes(object string) attributes {
	meta := attributes{}
	for name, value := range it.Meta {
		meta[name] = str(value)
	}
	stored := it.StoredAt
	if stored.IsZero() {
		stored = time.Now()
	}
	a := attributes{
		attrGroup: str(it.Group), attrID: str(it.ID), attrMeta: &types.AttributeValueMemberM{Value: meta},
		attrSize: num(int64(len(it.Data))), attrStoredAt: num(stored.UnixMilli()),
	}
	switch {
	case object != "":
		a[attrObject] = str(object)
	case len(it.Data) > 0:
		a[attrData] = &types.AttributeValueMemberB{Value: it.Data}
	}
	if !it.ExpiresAt.IsZero() {
		a[attrExpiresAt] = num(it.ExpiresAt.Unix())
	}
	return a
}

// parse reads a stored item, as far as its data lies in it.
func parse(a attributes) Item {
	it := Item{
		Group: text(a, attrGroup), ID: text(a, attrID), Meta: map[string]string{},
		Size: int(number(a, attrSize)), StoredAt: time.UnixMilli(number(a, attrStoredAt)).UTC(),
	}
	if m, ok := a[attrMeta].(*types.AttributeValueMemberM); ok {
		for name := range m.Value {
			it.Meta[name] = text(m.Value, name)
		}
	}
	if d, ok := a[attrData].(*types.AttributeValueMemberB); ok {
		it.Data = d.Value
	}
	if s := number(a, attrExpiresAt); s > 0 {
		it.ExpiresAt = time.Unix(s, 0).UTC()
	}
	return it
}

// over reports whether the item's time is over.
func (it *Item) over() bool { return !it.ExpiresAt.IsZero() && !time.Now().Before(it.ExpiresAt) }

func text(a attributes, name string) string {
	if v, ok := a[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func number(a attributes, name string) int64 {
	if v, ok := a[name].(*types.AttributeValueMemberN); ok {
		if n, err := strconv.ParseInt(v.Value, 10, 64); err == nil {
			return n
		}
	}
	return 0
}
