// Package workqueuetest is for testing code that works with queues: SQS queues
// in memory, below the real [workqueue.Queue], and the part of Lambda that
// hands their messages to a function.
//
//	queues := workqueuetest.New()
//	url := queues.Create("tasks", workqueuetest.QueueOptions{Visibility: time.Minute})
//	q := workqueue.New(queues, url, nil)
//	err := q.Send(ctx, out)
//	n, err := queues.Deliver(ctx, "tasks", 10, w.Invoke)
//
// The queues are as strict as SQS: limits of messages, batches, delays,
// visibility and messages in flight, refused characters, receipt handles of
// which the newest counts, retention, redrive policies and message move tasks.
// A refusal is an [*Error] with the code that SQS answers. docs/limits.md lists
// each limit, the test that shows it and its source.
//
// A standard queue does not keep the order of sends. It repeats deliveries,
// answers old numbers and misses messages in short polls if [Options] say so;
// [AsOnAWS] turns all of that on. What is random takes a seed.
//
// Nothing here starts a goroutine, and all waits are within a call, so queues
// work inside of a [testing/synctest] bubble. [SQS.Inject] makes calls fail.
package workqueuetest
