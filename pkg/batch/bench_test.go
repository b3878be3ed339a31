package batch_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/spillway-go/spillway/pkg/batch"
)

func BenchmarkSQS(b *testing.B) {
	handler := batch.SQS(func(context.Context, *events.SQSMessage) error { return nil }, &batch.Options{Logger: quiet})
	ev := events.SQSEvent{Records: records(10)}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := handler(ctx, ev); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEach(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		batch.Each(b.Context(), 10, nil, ignore)
	}
}
