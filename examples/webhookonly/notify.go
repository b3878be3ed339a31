// Package webhookonly is an example of signed webhooks without the rest of
// Spillway: one attempt from anywhere in your program.
package webhookonly

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
)

// Notifier tells receivers what happened.
type Notifier struct{ deliverer *webhook.Deliverer }

// New returns a [Notifier] that signs with a secret of the form whsec_….
func New(secret string, opts *webhook.Options) (*Notifier, error) {
	key, err := webhook.ParseSecret(secret)
	if err != nil {
		return nil, err
	}
	return &Notifier{webhook.New(webhook.StaticSecrets{key}, opts)}, nil
}

// Notify sends an event once. id names the event and may not have a dot; an
// error says, by task.IsPermanent and task.RetryDelay, whether and when to try
// again, with the same id.
func (n *Notifier) Notify(ctx context.Context, id, url, event string, data any) error {
	payload, err := json.Marshal(data)
	if err != nil {
		return err
	}
	ctx = task.NewContext(ctx, &task.Execution{ID: id, Run: 1, CreatedAt: time.Now()})
	_, err = n.deliverer.Deliver(ctx, webhook.Input{URL: url, Event: event, Payload: payload})
	return err
}
