package tasktable_test

import (
	"context"
	"fmt"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// A function behind the table's stream sees the task as each write left it.
func ExampleFromImage() {
	changes, err := event.DynamoDB([]byte(`{"Records":[{"eventSource":"aws:dynamodb","eventName":"MODIFY","dynamodb":{
		"OldImage":{"id":{"S":"01KWEG73E0EDR6JV3CEXGQJRB2"},"run":{"N":"1"},"status":{"S":"running"}},
		"NewImage":{"id":{"S":"01KWEG73E0EDR6JV3CEXGQJRB2"},"run":{"N":"1"},"status":{"S":"succeeded"},
			"tenant_shard":{"S":"acme#2"},"result":{"S":"{\"rows\":17}"}}}}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	row, err := tasktable.FromImage(changes[0].New)
	if err != nil {
		fmt.Println(err)
		return
	}
	table := tasktabletest.NewTable(nil)
	result, err := table.Result(context.Background(), row) // in the row, or in an item of its own
	fmt.Println(row.Tenant, row.Status, string(result), err)
	// Output: acme succeeded {"rows":17} <nil>
}
