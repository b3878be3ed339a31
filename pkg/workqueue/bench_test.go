package workqueue_test

import (
	"strings"
	"testing"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

func benchMessage(size int) workqueue.Message {
	m := example()
	m.Input = []byte(`{"payload":"` + strings.Repeat("x", size) + `"}`)
	return m
}

func BenchmarkEncode(b *testing.B) {
	for name, size := range map[string]int{"200B": 200, "256KiB": 256 << 10} {
		m := benchMessage(size)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := workqueue.Encode(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeRecord(b *testing.B) {
	for name, size := range map[string]int{"200B": 200, "256KiB": 256 << 10} {
		rec := record(encode(b, benchMessage(size)))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := workqueue.DecodeRecord(rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSendBatch(b *testing.B) {
	fake := &fakeSQS{}
	q := workqueue.New(fake, queueURL, nil)
	msgs := make([]workqueue.Outgoing, 10)
	for i := range msgs {
		msgs[i] = encode(b, benchMessage(200))
	}
	b.ReportAllocs()
	for b.Loop() {
		q.SendBatch(b.Context(), msgs)
		fake.sent, fake.calls = fake.sent[:0], fake.calls[:0]
	}
}

func BenchmarkDeadLetter(b *testing.B) {
	rec := record(encode(b, benchMessage(200)))
	b.ReportAllocs()
	for b.Loop() {
		workqueue.DeadLetter(rec, failed, 2)
	}
}
