// Package webhook delivers events to HTTP endpoints: the task type
// webhook.deliver. Each delivery is one POST, signed as the Standard Webhooks
// specification says
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md),
// sent only to public addresses, and bounded in time and in what it reads.
//
//	secrets := webhook.NewSecretsManager(secretsmanager.NewFromConfig(cfg), arn, nil)
//	d := webhook.New(secrets, &webhook.Options{Timeout: 10 * time.Second})
//	task.Handle(mux, webhook.Type, d.Deliver)
//
// # What the receiver gets
//
//	POST /hooks HTTP/1.1
//	Content-Type: application/json
//	User-Agent: Spillway/1
//	Webhook-Id: 01J8ZQ4T6Y0V5N3C9K2M7R1XAB-1
//	Webhook-Timestamp: 1767225600
//	Webhook-Signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1,…
//
//	{"type":"invoice.paid","timestamp":"2026-01-01T00:00:00.000Z","data":{"id":"in_1"}}
//
// The body has the payload structure that the specification recommends: type
// is the input's event, timestamp is when the task was created, data is the
// input's payload. The payload keeps its numbers, key order and escapes as they
// were submitted; only white space between its tokens is removed. The body and
// Webhook-Id are the same for every attempt of a run. Webhook-Timestamp, and
// the signature with it, belong to the single attempt, so that receivers can
// refuse old ones.
//
// # Verifying
//
// A receiver reads the raw body, checks it before it is parsed, and drops an id
// that it has seen. It answers 2xx within the time-out and works afterwards:
//
//	wh, err := standardwebhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET")) // whsec_…
//
//	func receive(w http.ResponseWriter, r *http.Request) {
//		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
//		if err != nil || wh.Verify(body, r.Header) != nil { // also refuses timestamps 5 minutes off
//			http.Error(w, "bad signature", http.StatusUnauthorized)
//			return
//		}
//		if firstTime(r.Header.Get("webhook-id")) {
//			enqueue(body)
//		}
//		w.WriteHeader(http.StatusAccepted)
//	}
//
// While a secret is rotated, both the current and the previous one sign, and
// either verifies.
//
// A [SecretSource] signs for every receiver with the same secret, and whoever
// can verify can sign: receivers that do not trust each other need a Deliverer
// with a secret of its own each ("Signing keys should be unique per endpoint").
//
// # Delivery
//
// Delivery is at least once and in no order: the answer to a POST that took
// effect can be lost, and the next attempt sends it again with the same
// Webhook-Id. A replay of the task is a new run, with a new id.
//
//	2xx                       succeeded; the result carries status, latency, attempt
//	3xx                       failed; redirects are not followed
//	408, 425, 429             retried, not before Retry-After
//	other 4xx, 410 included   failed
//	5xx and anything else     retried, not before Retry-After
//	no answer, no connection  retried
//	address not public        failed
//
// A 401 or 403 is a failure like any other 4xx; it does not refresh the secret,
// because receivers could otherwise drive calls to the secret store.
//
// # Errors
//
// Every failure carries a code: http_404 and the like for an answer, and the
// Code constants of this package for none. Messages name the receiver's host
// and nothing else of its URL; addresses that names resolve to, AWS errors and
// what a receiver wrote stay out of them. The operator's log has the rest.
//
// # Targets
//
// The scheme may be http or https, on any port. With http the payload can be
// read on its way; the signature still shows whether it was changed. Which
// addresses may be dialed is decided by [Guard] after the name is resolved, so
// neither a name that changes its address nor an odd spelling of one gets
// around it. Proxies from the environment are not used: a proxy would resolve
// the name itself, out of the guard's sight.
package webhook
