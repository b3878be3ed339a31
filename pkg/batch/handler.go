package batch

import "context"

// Handler is a Lambda handler for one kind of event: a lambda.Handler. Give it,
// not its Invoke, to lambda.Start, and wrap it by another lambda.Handler: what
// takes functions apart by reflection would decode the event itself. In tests
// call Invoke with an event's JSON. It is safe for concurrent use.
type Handler func(ctx context.Context, payload []byte) ([]byte, error)

// Invoke works through the batch in payload and returns the partial batch
// response.
func (h Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return h(ctx, payload) }
