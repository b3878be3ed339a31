package tasktabletest

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

const keyName = "id"

// Spec is a task table of this name, with its indexes and its stream.
func Spec(name string) ddbfake.Spec {
	return ddbfake.Spec{
		Name: name, Hash: ddbfake.Key{Name: keyName}, Stream: types.StreamViewTypeNewAndOldImages, TTL: "expires_at",
		Indexes: []ddbfake.Index{
			{Name: "by_tenant", Hash: ddbfake.Key{Name: shardName}, Range: ddbfake.Key{Name: keyName}, Projection: types.ProjectionTypeKeysOnly},
			{
				Name: "by_failure", Hash: ddbfake.Key{Name: "failure_shard"}, Range: ddbfake.Key{Name: "failure_key"},
				Projection: types.ProjectionTypeInclude, Include: []string{"type", shardName, "run"},
			},
		},
	}
}

// DynamoDB is an in-memory DynamoDB with one task table, which answers to every
// table name. It is as strict as AWS: conditions, keys, sizes, batches and pages
// have AWS's limits. Reads and indexes are consistent at once, and
// nothing fails unless [DynamoDB.Inject] makes it. Safe for concurrent use.
type DynamoDB struct{ *ddbfake.DB }

var _ tasktable.API = (*DynamoDB)(nil)

// NewDynamoDB returns an empty table.
func NewDynamoDB() *DynamoDB {
	db := ddbfake.New(nil)
	db.CreateTable(Spec(""))
	return &DynamoDB{db}
}

// NewTable returns an empty task table in memory, on a [DynamoDB] of its own.
func NewTable(opts *tasktable.Options) *tasktable.Table {
	return tasktable.New(NewDynamoDB(), "tasks", opts)
}

// Item returns the stored item with this key as it is; nil if there is none.
func (d *DynamoDB) Item(id string) map[string]types.AttributeValue {
	return d.DB.Item("", keyOf(id))
}

// Delete removes an item, as TTL does in the end.
func (d *DynamoDB) Delete(id string) { d.Remove("", keyOf(id)) }

func keyOf(id string) ddbfake.Item {
	return ddbfake.Item{keyName: &types.AttributeValueMemberS{Value: id}}
}

func idOf(it ddbfake.Item) string {
	if s, ok := it[keyName].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}
