package ddbfake_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.uber.org/goleak"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type item = ddbfake.Item

func s(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
func n(v string) types.AttributeValue { return &types.AttributeValueMemberN{Value: v} }

// tasks has a hash key, and indexes as the task table has them.
var tasks = ddbfake.Spec{
	Name: "t", Hash: ddbfake.Key{Name: "id"}, TTL: "expires_at", Stream: types.StreamViewTypeNewAndOldImages,
	Indexes: []ddbfake.Index{
		{Name: "by_tenant", Hash: ddbfake.Key{Name: "tenant_shard"}, Range: ddbfake.Key{Name: "id"}, Projection: types.ProjectionTypeKeysOnly},
		{
			Name: "by_failure", Hash: ddbfake.Key{Name: "failure_shard"}, Range: ddbfake.Key{Name: "failure_key"},
			Projection: types.ProjectionTypeInclude, Include: []string{"type", "tenant_shard", "run"},
		},
	},
}

// control has a range key too, which is a number, and an index of all
// attributes.
var control = ddbfake.Spec{
	Name: "c", Hash: ddbfake.Key{Name: "pk"}, Range: ddbfake.Key{Name: "sk", Type: types.ScalarAttributeTypeN},
	Indexes: []ddbfake.Index{{Name: "all", Hash: ddbfake.Key{Name: "owner"}}},
}

// newDB has both tables.
func newDB(opts *ddbfake.Options) *ddbfake.DB {
	db := ddbfake.New(opts)
	db.CreateTable(tasks)
	db.CreateTable(control)
	return db
}

func put(t *testing.T, db *ddbfake.DB, table string, items ...item) {
	t.Helper()
	for _, it := range items {
		if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: it}); err != nil {
			t.Fatal(err)
		}
	}
}

// get reads an item with this id.
func get(t *testing.T, db *ddbfake.DB, id string, consistent bool) item {
	t.Helper()
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("t"), Key: item{"id": s(id)}, ConsistentRead: &consistent})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item
}
