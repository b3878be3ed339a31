package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/chaos"
)

func TestChaosSet(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		args   []string
		answer fields
		code   int
		req    adminRequest
		want   []string
	}{
		{
			"so many times",
			[]string{"saga.BookCar", "panic", "--times", "3"},
			fields{"ok": true, "target": "saga.BookCar", "fault": "panic", "times_left": 3, "until": ago(-9 * time.Minute), "by": fakeARN},
			exitOK,
			adminRequest{Target: "saga.BookCar", Fault: "panic", Times: 3, For: "10m0s"},
			[]string{"TARGET", "saga.BookCar  panic  next 3 calls", "in 9m00s", fakeARN},
		},
		{
			"once",
			[]string{"saga.BookCar", "panic", "--times", "1", "--for", "1m"},
			fields{"ok": true, "target": "saga.BookCar", "fault": "panic", "times_left": 1, "until": ago(-time.Minute)},
			exitOK,
			adminRequest{Target: "saga.BookCar", Fault: "panic", Times: 1, For: "1m0s"},
			[]string{"next call"},
		},
		{
			"a share",
			[]string{"saga.BookCar", "latency", "--rate", "0.125", "--latency", "3s"},
			fields{"ok": true, "target": "saga.BookCar", "fault": "latency", "rate": 0.125, "latency": "3s", "until": ago(-time.Minute)},
			exitOK,
			adminRequest{Target: "saga.BookCar", Fault: "latency", Rate: 0.125, Latency: "3s", For: "10m0s"},
			[]string{"latency of 3s  12.5% of calls"},
		},
		{
			"for scripts",
			[]string{"saga.BookCar", "panic", "--rate", "1", "-o", "json"},
			fields{"ok": true, "target": "saga.BookCar", "fault": "panic", "rate": 1, "until": ago(-time.Minute)},
			exitOK,
			adminRequest{Target: "saga.BookCar", Fault: "panic", Rate: 1, For: "10m0s"},
			[]string{`"rate": 1`},
		},
		{
			"a fault that only the stack knows",
			[]string{"saga.BookCar", "melt", "--times", "1"},
			refused("invalid_request"), exitFailed,
			adminRequest{Target: "saga.BookCar", Fault: "melt", Times: 1, For: "10m0s"},
			[]string{"the fake says invalid_request"},
		},
		{
			"a stack without it",
			[]string{"saga.BookCar", "panic", "--times", "1"},
			refused("chaos_disabled"), exitFailed,
			adminRequest{Target: "saga.BookCar", Fault: "panic", Times: 1, For: "10m0s"},
			[]string{"the fake says chaos_disabled (chaos_disabled)"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAdmin(t)
			f.answer = func(adminRequest) any { return tt.answer }
			ta := f.newOperator()
			if code := ta.play(t, append([]string{"chaos", "set"}, tt.args...)...); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			tt.req.Command, tt.req.By = "chaos.set", fakeARN
			if diff := cmp.Diff(f.last("chaos.set"), tt.req); diff != "" {
				t.Errorf("request (-got +want):\n%s", diff)
			}
			mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want...)
			if out := ta.stdout.String(); ta.json() && !json.Valid([]byte(out)) {
				t.Errorf("no JSON: %s", out)
			}
		})
	}
}

func TestChaosClear(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	cleared := []string{"saga.BookCar", "saga.Book\x1b[2JHotel"}
	f.answer = func(adminRequest) any { return fields{"ok": true, "cleared": cleared} }
	for _, tt := range []struct {
		args   []string
		target string
	}{{nil, ""}, {[]string{"saga.BookCar"}, "saga.BookCar"}} {
		ta := f.newOperator()
		if code := ta.play(t, append([]string{"chaos", "clear"}, tt.args...)...); code != exitOK || ta.stdout.String() != "saga.BookCar\nsaga.Book\ufffd[2JHotel\n" {
			t.Errorf("exit %d: %q", code, ta.stdout)
		}
		if diff := cmp.Diff(f.last("chaos.clear"), adminRequest{Command: "chaos.clear", By: fakeARN, Target: tt.target}); diff != "" {
			t.Errorf("request (-got +want):\n%s", diff)
		}
	}
	cleared = []string{}
	ta := f.newOperator()
	if code := ta.play(t, "chaos", "clear"); code != exitOK || ta.stdout.String() != "" {
		t.Errorf("exit %d: %s", code, ta.stdout)
	}
	mustContain(t, "stderr", ta.stderr.String(), "no faults are set")
	ta = f.newOperator()
	if code := ta.play(t, "chaos", "clear", "-o", "json"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), `"cleared": []`)
}

func TestChaosList(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	list := fields{"ok": true, "enabled": true, "faults": []fields{
		{"target": "saga.BookCar", "fault": "panic", "times_left": 0, "until": ago(-time.Hour), "by": "me"},
		{"target": "saga.CancelHotel", "fault": "latency", "rate": 1, "latency": "1m30s", "until": ago(time.Second)},
	}}
	f.answer = func(adminRequest) any { return list }
	ta := f.newOperator()
	if code := ta.play(t, "chaos", "ls"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "TARGET", "used up", "in 1h00m", "me\n", "latency of 1m30s", "100% of calls", "expired")
	list["faults"] = []fields{}
	ta = f.newOperator()
	if code := ta.play(t, "chaos", "list"); code != exitOK || ta.stdout.String() != "" {
		t.Errorf("exit %d: %s", code, ta.stdout)
	}
	mustContain(t, "stderr", ta.stderr.String(), "no faults are set")
	ta = f.newOperator()
	if code := ta.play(t, "chaos", "ls", "-o", "json"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), `"enabled": true`)
}

// Completion, help and limits are those of the package that injects.
func TestChaosKnowsTheFaults(t *testing.T) {
	t.Parallel()
	var all []string
	for _, f := range chaos.Faults() {
		all = append(all, string(f))
	}
	if !slices.Equal(words(adminapi.FaultKinds), all) {
		t.Errorf("known are %v, want %v", words(adminapi.FaultKinds), all)
	}
	if chaos.MaxTimes != 1000 || chaos.MaxFor != time.Hour || chaos.MaxLatency != 15*time.Minute || chaos.DefaultFor != 10*time.Minute {
		t.Error("the limits in chaos.go are others")
	}
	mustContain(t, "help", (&operator{app: newTestApp(t).app}).chaosSetCommand().Long, all...)
}
