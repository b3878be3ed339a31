package workqueuetest_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// held is a message as the model of a queue knows it.
type held struct {
	Body, receipt string
	sent          time.Time
	received      time.Time
	VisibleAt     time.Time
	Receives      int
}

func (h *held) visible() bool { return !h.VisibleAt.After(time.Now()) }

// TestModel runs random sends, receives, deletes, changes of visibility and
// waits on a queue, and on a plain list of what SQS promises to hold.
func TestModel(t *testing.T) {
	const (
		visibility = 30 * time.Second
		retention  = 5 * time.Minute
		receives   = 3
	)
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			s := workqueuetest.New(workqueuetest.Options{Seed: rapid.Uint64Min(1).Draw(rt, "seed")})
			s.Create("dead", workqueuetest.QueueOptions{Retention: 2 * retention})
			q := open(s, "a", workqueuetest.QueueOptions{Visibility: visibility, Retention: retention, MaxReceives: receives, DeadLetter: "dead"})
			inbox := workqueue.NewInbox(s, q.URL(), nil)
			sends := 0
			model, dead, receipts := map[string]*held{}, map[string]time.Time{}, []string{"AQEBeA"}
			byReceipt := func(receipt string) (body string, m *held) {
				for body, m := range model {
					if m.receipt == receipt {
						return body, m
					}
				}
				return "", nil
			}
			actions := map[string]func(*rapid.T){
				"send": func(rt *rapid.T) {
					sends++
					body, delay := strconv.Itoa(sends), time.Duration(rapid.IntRange(0, 60).Draw(rt, "delay"))*time.Second
					if err := q.Send(t.Context(), workqueue.Outgoing{Body: body, Delay: delay}); err != nil {
						rt.Fatal(err)
					}
					model[body] = &held{Body: body, sent: time.Now(), VisibleAt: time.Now().Add(delay)}
				},
				"receive": func(rt *rapid.T) {
					limit := rapid.IntRange(1, 10).Draw(rt, "limit")
					var fit, worn int
					for _, m := range model {
						if m.visible() && m.Receives < receives {
							fit++
						} else if m.visible() {
							worn++
						}
					}
					got := s.Receive("a", limit)
					if len(got) != min(limit, fit) {
						rt.Fatalf("received %d of %d, limit %d", len(got), fit, limit)
					}
					for _, rec := range got {
						m := model[rec.Body]
						if m == nil || !m.visible() || m.Receives >= receives {
							rt.Fatalf("received %q: %+v", rec.Body, m)
						}
						m.Receives++
						m.received, m.VisibleAt, m.receipt = time.Now(), time.Now().Add(visibility), rec.ReceiptHandle
						receipts = append(receipts, rec.ReceiptHandle)
					}
					moved := 0
					for _, letter := range s.Messages("dead") {
						if m := model[letter.Body]; m != nil {
							if m.Receives != receives || !m.visible() || !letter.SentAt.Equal(m.sent) {
								rt.Fatalf("moved %q: %+v", letter.Body, m)
							}
							dead[letter.Body] = m.sent
							delete(model, letter.Body)
							moved++
						}
					}
					if moved > worn || len(got) < limit && moved != worn {
						rt.Fatalf("%d of %d worn messages were moved", moved, worn)
					}
				},
				"delete": func(rt *rapid.T) {
					receipt := rapid.SampledFrom(receipts).Draw(rt, "receipt")
					if got := remove(t, s, "a", receipt); (got != "") != strings.HasSuffix(receipt, "eA") {
						rt.Fatalf("%q", got)
					}
					if body, m := byReceipt(receipt); m != nil {
						delete(model, body)
					}
				},
				"change": func(rt *rapid.T) {
					receipt, seconds := rapid.SampledFrom(receipts).Draw(rt, "receipt"), rapid.Int32Range(0, 90).Draw(rt, "seconds")
					_, m := byReceipt(receipt)
					if got := change(t, s, "a", receipt, seconds); (got == "") != (m != nil && !m.visible()) {
						rt.Fatalf("%q of %+v", got, m)
					} else if got == "" {
						m.VisibleAt = time.Now().Add(time.Duration(seconds) * time.Second)
					}
				},
				"wait": func(rt *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 60).Draw(rt, "wait")) * time.Second) },
				"": func(rt *rapid.T) {
					maps.DeleteFunc(model, func(_ string, m *held) bool { return time.Since(m.sent) >= retention })
					maps.DeleteFunc(dead, func(_ string, sent time.Time) bool { return time.Since(sent) >= 2*retention })
					want, got := []held{}, []held{}
					var counts workqueue.Counts
					for _, m := range model {
						want = append(want, held{Body: m.Body, VisibleAt: m.VisibleAt, Receives: m.Receives})
						switch {
						case m.visible():
							counts.Visible++
						case m.Receives > 0:
							counts.InFlight++
						default:
							counts.Delayed++
						}
					}
					for _, m := range s.Messages("a") {
						got = append(got, held{Body: m.Body, VisibleAt: m.VisibleAt, Receives: m.Receives})
					}
					byBody := func(a, b held) int { return strings.Compare(a.Body, b.Body) }
					slices.SortFunc(want, byBody)
					slices.SortFunc(got, byBody)
					if diff := cmp.Diff(want, got, cmp.AllowUnexported(held{})); diff != "" {
						rt.Fatalf("messages (-want +got):\n%s", diff)
					}
					told, err := inbox.Counts(t.Context())
					counts.ARN = told.ARN
					if told != counts || err != nil || len(s.Messages("dead")) != len(dead) {
						rt.Fatalf("%+v, want %+v; %d dead letters, want %d; %v", told, counts, len(s.Messages("dead")), len(dead), err)
					}
				},
			}
			rt.Repeat(actions)
		})
	})
}
