// Package client submits tasks to a Spillway pipeline from Go, waits for their
// results, lists and cancels them. It speaks the public HTTP API, signs with
// SigV4, and imports nothing else of Spillway.
//
//	c, err := client.New(apiURL, &client.Options{
//		Credentials: cfg.Credentials, // an aws.Config's
//		Region:      cfg.Region,
//	})
//	if err != nil {
//		return err
//	}
//	t, err := c.Submit(ctx, client.SubmitRequest{
//		Type:  "webhook.deliver",
//		Input: map[string]any{"url": url, "event": "order.paid", "payload": order},
//	})
//	if err != nil {
//		return err
//	}
//	t, err = c.Wait(ctx, t.ID) // t.Status is succeeded, failed, …
//
// The package reads no environment and loads no AWS configuration: the base
// URL is the stack's ApiUrl output, the credentials are the caller's.
//
// # Retries
//
// A request that met 429, 500, 502, 503, 504 or a network error is sent again,
// at most [Options.MaxAttempts] times, after a pause with full jitter that is
// never shorter than the Retry-After of the answer. No other 4xx is retried.
//
// # Delivery
//
// [Client.Submit] always sends an idempotency key, so that its own retries
// start no second task. When it still fails with an unknown outcome, its
// [SubmitError] carries the key: submitting the same request with it within 24
// hours answers with the task that was accepted, if any. Tasks themselves are
// worked on at least once.
//
// # Errors
//
// What the API refuses is an [*APIError] with the fields of RFC 9457, and
// matches one of the sentinels ([ErrNotFound], [ErrTaskFinished], …) with
// [errors.Is]. Answers that an API gateway gives by itself become an [*APIError]
// too.
package client
