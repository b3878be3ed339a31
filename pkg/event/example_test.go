package event_test

import (
	"errors"
	"fmt"

	"github.com/spillway-go/spillway/pkg/event"
)

func ExampleSQS() {
	messages, err := event.SQS([]byte(`{"Records":[{"messageId":"m1","body":"{\"order\":17}",
		"attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1769860800000"},
		"messageAttributes":{"type":{"stringValue":"order.placed","dataType":"String"}},
		"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:orders"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range messages {
		m := &messages[i]
		fmt.Println(m.Queue(), m.Attribute("type").String, m.Body, m.ReceiveCount, m.SentAt.UTC().Year())
	}

	_, err = event.SQS([]byte(`{"source":"aws.events"}`))
	fmt.Println(errors.Is(err, event.ErrMalformed))
	// Output:
	// orders order.placed {"order":17} 3 2026
	// true
}

func ExampleKinesis() {
	records, err := event.Kinesis([]byte(`{"Records":[{"kinesis":{"partitionKey":"customer-1","sequenceNumber":"49590338",
		"data":"SGVsbG8=","approximateArrivalTimestamp":1769860800.5},
		"eventID":"shardId-000000000006:49590338","eventSource":"aws:kinesis",
		"eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/orders"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range records {
		r := &records[i]
		fmt.Println(r.Stream(), r.ShardID(), r.PartitionKey, string(r.Data))

		// What records of all kinds of streams have in common.
		common := r.StreamRecord()
		fmt.Println(common.Stream(), common.Key, common.SequenceNumber)
	}
	// Output:
	// orders shardId-000000000006 customer-1 Hello
	// orders customer-1 49590338
}

// Images stay undecoded until they are asked for.
func ExampleDynamoDB() {
	changes, err := event.DynamoDB([]byte(`{"Records":[{"eventID":"c4ca4238","eventName":"MODIFY","eventSource":"aws:dynamodb",
		"dynamodb":{"Keys":{"id":{"S":"o-17"}},
			"OldImage":{"id":{"S":"o-17"},"total":{"N":"12.50"}},
			"NewImage":{"id":{"S":"o-17"},"total":{"N":"13"},"tags":{"SS":["gift"]}},
			"SequenceNumber":"44215"},
		"eventSourceARN":"arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-31T00:00:00.000"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range changes {
		c := &changes[i]
		var order struct {
			Total float64  `json:"total"`
			Tags  []string `json:"tags"`
		}
		if err := c.New.Unmarshal(&order); err != nil {
			fmt.Println(err)
			return
		}
		old, err := c.Old.JSON()
		fmt.Println(c.Kind, c.Table(), c.Key(), order.Total, order.Tags)
		fmt.Println(string(old), err, c.StreamRecord().SequenceNumber)
	}
	// Output:
	// MODIFY orders {"id":{"S":"o-17"}} 13 [gift]
	// {"id":"o-17","total":12.50} <nil> 44215
}
