package main

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// post delivers to a task and returns the answer, or 0 when there is none.
func post(ctx context.Context, t *testing.T, r *receiver, task string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+task, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Webhook-Id", "id-1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func newReceiver(t *testing.T, plan ...*kind) *receiver {
	t.Helper()
	r, err := listen(t.Context(), newLedger(plan))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

func TestReceiverAnswersAsPlanned(t *testing.T) {
	t.Parallel()
	for i := range kinds {
		k := &kinds[i]
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, k)
			for n := range k.attempts {
				if got, want := post(t.Context(), t, r, "0"), k.answer(n+1); got != want {
					t.Errorf("delivery %d: %d, want %d", n+1, got, want)
				}
			}
			if got := len(r.ledger.entries[0].deliveries); got != k.attempts {
				t.Errorf("%d deliveries noted, want %d", got, k.attempts)
			}
		})
	}
}

func TestReceiverKnowsItsTasks(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, &kinds[0])
	for _, task := range []string{"1", "-1", "x"} {
		if got := post(t.Context(), t, r, task); got != http.StatusNotFound {
			t.Errorf("%s: %d", task, got)
		}
	}
	if r.alien != 3 {
		t.Errorf("%d strange requests, want 3", r.alien)
	}
}

// What is cut while it is held was not answered, so the plan goes on where it
// was.
func TestReceiverHolds(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, &kinds[1]) // fails once
	release := r.hold()
	ctx, die := context.WithCancel(t.Context())
	answers := make(chan int, 2)
	go func() { answers <- post(ctx, t, r, "0") }()
	await(t, func() bool { held, _ := r.state(); return held == 1 })
	die()
	await(t, func() bool { held, lost := r.state(); return held == 0 && lost == 1 })
	if got := <-answers; got != 0 {
		t.Errorf("the one that went away got %d", got)
	}
	go func() { answers <- post(t.Context(), t, r, "0") }()
	await(t, func() bool { held, _ := r.state(); return held == 1 })
	release()
	if got := <-answers; got != http.StatusServiceUnavailable {
		t.Errorf("the first answer is %d, want 503", got)
	}
	if got := post(t.Context(), t, r, "0"); got != http.StatusNoContent {
		t.Errorf("the second answer is %d, want 204", got)
	}
	var got []int
	for _, d := range r.ledger.entries[0].deliveries {
		got = append(got, d.status)
	}
	if want := []int{0, 503, 204}; !slices.Equal(got, want) {
		t.Errorf("noted %v, want %v", got, want)
	}
}

func await(t *testing.T, holds func() bool) {
	t.Helper()
	if err := until(t.Context(), 10*time.Second, holds); err != nil {
		t.Fatal(err)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for _, n := range []int{100, 1000, 20_000} {
		p := plan(n, 7)
		count := map[*kind]int{}
		for _, k := range p {
			count[k]++
		}
		failing := n - count[&kinds[0]] - count[&kinds[poison]]
		if len(p) != n || len(count) != len(kinds) || failing < n*4/100 || failing > n*7/100 || count[&kinds[poison]] != n/100 {
			t.Errorf("%d tasks: %d fail, %d are poison, %d kinds", len(p), failing, count[&kinds[poison]], len(count))
		}
		if !slices.Equal(p, plan(n, 7)) || slices.Equal(p, plan(n, 8)) {
			t.Errorf("%d tasks: the plan does not go by its seed", n)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	set, err := parse(strings.Fields("-tasks 1000 -time 20s -kills 1 -seed 9 -http 1"))
	if want := (settings{tasks: 1000, over: 20 * time.Second, httpEvery: 1, kills: 1, seed: 9}); err != nil || set != want {
		t.Errorf("got %+v, %v, want %+v", set, err, want)
	}
	if set, err = parse(nil); err != nil || set.tasks != 20_000 || set.over != 2*time.Minute || set.kills != 2 || set.seed == 0 {
		t.Errorf("defaults: %+v, %v", set, err)
	}
	for _, bad := range []string{"-tasks " + strconv.Itoa(99), "-time 0s", "-kills -1", "more"} {
		if _, err := parse(strings.Fields(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
