//go:build integration

package integration

import (
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// The conformance suite that the unit tests run on the in-memory table, here
// on the endpoint's DynamoDB.
func TestTableConformance(t *testing.T) {
	t.Parallel()
	name := "conformance-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	attribute := func(n string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &n, AttributeType: types.ScalarAttributeTypeS}
	}
	index := func(name, hash, sort string, projection *types.Projection) types.GlobalSecondaryIndex {
		return types.GlobalSecondaryIndex{IndexName: &name, Projection: projection, KeySchema: []types.KeySchemaElement{
			{AttributeName: &hash, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange},
		}}
	}
	_, err := stack.tables.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("id"), attribute("tenant_shard"), attribute("failure_shard"), attribute("failure_key"),
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			index("by_tenant", "tenant_shard", "id", &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}),
			index("by_failure", "failure_shard", "failure_key", &types.Projection{
				ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"type", "tenant_shard", "run"},
			}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := dynamodb.NewTableExistsWaiter(stack.tables).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute); err != nil {
		t.Fatal(err)
	}
	tasktabletest.Run(t, func(_ *testing.T, opts *tasktable.Options) tasktabletest.Store {
		return tasktable.New(stack.tables, name, opts)
	})
}
