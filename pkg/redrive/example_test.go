package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// orders is a queue of somebody's own, and its dead-letter queue with three
// letters in it.
func orders() (*redrive.Redrive, *workqueuetest.SQS) {
	queues, source, letters := ordersQueues()
	control := archivetest.NewTable()
	return redrive.New(control, "control", map[string]redrive.Source{
		"orders": {Letters: letters, Origins: redrive.Origins{"orders": source}},
	}, &redrive.Options{
		Quarantine: archive.New(control, "control", archivetest.NewBucket(), "bucket", nil),
		Logger:     slog.New(slog.DiscardHandler),
	}), queues
}

func ordersQueues() (*workqueuetest.SQS, *workqueue.Queue, *workqueue.Inbox) {
	queues := workqueuetest.New(workqueuetest.Options{InOrder: true})
	source := workqueue.New(queues, queues.Create("orders", workqueuetest.QueueOptions{MaxReceives: 1, DeadLetter: "orders-dead"}), nil)
	letters := workqueue.NewInbox(queues, queues.Create("orders-dead", workqueuetest.QueueOptions{}), nil)
	for _, body := range []string{"order 1", "order 2", "order 3"} {
		attributes := map[string]types.MessageAttributeValue{"type": {DataType: aws.String("String"), StringValue: aws.String("order")}}
		if err := source.Send(context.Background(), workqueue.Outgoing{Body: body, Attributes: attributes}); err != nil {
			panic(err)
		}
	}
	for _, rec := range queues.Receive("orders", 10) { // their consumer dies, and they are visible again
		source.ChangeVisibility(context.Background(), []workqueue.Visibility{{Receipt: rec.ReceiptHandle}})
	}
	queues.Receive("orders", 10) // SQS moves them
	return queues, source, letters
}

func Example() {
	ctx := context.Background()
	queues, source, letters := ordersQueues()
	r := redrive.New(archivetest.NewTable(), "control", map[string]redrive.Source{
		"orders": {Letters: letters, Origins: redrive.Origins{"orders": source}},
	}, nil)

	plan, err := r.Plan(ctx, redrive.Request{Kind: redrive.KindReplay, Queue: "orders", By: "ada"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("would replay", plan.Replay, "of", plan.Matched, "to", plan.Destinations)

	report, err := r.Execute(ctx, plan.ID, redrive.KindReplay, "orders", redrive.Settings{Rate: 500})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Status, report.Replayed, "replayed, at least once:", report.AtLeastOnce)
	fmt.Println(len(queues.Messages("orders")), "orders,", len(queues.Messages("orders-dead")), "dead letters")
	// Output:
	// would replay 3 of 3 to map[orders:3]
	// done 3 replayed, at least once: 3
	// 3 orders, 0 dead letters
}

func ExampleRedrive_List() {
	r, _ := orders()
	list, err := r.List(context.Background(), "orders", redrive.Filter{ErrorContains: "moved_by_sqs"}, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range list.Letters {
		fmt.Printf("%s from %s, moved by %s, replayed %d times; task %q of %q, type %s\n", l.Body, l.Origin(), l.MovedBy, l.Replays(), l.TaskID(), l.Tenant(), l.Type())
	}
	overview, err := r.Overview(context.Background(), "orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, g := range overview.Groups {
		fmt.Println(g.Count, "×", g.Code)
	}
	// Output:
	// order 1 from orders, moved by sqs, replayed 0 times; task "" of "", type order
	// order 2 from orders, moved by sqs, replayed 0 times; task "" of "", type order
	// 3 × moved_by_sqs
}

func ExampleRedrive_Purge() {
	ctx := context.Background()
	r, queues := orders()
	purged, err := r.Purge(ctx, redrive.Request{Queue: "orders"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(purged.Quarantined, "set aside for", r.RestorableUntil(purged.CreatedAt).Sub(purged.CreatedAt))
	restored, err := r.Restore(ctx, purged.JobID, "ada", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(restored.Restored, "restored,", len(queues.Messages("orders-dead")), "dead letters")
	// Output:
	// 3 set aside for 336h0m0s
	// 3 restored, 3 dead letters
}

// A job can be stopped, resumed by its id, and looked at.
func ExampleRedrive_Job() {
	ctx := context.Background()
	r, _ := orders()
	plan, err := r.Plan(ctx, redrive.Request{Kind: redrive.KindReplay, Queue: "orders"})
	if err != nil {
		fmt.Println(err)
		return
	}
	stopped, err := r.Stop(ctx, plan.ID, "grace", "")
	fmt.Println(stopped.Status, err)
	unchanged, err := r.Resume(ctx, plan.ID, 1) // a hop that was under way does nothing
	fmt.Println(unchanged.Status, err)
	if _, err = r.Execute(ctx, plan.ID, redrive.KindReplay, "orders", redrive.Settings{By: "ada"}); err != nil {
		fmt.Println(err)
		return
	}
	if err := r.Follow(ctx, plan.ID, 0); err != nil { // until its tasks have ended; orders are none
		fmt.Println(err)
		return
	}
	job, err := r.Job(ctx, plan.ID, 0, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range job.Events {
		fmt.Println("-", e.What)
	}
	first := job.Messages[0]
	fmt.Println(job.Replayed, first.Result().Outcome, first.Key() == first.MessageID)
	jobs, err := r.Jobs(ctx, 10)
	fmt.Println(len(jobs), err)
	// Output:
	// stopped <nil>
	// stopped <nil>
	// - planned
	// - stop asked
	// - executed
	// - done
	// 3 replayed true
	// 1 <nil>
}

// Without a plan a request is done at once. Tasks can be retried without their
// letters, and SQS can move messages itself, where the source has what it takes.
func ExampleRedrive_Run() {
	ctx := context.Background()
	r, _ := orders()
	report, err := r.Run(ctx, redrive.Request{Kind: redrive.KindReplay, Queue: "orders", Filter: redrive.Filter{OlderThan: time.Hour}})
	fmt.Println(report.Matched, report.Status, err)
	_, _, err = r.Retry(ctx, "01JH5T2V9Q8N4R6W3X7Y1Z0ABC", "ada", "")
	fmt.Println(errors.Is(err, redrive.ErrUnsupported))
	_, _, err = r.Move(ctx, redrive.Request{Queue: "orders"})
	fmt.Println(errors.Is(err, redrive.ErrUnsupported))
	fmt.Println((&redrive.Filter{}).Empty())
	// Output:
	// 0 done <nil>
	// true
	// true
	// true
}

// A letter that somebody deals with by hand is held meanwhile, and then deleted.
func ExampleRedrive_Hold() {
	ctx := context.Background()
	r, queues := orders()
	held, err := r.Hold(ctx, "orders", func(l *redrive.Letter) bool { return l.Body == "order 2" })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer held.Release(ctx)
	fmt.Println(len(held.Letters), "letter is held")
	if err := held.Delete(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(len(queues.Messages("orders-dead")), "dead letters are left")
	// Output:
	// 1 letter is held
	// 2 dead letters are left
}
