// Package workqueue is the message format of tasks and the SQS standard queue
// that carries it: encoding and decoding, sending in batches, backoff by
// visibility, passing messages on, and dead letters that say why.
//
// A producer encodes a message and sends it; nil means that SQS confirmed it:
//
//	q := workqueue.New(sqs.NewFromConfig(cfg), queueURL, nil)
//	out, err := workqueue.Encode(workqueue.Message{TaskID: id, Run: 1, Type: "report.build", …})
//	…
//	err = q.Send(ctx, out)
//
// A consumer decodes what Lambda hands it and decides by the error:
//
//	m, err := workqueue.DecodeRecord(rec)
//	if _, foreign := errors.AsType[*workqueue.ForeignError](err); foreign {
//		// DeadLetter(rec, failure, 0), send to the dead-letter queue, acknowledge
//	} else if errors.Is(err, workqueue.ErrNewerVersion) {
//		// hand back: ChangeVisibility, and report the record as failed
//	}
//
// # Delivery
//
// Delivery is at least once, and in no order. A send that failed may have taken
// effect, and a retry may then send twice; the task table makes the second
// message harmless. Whoever passes a message on ([Copy], [DeadLetter]) sends
// first, and acknowledges the original only after the confirmation: a crash in
// between doubles a message and never loses one.
//
// # Versions
//
// The body's v is raised when an older reader could misunderstand a message.
// Members may be added without that, and readers ignore those that they do not
// know; [Copy] and [DeadLetter] keep them. A message of a newer version is
// [ErrNewerVersion] and handed back, for at most [MaxHops] copies.
//
// # Errors
//
// [Queue.SendBatch] and [Queue.ChangeVisibility] return one outcome for each
// entry. Whole calls are retried by the SDK's client, entries that failed inside
// of a successful call by the [Queue]. [*InvalidError] and [*TooLargeError] come
// before anything is sent, [*EntryError] is SQS's refusal of one entry,
// [ErrNoOutcome] an entry that the answer forgot, [ErrReceiptGone] a receipt
// handle that no longer holds. Errors of the SDK stay in the chain.
//
// Everything here is safe for concurrent use.
package workqueue
