//go:build integration

package model

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// stack is the part of template.yaml that the engine needs.
type stack struct {
	db  *dynamodb.Client
	sqs *sqs.Client

	Table, Tasks, Backlog, Dead string // the table's name, the queues' URLs
}

// visibility is the queues' visibility timeout: longer than a lease.
const visibility = 4 * time.Second

// newStack creates table and queues under names of their own, so that runs on
// one endpoint keep apart, and deletes them after the test.
func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{Table: "spillway-model-" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	var err error
	if s.db, s.sqs, err = clients(endpoint); err != nil {
		t.Fatal(err)
	}
	_, err = s.db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &s.Table, BillingMode: dynamotypes.BillingModePayPerRequest,
		AttributeDefinitions: []dynamotypes.AttributeDefinition{
			{AttributeName: aws.String("id"), AttributeType: dynamotypes.ScalarAttributeTypeS},
			{AttributeName: aws.String("tenant_shard"), AttributeType: dynamotypes.ScalarAttributeTypeS},
		},
		KeySchema: []dynamotypes.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: dynamotypes.KeyTypeHash}},
		GlobalSecondaryIndexes: []dynamotypes.GlobalSecondaryIndex{{
			IndexName: aws.String("by_tenant"),
			KeySchema: []dynamotypes.KeySchemaElement{
				{AttributeName: aws.String("tenant_shard"), KeyType: dynamotypes.KeyTypeHash},
				{AttributeName: aws.String("id"), KeyType: dynamotypes.KeyTypeRange},
			},
			Projection: &dynamotypes.Projection{ProjectionType: dynamotypes.ProjectionTypeKeysOnly},
		}},
	})
	if err != nil {
		t.Fatalf("create the table: %v", err)
	}
	t.Cleanup(func() {
		_, err := s.db.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &s.Table})
		if err != nil {
			t.Errorf("delete the table: %v", err)
		}
	})
	active := dynamodb.NewTableExistsWaiter(s.db, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = 100 * time.Millisecond })
	if err := active.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &s.Table}, time.Minute); err != nil {
		t.Fatalf("wait for the table: %v", err)
	}
	s.Dead = s.queue(t, "dead-letter", nil)
	arn := s.attribute(t, s.Dead, types.QueueAttributeNameQueueArn)
	policy, err := json.Marshal(map[string]string{"deadLetterTargetArn": arn, "maxReceiveCount": "100"})
	if err != nil {
		t.Fatal(err)
	}
	source := map[string]string{
		"VisibilityTimeout": strconv.Itoa(int(visibility / time.Second)), "RedrivePolicy": string(policy),
	}
	s.Tasks, s.Backlog = s.queue(t, "tasks", source), s.queue(t, "backlog", source)
	return s
}

func (s *stack) queue(t *testing.T, name string, attributes map[string]string) (url string) {
	t.Helper()
	out, err := s.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(s.Table + "-" + name), Attributes: attributes})
	if err != nil {
		t.Fatalf("create the queue %s: %v", name, err)
	}
	t.Cleanup(func() {
		if _, err := s.sqs.DeleteQueue(context.WithoutCancel(t.Context()), &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl}); err != nil {
			t.Errorf("delete the queue %s: %v", name, err)
		}
	})
	return *out.QueueUrl
}

func (s *stack) attribute(t *testing.T, url string, name types.QueueAttributeName) string {
	t.Helper()
	out, err := s.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		t.Fatalf("%s of a queue: %v", name, err)
	}
	return out.Attributes[string(name)]
}

// held is how many messages a queue holds, visible or not.
func (s *stack) held(t *testing.T, url string) (n int) {
	t.Helper()
	for _, name := range []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	} {
		count, err := strconv.Atoi(s.attribute(t, url, name))
		if err != nil {
			t.Fatal(err)
		}
		n += count
	}
	return n
}

// receive takes up to ten messages off a queue and hides them for a while.
func receive(ctx context.Context, client *sqs.Client, url string, hide time.Duration) ([]types.Message, error) {
	in := &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	}
	if hide > 0 {
		in.VisibilityTimeout = int32(hide / time.Second)
	}
	out, err := client.ReceiveMessage(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}
