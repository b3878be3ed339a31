package batch

import "context"

// Handler is a Lambda handler for one kind of event. Give it to lambda.Start;
// in tests call Invoke with an event's JSON. It is safe for concurrent use.
type Handler func(ctx context.Context, payload []byte) ([]byte, error)

// Invoke works through the batch in payload and returns the partial batch
// response.
func (h Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return h(ctx, payload) }
