package awsproxy_test

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const queueURL = "http://127.0.0.1/000000000000/tasks"

// update calls UpdateItem; condition "false" makes it fail.
func (f *fixture) update(ctx context.Context, condition string) error {
	in := &dynamodb.UpdateItemInput{
		TableName: aws.String("tasks"),
		Key:       map[string]ddbtypes.AttributeValue{"id": &ddbtypes.AttributeValueMemberS{Value: "a"}},
	}
	if condition != "" {
		in.ConditionExpression = aws.String(condition)
	}
	_, err := f.ddb.UpdateItem(ctx, in)
	return err
}

func (f *fixture) send(ctx context.Context) error {
	_, err := f.sqs.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: aws.String(queueURL), MessageBody: aws.String("hello <&> 漢"),
	})
	return err
}

// execute sends statements as one batch.
func (f *fixture) execute(ctx context.Context, statements ...string) (*dynamodb.BatchExecuteStatementOutput, error) {
	in := &dynamodb.BatchExecuteStatementInput{}
	for _, s := range statements {
		in.Statements = append(in.Statements, ddbtypes.BatchStatementRequest{
			Statement:  aws.String(s),
			Parameters: []ddbtypes.AttributeValue{&ddbtypes.AttributeValueMemberS{Value: "<&> 漢"}},
		})
	}
	return f.ddb.BatchExecuteStatement(ctx, in)
}

// sendBatch sends messages with these entry ids.
func (f *fixture) sendBatch(ctx context.Context, ids ...string) (*sqs.SendMessageBatchOutput, error) {
	in := &sqs.SendMessageBatchInput{QueueUrl: aws.String(queueURL)}
	for _, id := range ids {
		in.Entries = append(in.Entries, sqstypes.SendMessageBatchRequestEntry{
			Id: aws.String(id), MessageBody: aws.String("body of " + id),
		})
	}
	return f.sqs.SendMessageBatch(ctx, in)
}

// numbered returns n names.
func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "e" + strconv.Itoa(i)
	}
	return names
}
