package workqueuetest_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// TestResponses: which answers of a function delete which messages of two.
func TestResponses(t *testing.T) {
	tests := map[string]struct {
		response string // $1 is the id of the first message
		err      error
		left     int
	}{
		"none failed":           {response: `{"batchItemFailures":[]}`},
		"null list":             {response: `{"batchItemFailures":null}`},
		"empty response":        {response: `{}`},
		"null response":         {response: `null`},
		"another member":        {response: `{"BatchItemFailures":[{"itemIdentifier":"$1"}]}`},
		"one failed":            {response: `{"batchItemFailures":[{"itemIdentifier":"$1"}]}`, left: 1},
		"one failed, twice":     {response: `{"batchItemFailures":[{"itemIdentifier":"$1"},{"itemIdentifier":"$1"}]}`, left: 1},
		"unknown id":            {response: `{"batchItemFailures":[{"itemIdentifier":"?"}]}`, left: 2},
		"unknown beside known":  {response: `{"batchItemFailures":[{"itemIdentifier":"$1"},{"itemIdentifier":"?"}]}`, left: 2},
		"empty id":              {response: `{"batchItemFailures":[{"itemIdentifier":""}]}`, left: 2},
		"null id":               {response: `{"batchItemFailures":[{"itemIdentifier":null}]}`, left: 2},
		"id under another name": {response: `{"batchItemFailures":[{"ItemIdentifier":"$1"}]}`, left: 2},
		"no id":                 {response: `{"batchItemFailures":[{}]}`, left: 2},
		"id of another type":    {response: `{"batchItemFailures":[{"itemIdentifier":1}]}`, left: 2},
		"no list":               {response: `{"batchItemFailures":"$1"}`, left: 2},
		"malformed":             {response: `{`, left: 2},
		"nothing":               {response: ``, left: 2},
		"an error":              {response: `{"batchItemFailures":[]}`, err: errors.New("no"), left: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := workqueuetest.New()
			send(t, open(s, "a", workqueuetest.QueueOptions{}), "x", "y")
			n, err := s.Deliver(t.Context(), "a", 10, func(_ context.Context, payload []byte) ([]byte, error) {
				var e events.SQSEvent
				if err := json.Unmarshal(payload, &e); err != nil {
					return nil, err
				}
				return []byte(strings.ReplaceAll(tt.response, "$1", e.Records[0].MessageId)), tt.err
			})
			if n != 2 || !errors.Is(err, tt.err) || len(s.Messages("a")) != tt.left {
				t.Errorf("%d delivered, %v, %d left, want %d", n, err, len(s.Messages("a")), tt.left)
			}
		})
	}
	s := workqueuetest.New()
	s.Create("a", workqueuetest.QueueOptions{})
	if n, err := s.Deliver(t.Context(), "a", 10, nil); n != 0 || err != nil {
		t.Errorf("an empty queue: %d, %v", n, err)
	}
}

// TestWholeBatches: without ReportBatchItemFailures an answer is not read.
func TestWholeBatches(t *testing.T) {
	s := workqueuetest.New()
	q := open(s, "a", workqueuetest.QueueOptions{})
	m := workqueuetest.Mapping{Queue: "a", Whole: true}
	for failure, left := range map[error]int{nil: 0, errors.New("no"): 10} {
		s.Create("a", workqueuetest.QueueOptions{})
		for range 12 {
			send(t, q, "x")
		}
		records := s.Take(m)
		s.Settle(m, records, []byte(`{"batchItemFailures":[{"itemIdentifier":"`+records[0].MessageId+`"}]}`), failure)
		if n := len(s.Messages("a")); len(records) != 10 || n != 2+left {
			t.Errorf("%v: %d received, %d left", failure, len(records), n)
		}
	}
}

// TestMappings: which settings Lambda refuses.
func TestMappings(t *testing.T) {
	for name, tt := range map[string]struct {
		m  workqueuetest.Mapping
		ok bool
	}{
		"defaults":               {workqueuetest.Mapping{Queue: "a"}, true},
		"ten":                    {workqueuetest.Mapping{Queue: "a", BatchSize: 10}, true},
		"eleven without window":  {workqueuetest.Mapping{Queue: "a", BatchSize: 11}, false},
		"10,000 with a window":   {workqueuetest.Mapping{Queue: "a", BatchSize: 10_000, Window: time.Second}, true},
		"10,001":                 {workqueuetest.Mapping{Queue: "a", BatchSize: 10_001, Window: time.Second}, false},
		"a window of 5 min":      {workqueuetest.Mapping{Queue: "a", Window: 300 * time.Second}, true},
		"a longer window":        {workqueuetest.Mapping{Queue: "a", Window: 301 * time.Second}, false},
		"half a second":          {workqueuetest.Mapping{Queue: "a", Window: time.Second / 2}, false},
		"a FIFO queue":           {workqueuetest.Mapping{Queue: "a.fifo", BatchSize: 10}, true},
		"eleven of a FIFO queue": {workqueuetest.Mapping{Queue: "a.fifo", BatchSize: 11, Window: time.Second}, false},
		"a window for FIFO":      {workqueuetest.Mapping{Queue: "a.fifo", Window: time.Second}, false},
		"a batch at a time":      {workqueuetest.Mapping{Queue: "a", Concurrency: 1}, false},
		"2 batches at a time":    {workqueuetest.Mapping{Queue: "a", Concurrency: 2}, true},
		"1,000 at a time":        {workqueuetest.Mapping{Queue: "a", Concurrency: 1000}, true},
		"1,001 at a time":        {workqueuetest.Mapping{Queue: "a", Concurrency: 1001}, false},
		"visible too early":      {workqueuetest.Mapping{Queue: "a", Visibility: 29 * time.Second, Timeout: 30 * time.Second}, false},
		"visible just in time":   {workqueuetest.Mapping{Queue: "a", Visibility: 30 * time.Second, Timeout: 30 * time.Second}, true},
	} {
		if err := tt.m.Check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPayload: a batch ends before its event exceeds 6 MiB, as it is encoded.
func TestPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for body, want := range map[string]int{strings.Repeat("x", 1<<20): 5, strings.Repeat("\n", 1<<20): 2, strings.Repeat("x", 1<<20-2048): 6} {
			s := workqueuetest.New()
			q := open(s, "a", workqueuetest.QueueOptions{})
			for range 8 {
				send(t, q, body)
			}
			records := s.Receive("a", 10)
			if n := len(workqueuetest.Event(records)); len(records) != want || n > 6<<20 {
				t.Errorf("%d messages in %d bytes, want %d messages", len(records), n, want)
			}
			if rest := s.Receive("a", 10); len(rest) != min(8-want, want) {
				t.Errorf("then %d messages", len(rest))
			}
		}
	})
}
