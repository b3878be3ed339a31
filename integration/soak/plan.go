package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/spillway-go/spillway/pkg/client"
)

// kind is one sort of task: how the receiver answers it, and how it has to end.
type kind struct {
	name     string
	share    float64 // of all tasks; the first kind takes what is left
	want     client.Status
	attempts int             // that it takes when no worker dies
	answer   func(n int) int // to the nth delivery that is answered, from 1
}

// maxAttempts is the stack's MaxAttempts.
const maxAttempts = 4

func failing(times int) func(int) int {
	return func(n int) int {
		if n <= times {
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	}
}

func always(status int) func(int) int { return func(int) int { return status } }

// kinds of the load: 5 % fail, half of them for good, and 1 % are poison.
var kinds = []kind{
	{name: "good", want: client.Succeeded, attempts: 1, answer: failing(0)},
	{name: "fails once", share: 0.010, want: client.Succeeded, attempts: 2, answer: failing(1)},
	{name: "fails twice", share: 0.010, want: client.Succeeded, attempts: 3, answer: failing(2)},
	{name: "fails three times", share: 0.005, want: client.Succeeded, attempts: 4, answer: failing(3)},
	{name: "refused", share: 0.025, want: client.Failed, attempts: 1, answer: always(http.StatusBadRequest)},
	{name: "poison", share: 0.010, want: client.DeadLettered, attempts: maxAttempts, answer: always(http.StatusInternalServerError)},
}

// poisonCode is the error code of a dead letter of the last kind.
var poisonCode = fmt.Sprintf("http_%d", http.StatusInternalServerError)

// plan says of which kind each of n tasks is. Every kind occurs.
func plan(n int, seed uint64) []*kind {
	mix := make([]*kind, 0, n)
	for i := range kinds[1:] {
		k := &kinds[i+1]
		for range max(1, int(k.share*float64(n)+0.5)) {
			mix = append(mix, k)
		}
	}
	for len(mix) < n {
		mix = append(mix, &kinds[0])
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(mix), func(i, j int) { mix[i], mix[j] = mix[j], mix[i] })
	return mix
}
