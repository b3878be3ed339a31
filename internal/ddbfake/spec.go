package ddbfake

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Spec describes a table.
type Spec struct {
	// Name is what requests call the table. A table without a name answers to
	// every name, and to none.
	Name string
	// Hash and Range are the keys; Range may be missing.
	Hash, Range Key
	// Indexes are the global secondary indexes.
	Indexes []Index
	// Stream is what records of the table's stream hold. Empty: it has none.
	Stream types.StreamViewType
	// TTL is the attribute with the second after which [DB.ExpireTTL] removes
	// an item. Empty: none.
	TTL string
}

// Key is a key attribute.
type Key struct {
	Name string
	// Type defaults to a string.
	Type types.ScalarAttributeType
}

func (k Key) kind() types.ScalarAttributeType { return cmp.Or(k.Type, types.ScalarAttributeTypeS) }

// Index describes a global secondary index.
type Index struct {
	Name        string
	Hash, Range Key
	// Projection defaults to all attributes. Include are the attributes beside
	// the keys of index and table that INCLUDE projects.
	Projection types.ProjectionType
	Include    []string
}

// keyNames are the keys of the table.
func (s *Spec) keyNames() []string { return names(s.Hash, s.Range) }

// names are those of the keys that there are, each once.
func names(keys ...Key) []string {
	var all []string
	for _, k := range keys {
		if k.Name != "" && !slices.Contains(all, k.Name) {
			all = append(all, k.Name)
		}
	}
	return all
}
