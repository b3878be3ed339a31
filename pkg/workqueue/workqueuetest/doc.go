// Package workqueuetest is for testing code that works with queues: standard
// SQS queues in memory, below the real [workqueue.Queue], and the part of
// Lambda that hands their messages to a function.
//
//	queues := workqueuetest.New()
//	url := queues.Create("tasks", workqueuetest.QueueOptions{Visibility: time.Minute})
//	q := workqueue.New(queues, url, nil)
//	err := q.Send(ctx, out)
//	n, err := queues.Deliver(ctx, "tasks", 10, w.Invoke)
//
// What code can see is as on AWS: receive counts, a receipt handle for each
// receive of which only the newest counts, delays, visibility time-outs, limits
// of batches and messages, redrive to a dead-letter queue. Messages come in the
// order in which they became visible, which AWS does not promise.
//
// Nothing here starts a goroutine or a timer, so queues work inside of a
// [testing/synctest] bubble. [SQS.Inject] makes calls fail.
package workqueuetest
