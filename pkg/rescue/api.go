package rescue

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/spillway-go/spillway/internal/job"
)

// PositionAPI is what [Positions] use of the DynamoDB client.
type PositionAPI interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
}

// JobAPI is what a [Replayer] uses of the DynamoDB client for its jobs.
type JobAPI = job.API

// DynamoDBAPI is what [DynamoDB] uses of the client of DynamoDB Streams.
type DynamoDBAPI interface {
	GetShardIterator(context.Context, *dynamodbstreams.GetShardIteratorInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error)
	GetRecords(context.Context, *dynamodbstreams.GetRecordsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error)
}

// KinesisAPI is what [Kinesis] uses of the Kinesis client.
type KinesisAPI interface {
	GetShardIterator(context.Context, *kinesis.GetShardIteratorInput, ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// LambdaAPI is what [Functions] use of the Lambda client.
type LambdaAPI interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

var (
	_ PositionAPI = (*dynamodb.Client)(nil)
	_ DynamoDBAPI = (*dynamodbstreams.Client)(nil)
	_ KinesisAPI  = (*kinesis.Client)(nil)
	_ LambdaAPI   = (*lambda.Client)(nil)
)
