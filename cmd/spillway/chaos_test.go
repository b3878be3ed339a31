package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/task"
)

func TestChaosSet(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		code int
		sent string
		want []string
	}{
		{
			"so many times",
			[]string{"saga.BookCar", "panic", "--times", "3"},
			exitOK, `,"fault":"panic","times":3,"for":"10m0s"`,
			[]string{"TARGET", "saga.BookCar  panic  next 3 calls", "in 9m59s", fakeARN},
		},
		{"once", []string{"saga.BookCar", "panic", "--times", "1", "--for", "1m"}, exitOK, `,"fault":"panic","times":1,"for":"1m0s"`, []string{"next call"}},
		{
			"a share",
			[]string{"saga.BookCar", "latency", "--rate", "0.125", "--latency", "3s"},
			exitOK, `,"fault":"latency","rate":0.125,"latency":"3s","for":"10m0s"`,
			[]string{"latency of 3s  12.5% of calls"},
		},
		{"for scripts", []string{"saga.BookCar", "panic", "--rate", "1", "-o", "json"}, exitOK, `,"fault":"panic","rate":1,"for":"10m0s"`, []string{`"rate": 1`}},
		{
			"a fault that the stack does not know",
			[]string{"saga.BookCar", "melt", "--times", "1"},
			exitFailed, `,"fault":"melt","times":1,"for":"10m0s"`,
			[]string{`there is no fault "melt"`, "(invalid_request)"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inCloud(t, func(c *cloud) {
				t := c.t
				ta := c.newOperator()
				c.run(ta, tt.code, append([]string{"chaos", "set"}, tt.args...)...)
				c.wants("chaos.set", `,"target":"saga.BookCar"`+tt.sent+byMe)
				mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want...)
				if out := ta.stdout.String(); ta.json() && !json.Valid([]byte(out)) {
					t.Errorf("no JSON: %s", out)
				}
			}, "ChaosEnabled", "true")
		})
	}
}

func TestChaosIsDisabled(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ta := c.newOperator()
		c.run(ta, exitFailed, "chaos", "set", "saga.BookCar", "panic", "--times", "1")
		mustContain(t, "stderr", ta.stderr.String(), "ChaosEnabled=true", "(chaos_disabled)")
	})
}

// Faults that are set can be seen, and ended one by one or together.
func TestChaosClear(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		for _, words := range [][]string{{"saga.BookCar", "panic", "--times", "1"}, {"saga.BookHotel", "timeout", "--rate", "1"}, {"saga.CancelHotel", "latency", "--latency", "1m30s", "--rate", "1"}} {
			c.run(c.newOperator(), exitOK, append([]string{"chaos", "set"}, words...)...)
		}
		ta := c.newOperator()
		c.run(ta, exitOK, "chaos", "ls")
		mustContain(t, "stdout", ta.stdout.String(), "TARGET", "saga.BookCar", "next call", "saga.BookHotel", "latency of 1m30s", "100% of calls", "in 9m59s")
		ta = c.newOperator()
		c.run(ta, exitOK, "chaos", "clear", "saga.BookCar")
		if ta.stdout.String() != "saga.BookCar\n" {
			t.Errorf("cleared %q", ta.stdout)
		}
		c.wants("chaos.clear", `,"target":"saga.BookCar"`+byMe)
		ta = c.newOperator()
		c.run(ta, exitOK, "chaos", "clear")
		mustContain(t, "stdout", ta.stdout.String(), "saga.BookHotel\n", "saga.CancelHotel\n")
		c.wants("chaos.clear", byMe)
		for _, words := range [][]string{{"chaos", "clear"}, {"chaos", "list"}} {
			ta = c.newOperator()
			c.run(ta, exitOK, words...)
			if ta.stdout.String() != "" {
				t.Errorf("stdout %q", ta.stdout)
			}
			mustContain(t, "stderr", ta.stderr.String(), "no faults are set")
		}
		ta = c.newOperator()
		c.run(ta, exitOK, "chaos", "clear", "-o", "json")
		mustContain(t, "stdout", ta.stdout.String(), `"cleared": []`)
		ta = c.newOperator()
		c.run(ta, exitOK, "chaos", "ls", "-o", "json")
		mustContain(t, "stdout", ta.stdout.String(), `"enabled": true`, `"faults": []`)
	}, "ChaosEnabled", "true")
}

// What a stack lists is shown without what would move a terminal's cursor.
func TestChaosList(t *testing.T) {
	t.Parallel()
	none := 0
	w := newWire(t, only(adminapi.ChaosStatusAnswer{Enabled: true, Faults: []adminapi.Fault{
		{Target: "saga.Book\x1b[2JCar", Fault: adminapi.FaultPanic, TimesLeft: &none, Until: task.At(before(-time.Hour)), By: "me"},
		{Target: "saga.CancelHotel", Fault: adminapi.FaultLatency, Rate: 1, Latency: "1m30s", Until: task.At(before(time.Second))},
		{Target: "saga.BookHotel", Execution: "01A-1", Fault: adminapi.FaultPanic, Rate: 1, Until: task.At(before(-time.Hour))},
	}}))
	ta := w.newOperator()
	if code := ta.play(t, "chaos", "ls"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "saga.Book\ufffd[2JCar", "used up", "in 1h00m", "me\n", "latency of 1m30s", "expired", "saga.BookHotel of 01A-1")
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
