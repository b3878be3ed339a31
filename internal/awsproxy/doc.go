// Package awsproxy is a counting and fault-injecting HTTP proxy for tests. It
// stands between SDK clients and an AWS endpoint on loopback (an emulator),
// knows which operation each request is, and passes everything on unchanged
// unless a test asked otherwise.
//
//	p := awsproxy.New(target, &awsproxy.Options{Seed: seed})
//	url, stop, err := p.Start(ctx) // point AWS_ENDPOINT_URL at url
//	defer stop()
//
//	before := p.Snapshot()
//	... // let the program work
//	used := p.Snapshot().Sub(before)
//	fmt.Println(used.Calls("dynamodb", "UpdateItem"), used.Of("dynamodb", "").Writes)
//
//	// 5 % of the updates take effect, but the client sees a dead connection
//	p.Inject(awsproxy.Fault{
//		Service: "dynamodb", Operation: "UpdateItem",
//		When: awsproxy.After, Error: awsproxy.Reset, Rate: 0.05,
//	})
//
//	// hold the next claim until the test has done something in between
//	g := p.Block("dynamodb", "BatchExecuteStatement", awsproxy.Before)
//	held, err := g.Next(ctx)
//	... // the interleaving
//	held.Release()
//
// # Guarantees
//
// A call is counted and logged before its client sees the answer. Once the
// proxy has read a call, the call reaches the target even when the client goes
// away, as it would at AWS; ReceiveMessage is the exception, because a poll
// that nobody waits for would take messages from others.
//
// Whether a fault fires depends on [Options.Seed], on the order of injections
// and on how many matching calls came before, and on nothing else. Concurrent
// calls arrive in an order of their own, so a seed repeats the sequence of
// decisions, not which task they hit.
//
// # Limits
//
// Only JSON protocol (X-Amz-Target) and query protocol (Action) calls are read
// whole, up to [Options.MaxBody]. All other requests, such as S3 objects and API
// Gateway paths, are streamed through; their operation is the HTTP method.
// The Host and Authorization headers are kept. A partial fault that takes
// entries out of a request leaves its SigV4 signature invalid, which a target
// that verifies signatures would refuse.
//
// A [Proxy] is safe for concurrent use.
package awsproxy
