package tasktabletest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// The answer to a write is lost, as when the network breaks off: the write has
// taken effect, and whoever repeats it has to find that out.
func ExampleDynamoDB_Inject() {
	ctx := context.Background()
	db := tasktabletest.NewDynamoDB()
	table := tasktable.New(db, "tasks", nil)
	db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
		if c.Operation == "PutItem" && c.N == 1 {
			return tasktabletest.Fault{Err: errors.New("connection reset"), AfterEffect: true}
		}
		return tasktabletest.Fault{}
	})

	draft := tasktable.Draft{
		ID: tasktable.NewID(), Tenant: "acme", Type: "report.build", Input: []byte(`{}`), Deadline: time.Now().Add(time.Hour),
	}
	_, err := table.Create(ctx, draft)
	fmt.Println("unknown:", !errors.Is(err, tasktable.ErrExists))
	_, err = table.Create(ctx, draft)
	fmt.Println("it is there:", errors.Is(err, tasktable.ErrExists))
	fmt.Println(db.Calls())
	// Output:
	// unknown: true
	// it is there: true
	// map[PutItem:2]
}

// A test can look at what is stored, and take it away.
func ExampleDynamoDB_Item() {
	ctx := context.Background()
	db := tasktabletest.NewDynamoDB()
	table := tasktable.New(db, "tasks", nil)
	id := tasktable.NewID()
	_, _ = table.Create(ctx, tasktable.Draft{
		ID: id, Tenant: "acme", Type: "report.build", Input: []byte(`{}`), Deadline: time.Now().Add(time.Hour),
	})
	fmt.Println(len(db.Item(id)), "attributes")

	db.Delete(id)
	db.ResetCalls()
	_, err := table.Get(ctx, id)
	fmt.Println(errors.Is(err, tasktable.ErrNotFound), db.Calls())
	// Output:
	// 12 attributes
	// true map[GetItem:2]
}
