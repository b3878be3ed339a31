package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// kind is one sort of task in the demonstration: what its receiver does, and
// how such a task has to end.
type kind struct {
	name  string
	about string
	want  client.Status
	// share is how many of the load are of this kind: one in so many, at least
	// one. Zero takes what is left.
	share int
	// answer is the status of the receiver's nth answer, from 1, to one task.
	answer func(nth int) int
	slow   bool // the receiver takes its time
	late   bool // the deadline passes before the task may start
	cancel bool // canceled before it starts
}

func always(status int) func(int) int { return func(int) int { return status } }

var kinds = []kind{
	{name: "good", about: "taken at once", want: client.Succeeded, answer: always(http.StatusOK)},
	{name: "slow", about: "taken slowly", want: client.Succeeded, share: 20, answer: always(http.StatusOK), slow: true},
	{name: "flaky", about: "503 twice, then taken", want: client.Succeeded, share: 20, answer: func(nth int) int {
		if nth <= 2 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}},
	{name: "broken", about: "500 at every attempt", want: client.DeadLettered, share: 40, answer: always(http.StatusInternalServerError)},
	{name: "refused", about: "refused with 400", want: client.Failed, share: 40, answer: always(http.StatusBadRequest)},
	{name: "late", about: "deadline passes while waiting", want: client.Expired, share: 30, answer: always(http.StatusOK), late: true},
	{name: "called-off", about: "canceled while waiting", want: client.Canceled, share: 1 << 30, answer: always(http.StatusOK), cancel: true},
}

// planItem is one task to be submitted.
type planItem struct {
	index int
	kind  *kind
	req   client.SubmitRequest
}

// planLoad mixes n tasks, the same way every time.
func planLoad(n int, recv *receiver, pace demoPace) []planItem {
	mix := make([]*kind, 0, n)
	for i := range kinds {
		if k := &kinds[i]; k.share > 0 {
			for range max(1, n/k.share) {
				mix = append(mix, k)
			}
		}
	}
	for len(mix) < n {
		mix = append(mix, &kinds[0])
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { mix[i], mix[j] = mix[j], mix[i] })

	plan := make([]planItem, n)
	for i, k := range mix {
		req := client.SubmitRequest{Type: "webhook.deliver", Input: webhookInput{
			URL: recv.expect(i, k), Event: "demo." + k.name, Payload: json.RawMessage(`{"about":"` + k.about + `"}`),
		}}
		switch {
		case k.late:
			req.TTL, req.Delay = pace.ttl, pace.delay
		case k.cancel:
			req.Delay = pace.parked.Round(time.Second)
		}
		plan[i] = planItem{index: i, kind: k, req: req}
	}
	return plan
}

// webhookInput is the input of webhook.deliver.
type webhookInput struct {
	URL     string          `json:"url"`
	Event   string          `json:"event"`
	Payload json.RawMessage `json:"payload"`
}
