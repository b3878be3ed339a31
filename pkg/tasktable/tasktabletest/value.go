package tasktabletest

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/ddbfake"
)

type item = ddbfake.Item

const (
	keyName   = "id"
	shardName = "tenant_shard" // which rows have, and other items have not
)

// keyOf is the key in an item or in a request's Key.
func keyOf(key item) string {
	s, ok := key[keyName].(*types.AttributeValueMemberS)
	if !ok {
		ddbfake.Fail("The provided key element does not match the schema")
	}
	if s.Value == "" {
		ddbfake.Fail("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", keyName)
	}
	return s.Value
}
