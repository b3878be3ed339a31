package main

import (
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const fakeSaga = "01KWEG73E0EDR6JV3CEXGQJRB2-1"

// parkedHotel is a compensation that waits, as the admin function lists it.
func parkedHotel() fields {
	return fields{
		"execution": fakeSaga, "task_id": "01KWEG73E0EDR6JV3CEXGQJRB2", "step": "CancelHotel", "error": fields{"code": "errorString", "message": "the hotel\x1b[2J answers 503"},
		"completed": []string{"BookHotel", "BookFlight"}, "parked_at": ago(2*time.Minute + time.Second), "message_id": "m1",
	}
}

func TestSagaUsage(t *testing.T) {
	t.Parallel()
	misused(t, []misuse{
		{"unknown", []string{"saga", "undo"}, `unknown command "undo" for "spillway saga"`},
		{"max", []string{"saga", "ls", "--max", "0"}, "--max must be 1 to 100"},
		{"too many", []string{"saga", "ls", "--max", "101"}, "--max must be 1 to 100"},
		{"list of one", []string{"saga", "ls", "x"}, "unknown command"},
		{"show what", []string{"saga", "show"}, "accepts 1 arg(s)"},
		{"resume what", []string{"saga", "resume", fakeSaga}, "accepts 2 arg(s)"},
		{"show nothing", []string{"saga", "show", ""}, "the execution is empty"},
		{"resume nothing", []string{"saga", "resume", "", "CancelHotel"}, "the execution is empty"},
		{"resume no step", []string{"saga", "resume", fakeSaga, ""}, "the step is empty"},
		{"status", []string{"saga", "ls", "--status", "done"}, "must be one of running, succeeded, failed, timed_out, aborted"},
		{"skip without a reason", []string{"saga", "skip", fakeSaga, "CancelHotel", "--yes"}, "--reason is needed"},
		{"skip with an empty reason", []string{"saga", "skip", fakeSaga, "CancelHotel", "--reason", " \t"}, "--reason is needed"},
		{"done without a reason", []string{"saga", "done", fakeSaga, "CancelHotel"}, "--reason is needed"},
	})
}

func TestSagaHelp(t *testing.T) {
	t.Parallel()
	shows(t, []showing{
		{nil, []string{"saga "}},
		{[]string{"saga"}, []string{"Exit codes", "resume", "skip", "done", "--admin-function"}},
		{[]string{"saga", "show", "--help"}, []string{"--all", "✗ x  failed", "↩ <  undone"}},
		{[]string{"saga", "skip", "--help"}, []string{"--reason", "--yes", "audit trail"}},
		{[]string{"__complete", "saga", "ls", "--status", ""}, []string{"running", "timed_out"}},
		{[]string{"__complete", "saga", ""}, []string{"ls", "show", "resume", "skip", "done"}},
		{[]string{"demo", "trips", "--help"}, []string{"ChaosEnabled=true"}},
	})
}

func TestSagaList(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	list := fields{
		"ok": true, "cursor": "page 2", "parked": []fields{parkedHotel()}, "foreign": 2, "note": "not all of the queue could be looked at",
		"executions": []fields{
			{"execution": fakeSaga, "status": "failed", "started_at": ago(3*time.Minute + time.Second), "stopped_at": ago(2*time.Minute + 31*time.Second)},
			{"execution": "01B-1", "status": "running", "started_at": ago(9*time.Hour + time.Second)},
		},
	}
	f.answer = func(adminRequest) any { return list }
	ta := f.newOperator()
	if code := ta.play(t, "saga", "ls", "--status", "failed", "--max", "2", "--cursor", "page 1"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	if diff := cmp.Diff(f.last("saga.list"), adminRequest{Command: "saga.list", Max: 2, Status: "failed", Cursor: "page 1"}); diff != "" {
		t.Errorf("request (-got +want):\n%s", diff)
	}
	lines := strings.Split(ta.stdout.String(), "\n")
	want := []string{
		"EXECUTION                     STATUS     AGE  TOOK",
		fakeSaga + "  failed   3m01s   30s",
		"01B-1                         running  9h00m",
		"",
		"parked",
		"EXECUTION                     STEP           AGE  ERROR",
		fakeSaga + "  CancelHotel  2m01s  errorString: the hotel\ufffd[2J answers 503",
		"",
		"run it again, leave it, or say that it was done by hand:",
		"  spillway saga resume " + fakeSaga + " CancelHotel",
		"  spillway saga skip " + fakeSaga + " CancelHotel --reason WHY",
		"  spillway saga done " + fakeSaga + " CancelHotel --reason WHY",
		"",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
	mustContain(t, "stderr", ta.stderr.String(), "more: spillway saga ls --max 2 --cursor 'page 2' --status failed",
		"no parked steps: 2, see spillway dlq ls --queue saga", "not all of the queue could be looked at")

	list = fields{"ok": true, "executions": []fields{}, "parked": []fields{}}
	ta = f.newOperator()
	if code := ta.play(t, "saga", "list"); code != exitOK || ta.stdout.String() != "" || ta.stderr.String() != "no executions\n" {
		t.Errorf("exit %d: %q, %q", code, ta.stdout, ta.stderr)
	}
	if diff := cmp.Diff(f.last("saga.list"), adminRequest{Command: "saga.list", Max: 25}); diff != "" {
		t.Errorf("request (-got +want):\n%s", diff)
	}
	ta = f.newOperator()
	if code := ta.play(t, "saga", "ls", "-o", "json"); code != exitOK || !json.Valid([]byte(ta.stdout.String())) {
		t.Errorf("exit %d: %s", code, ta.stdout)
	}
	mustContain(t, "stdout", ta.stdout.String(), `"executions": []`, `"parked": []`)
}

// taken is a step of a path, with what else is said of it.
func taken(state, typ, outcome string, ms int, more ...fields) fields {
	s := fields{"state": state, "type": typ, "outcome": outcome, "took_ms": ms, "entered_at": ago(12*time.Second + 10*time.Millisecond)}
	if typ == "Task" {
		s["attempts"] = 1
	}
	for _, m := range more {
		for k, v := range m {
			s[k] = v
		}
	}
	return s
}

func TestSagaShow(t *testing.T) {
	t.Parallel()
	booked := []fields{
		taken("Begin", "Pass", "ok", 3), taken("Recovering", "Choice", "ok", 1),
		taken("RecordBookHotel", "Task", "ok", 40), taken("BookHotel", "Task", "ok", 21240, fields{"attempts": 2, "error": "States.Timeout"}),
		taken("RecordBookFlight", "Task", "ok", 40), taken("BookFlight", "Task", "ok", 80),
		taken("RecordBookCar", "Task", "ok", 40),
	}
	path := func(more ...fields) []fields { return append(booked[:len(booked):len(booked)], more...) }
	soldOut := taken("BookCar", "Task", "failed", 110, fields{"error": "sold_out", "cause": "car-1: none is\x1b[2J left"})
	undone := func(state, action string, more ...fields) fields {
		return taken(state, "Task", "ok", 90, append([]fields{{"undoes": action}}, more...)...)
	}
	notUndone := undone("CancelHotel", "BookHotel", fields{"outcome": "failed", "took_ms": 3300, "attempts": 4, "error": "errorString", "cause": "the hotel answers 503"})
	ended := fields{"started_at": ago(3*time.Minute + time.Second), "stopped_at": ago(2*time.Minute + 31*time.Second)}
	for _, tt := range []struct {
		name   string
		args   []string
		answer fields
		want   string
		notes  string
	}{
		{
			"succeeded", nil,
			fields{"status": "succeeded", "path": path(taken("BookCar", "Task", "ok", 70), taken("RecordSucceeded", "Task", "ok", 40), taken("Succeeded", "Succeed", "ok", 0))},
			`
succeeded
began 3m01s ago, took 30s

  ✓ BookHotel      21s  2 attempts  States.Timeout
  │
  ✓ BookFlight    80ms
  │
  ✓ BookCar       70ms
  │
  ✓ Succeeded       0s
`, "",
		},
		{
			"sold out", nil,
			fields{
				"status": "failed", "error": "sold_out", "cause": "car-1: none is left",
				"path": path(soldOut, undone("CancelFlight", "BookFlight"), undone("CancelHotel", "BookHotel"), taken("Undone", "Choice", "ok", 1), taken("RecordFailed", "Task", "ok", 40), taken("Compensated", "Fail", "ended", 2)),
			},
			`
failed, sold_out: car-1: none is left
began 3m01s ago, took 30s

  ✓ BookHotel        21s  2 attempts  States.Timeout
  │
  ✓ BookFlight      80ms
  │
  ✗ BookCar        110ms  sold_out: car-1: none is` + "\ufffd" + `[2J left
  │
  ↩ CancelFlight    90ms
  │
  ↩ CancelHotel     90ms
  │
  ↩ Compensated      2ms
`, "",
		},
		{
			"parked", nil,
			fields{
				"status": "failed", "error": "compensation_failed", "cause": "not undone: CancelHotel", "parked": []fields{parkedHotel()},
				"path": path(soldOut, undone("CancelFlight", "BookFlight"), notUndone, taken("ParkCancelHotel", "Task", "ok", 30), taken("Undone", "Choice", "ok", 1), taken("RecordCompensationFailed", "Task", "ok", 40), taken("CompensationFailed", "Fail", "ended", 2)),
			},
			`
failed, compensation_failed: not undone: CancelHotel
began 3m01s ago, took 30s

  ✓ BookHotel              21s  2 attempts  States.Timeout
  │
  ✓ BookFlight            80ms
  │
  ✗ BookCar              110ms  sold_out: car-1: none is` + "\ufffd" + `[2J left
  │
  ↩ CancelFlight          90ms
  │
  ! CancelHotel           3.3s  4 attempts  parked  errorString: the hotel answers 503
  │
  ✗ CompensationFailed     2ms

parked
EXECUTION                     STEP           AGE  ERROR
` + fakeSaga + `  CancelHotel  2m01s  errorString: the hotel` + "\ufffd" + `[2J answers 503

run it again, leave it, or say that it was done by hand:
  spillway saga resume ` + fakeSaga + ` CancelHotel
  spillway saga skip ` + fakeSaga + ` CancelHotel --reason WHY
  spillway saga done ` + fakeSaga + ` CancelHotel --reason WHY
`, "",
		},
		{
			"dealt with", nil,
			fields{
				"status": "failed", "error": "compensation_failed",
				"path": path(notUndone, taken("ParkCancelHotel", "Task", "ok", 30), taken("CompensationFailed", "Fail", "ended", 2)),
			},
			`
failed, compensation_failed
began 3m01s ago, took 30s

  ✓ BookHotel              21s  2 attempts  States.Timeout
  │
  ✓ BookFlight            80ms
  │
  ! CancelHotel           3.3s  4 attempts  parked, dealt with since  errorString: the hotel answers 503
  │
  ✗ CompensationFailed     2ms
`, "",
		},
		{
			"not known", nil,
			fields{"status": "failed", "note": "try again", "path": []fields{notUndone, taken("ParkCancelHotel", "Task", "ok", 30)}},
			`
failed
began 3m01s ago, took 30s

  ! CancelHotel    3.3s  4 attempts  parked  errorString: the hotel answers 503
`, "try again",
		},
		{
			"running", nil,
			fields{"status": "running", "stopped_at": nil, "path": path(taken("BookCar", "Task", "running", 0, fields{"attempts": 3, "error": "errorString", "cause": "busy"}))},
			`
running
began 3m01s ago

  ✓ BookHotel      21s  2 attempts  States.Timeout
  │
  ✓ BookFlight    80ms
  │
  … BookCar        12s  3 attempts  errorString: busy
`, "",
		},
		{
			"broken off, all",
			[]string{"--all"},
			fields{"status": "aborted", "cut": true, "path": append(booked[:3:3], taken("BookHotel", "Task", "ended", 5010))},
			`
aborted
began 3m01s ago, took 30s

  ✓ Begin               3ms
  │
  ✓ Recovering          1ms
  │
  ✓ RecordBookHotel    40ms
  │
  ■ BookHotel            5s
  ⋮ and more
`, "",
		},
		{"nothing yet", nil, fields{"status": "running", "stopped_at": nil, "path": []fields{}}, "\nrunning\nbegan 3m01s ago\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAdmin(t)
			answer := fields{"ok": true, "execution": fakeSaga}
			for _, more := range []fields{ended, tt.answer} {
				for k, v := range more {
					if answer[k] = v; v == nil {
						delete(answer, k)
					}
				}
			}
			f.answer = func(adminRequest) any { return answer }
			ta := f.newOperator()
			if code := ta.play(t, append([]string{"saga", "show", fakeSaga}, tt.args...)...); code != exitOK {
				t.Errorf("exit %d", code)
			}
			if diff := cmp.Diff(f.last("saga.show"), adminRequest{Command: "saga.show", Execution: fakeSaga}); diff != "" {
				t.Errorf("request (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(fakeSaga+"  "+strings.TrimPrefix(tt.want, "\n"), ta.stdout.String()); diff != "" {
				t.Errorf("stdout (-want +got):\n%s", diff)
			}
			if tt.notes == "" && ta.stderr.String() != "" {
				t.Errorf("stderr: %s", ta.stderr)
			}
			mustContain(t, "stderr", ta.stderr.String(), tt.notes)
			ta = f.newOperator()
			if code := ta.play(t, "saga", "show", fakeSaga, "-o", "json"); code != exitOK || !json.Valid([]byte(ta.stdout.String())) {
				t.Errorf("exit %d: %s", code, ta.stdout)
			}
			ta = f.atTerminal("")
			ta.screen = func(io.Writer) (int, bool) { return 40, true }
			ta.play(t, "saga", "show", fakeSaga)
			_, drawing, _ := strings.Cut(ta.stdout.String(), "\n\n")
			drawing, _, _ = strings.Cut(drawing, "\n\n")
			for line := range strings.Lines(drawing) {
				if plain := paint.ReplaceAllString(line, ""); len([]rune(plain)) > 41 || strings.Count(line, "\x1b")%2 != 0 {
					t.Errorf("wider than the screen, or painted half: %q", line)
				}
			}
		})
	}
}

var paint = regexp.MustCompile("\x1b\\[[0-9]+m")

// A drawing suits the terminal that it is for.
func TestSagaShowOnTerminals(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	f.answer = func(adminRequest) any {
		return fields{"ok": true, "execution": fakeSaga, "status": "failed", "cut": true, "parked": []fields{parkedHotel()}, "path": []fields{
			taken("BookHotel", "Task", "ok", 80), taken("BookCar", "Task", "failed", 110),
			taken("CancelFlight", "Task", "ok", 90, fields{"undoes": "BookFlight"}), taken("CancelHotel", "Task", "failed", 90, fields{"undoes": "BookHotel"}), taken("ParkCancelHotel", "Task", "ok", 90),
			taken("CancelTrain", "Task", "ended", 90), taken("CancelShip", "Task", "running", 90),
		}}
	}
	for _, tt := range []struct {
		env  map[string]string
		want []string
		not  string
	}{
		{nil, []string{green + "✓" + reset + " BookHotel", red + "✗" + reset + " BookCar", yellow + "↩" + reset + " CancelFlight", red + "!" + reset + " CancelHotel", red + "■" + reset + " CancelTrain", "  … CancelShip", "⋮ and more"}, "+ BookHotel"},
		{map[string]string{"NO_COLOR": "1", "LANG": "de_DE.UTF-8"}, []string{"✓ BookHotel", "✗ BookCar", "↩ CancelFlight", "! CancelHotel"}, "\x1b"},
		{map[string]string{"NO_COLOR": "1", "LC_ALL": "C", "LANG": "de_DE.UTF-8"}, []string{"+ BookHotel", "x BookCar", "< CancelFlight", "! CancelHotel", "# CancelTrain", ". CancelShip", "  |\n", ": and more"}, "✓"},
	} {
		ta := f.atTerminal("")
		for k, v := range tt.env {
			ta.env[k] = v
		}
		if code := ta.play(t, "saga", "show", fakeSaga); code != exitOK {
			t.Errorf("exit %d", code)
		}
		mustContain(t, "stdout", ta.stdout.String(), tt.want...)
		if strings.Contains(ta.stdout.String(), tt.not) {
			t.Errorf("%v: %q is in %s", tt.env, tt.not, ta.stdout)
		}
	}
}

func TestSagaByHand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		verb, outcome, question string
		reason                  string // that has to be given
	}{
		{"resume", "resumed", "Run CancelHotel of " + fakeSaga + " again? [y/N]", ""},
		{"skip", "skipped", "Leave what CancelHotel of " + fakeSaga + " was to undo? [y/N]", "it is paid"},
		{"done", "done", "Has CancelHotel of " + fakeSaga + " been done by hand? [y/N]", "by telephone"},
	} {
		t.Run(tt.verb, func(t *testing.T) {
			t.Parallel()
			f := newFakeAdmin(t)
			f.answer = func(adminRequest) any {
				return fields{"ok": true, "execution": fakeSaga, "step": "CancelHotel", "outcome": tt.outcome, "job_id": "01JOB"}
			}
			args := []string{"saga", tt.verb, fakeSaga, "CancelHotel"}
			line := "spillway saga " + tt.verb + " " + fakeSaga + " CancelHotel --yes"
			if tt.reason != "" {
				args = append(args, "--reason", " "+tt.reason+" ")
				line += " --reason '" + tt.reason + "'"
			}
			want := adminRequest{Command: "saga." + tt.verb, By: fakeARN, Execution: fakeSaga, Step: "CancelHotel", Reason: tt.reason}

			ta := f.newOperator()
			if code := ta.play(t, args...); code != exitUsage {
				t.Errorf("nobody there: exit %d", code)
			}
			mustContain(t, "stderr", ta.stderr.String(), "nothing was changed", line)
			ta = f.atTerminal("n\n")
			if code := ta.play(t, args...); code != exitFailed {
				t.Errorf("declined: exit %d", code)
			}
			mustContain(t, "stderr", ta.stderr.String(), tt.question, "nothing was changed")
			if sent := f.sent(); len(sent) != 0 {
				t.Errorf("sent %v", sent)
			}

			ta = f.atTerminal("y\n")
			if code := ta.play(t, args...); code != exitOK || ta.stdout.String() != "CancelHotel of "+fakeSaga+": "+tt.outcome+" (job 01JOB)\n" {
				t.Errorf("exit %d: %s", code, ta.stdout)
			}
			if diff := cmp.Diff(f.last("saga."+tt.verb), want); diff != "" {
				t.Errorf("request (-got +want):\n%s", diff)
			}
			ta = f.newOperator()
			if code := ta.play(t, append(args, "--yes", "-o", "json")...); code != exitOK || !json.Valid([]byte(ta.stdout.String())) {
				t.Errorf("exit %d: %s", code, ta.stdout)
			}
			mustContain(t, "stdout", ta.stdout.String(), `"job_id": "01JOB"`)
		})
	}
}

func TestSagaRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		code string
		want string
	}{
		{[]string{"ls"}, "unavailable", "try again"},
		{[]string{"show", "01GONE-1"}, "not_found", "the fake says not_found (not_found)"},
		{[]string{"resume", fakeSaga, "CancelHotel", "-y"}, "compensation_failed", "the fake says compensation_failed (compensation_failed)"},
		{[]string{"resume", fakeSaga, "CancelHotel", "-y"}, "job_running", "one job at a time works on a queue"},
		{[]string{"done", fakeSaga, "CancelHotel", "-y", "--reason", "x"}, "not_found", "the fake says not_found"},
		{[]string{"skip", fakeSaga, "CancelHotel", "-y", "--reason", "x"}, "unknown_command", "the stack is older than this program"},
	} {
		f := newFakeAdmin(t)
		f.answer = func(adminRequest) any { return refused(tt.code) }
		ta := f.newOperator()
		if code := ta.play(t, append([]string{"saga"}, tt.args...)...); code != exitFailed || ta.stdout.String() != "" {
			t.Errorf("%v: exit %d: %s", tt.args, code, ta.stdout)
		}
		mustContain(t, "stderr", ta.stderr.String(), tt.want)
		ta = f.newOperator()
		if code := ta.play(t, append([]string{"saga", "-o", "json"}, tt.args...)...); code != exitFailed {
			t.Errorf("%v: exit %d", tt.args, code)
		}
		mustContain(t, "stdout", ta.stdout.String(), `"code": "`+tt.code+`"`)
	}
}
