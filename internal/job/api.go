package job

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// API is what an [Engine] uses of the DynamoDB client.
type API interface {
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

var _ API = (*dynamodb.Client)(nil)

// Errors of an [Engine]. Each comes wrapped, with a text for the operator.
var (
	// ErrNotFound: there is no job with this id.
	ErrNotFound = errors.New("not found")
	// ErrBusy: another process runs the job, or another job holds its lock.
	ErrBusy = errors.New("another job is running")
)

// errLost says that another process runs the job now.
var errLost = errors.New("the job has changed hands")
