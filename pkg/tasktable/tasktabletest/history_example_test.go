package tasktabletest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// Whatever drives a table, a history that watches it names the promises that
// it breaks. Here somebody cancels a task by hand.
func ExampleHistory() {
	ctx := context.Background()
	history := tasktabletest.NewHistory(tasktabletest.HistoryOptions{MaxAttempts: 5, EveryWrite: true})
	db := tasktabletest.NewDynamoDB()
	db.Watch(func(r *tasktable.Row) {
		history.Add(tasktabletest.Fact{What: tasktabletest.Stored, Row: r})
	})
	table := tasktable.New(db, "tasks", nil)

	id := tasktable.NewID()
	history.Add(tasktabletest.Fact{What: tasktabletest.Submitting, ID: id})
	_, _ = table.Create(ctx, tasktable.Draft{
		ID: id, Tenant: "acme", Type: "report.build", Input: []byte(`{}`), Deadline: time.Now().Add(time.Hour),
	})
	fmt.Println(history.Err())

	_, _ = table.Cancel(ctx, "acme", id)
	if broken, ok := errors.AsType[*tasktabletest.BrokenError](history.Err()); ok {
		fmt.Println(broken.Promise)
		fmt.Println(broken.Detail)
	}
	// Output:
	// <nil>
	// a task becomes canceled only when asked, and once asked neither fails nor is dead-lettered
	// it is canceled, and nobody asked
}
