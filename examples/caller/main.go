// Caller is an example of a program that submits a task and waits for its
// result. SPILLWAY_API_URL is the stack's output ApiUrl.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/spillway-go/spillway/pkg/client"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Getenv("SPILLWAY_API_URL")); err != nil {
		slog.Error("caller", slog.Any("error", err))
		os.Exit(1) //nolint:gocritic // nothing is left for the deferred cancel
	}
}

func run(ctx context.Context, apiURL string) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	c, err := client.New(apiURL, &client.Options{Credentials: cfg.Credentials, Region: cfg.Region})
	if err != nil {
		return err
	}
	t, err := c.Submit(ctx, client.SubmitRequest{
		Type:  "webhook.deliver",
		Input: map[string]any{"url": "https://example.com/hooks", "event": "order.paid", "payload": map[string]int{"order": 17}},
		TTL:   10 * time.Minute,
	})
	if err != nil {
		return err
	}
	if t, err = c.Wait(ctx, t.ID); err != nil {
		return err
	}
	slog.InfoContext(ctx, "finished", slog.String("task", t.ID), slog.String("status", string(t.Status)), slog.Int("attempts", t.Attempts))
	return nil
}
