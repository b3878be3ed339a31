package main

import (
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/client"
	"github.com/spillway-go/spillway/pkg/task"
)

const fakeSaga = "01KWEG73E0EDR6JV3CEXGQJRB2-1"

// parkedHotel is a compensation that waits, as the admin function lists it.
func parkedHotel() adminapi.ParkedStep {
	return adminapi.ParkedStep{
		Execution: fakeSaga, TaskID: "01KWEG73E0EDR6JV3CEXGQJRB2", Step: "CancelHotel",
		Error:     adminapi.ParkedError{Code: "errorString", Message: "the hotel\x1b[2J answers 503"},
		Completed: []string{"BookHotel", "BookFlight"}, ParkedAt: task.At(before(2*time.Minute + time.Second)), MessageID: "m1",
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
	w := newWire(t, only(adminapi.SagaListAnswer{
		Cursor: "page 2",
		Parked: adminapi.Parked{Parked: []adminapi.ParkedStep{parkedHotel()}, Foreign: 2, Note: "not all of the queue could be looked at"},
		Executions: []adminapi.SagaExecution{
			{Execution: fakeSaga, Status: adminapi.SagaFailed, StartedAt: task.At(before(3*time.Minute + time.Second)), StoppedAt: task.At(before(2*time.Minute + 31*time.Second))},
			{Execution: "01B-1", Status: adminapi.SagaRunning, StartedAt: task.At(before(9*time.Hour + time.Second))},
		},
	}))
	ta := w.newOperator()
	if code := ta.play(t, "saga", "ls", "--status", "failed", "--max", "2", "--cursor", "page 1"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	w.wants("saga.list", `,"status":"failed","max":2,"cursor":"page 1"`)
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
}

// The real function lists the executions of the machine, and none.
func TestSagasOfTheStack(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ta := c.newOperator()
		c.run(ta, exitOK, "saga", "list")
		if ta.stdout.String() != "" || ta.stderr.String() != "no executions\n" {
			t.Errorf("%q, %q", ta.stdout, ta.stderr)
		}
		c.wants("saga.list", `,"max":25`)
		ta = c.newOperator()
		c.run(ta, exitOK, "saga", "ls", "-o", "json")
		mustContain(t, "stdout", ta.stdout.String(), `"executions": []`, `"parked": []`)

		trip := c.submit(client.SubmitRequest{Type: "trip.book", Input: json.RawMessage(
			`{"traveler":"Ada","hotel":{"id":"hotel-1","nights":2},"flight":{"id":"flight-1","seats":1},"car":{"id":"car-1","days":2}}`)})
		c.stack.Await("the saga runs", func() bool { return len(c.stack.Machine.Executions()) == 1 })
		c.park(trip.ID + "-1")
		ta = c.newOperator()
		c.run(ta, exitOK, "saga", "ls")
		mustContain(t, "stdout", ta.stdout.String(), trip.ID+"-1  ", "CancelHotel", "errorString: the hotel answers 503")
		ta = c.newOperator()
		c.run(ta, exitOK, "saga", "show", trip.ID+"-1")
		mustContain(t, "stdout", ta.stdout.String(), trip.ID+"-1  ", "\nbegan ", "\nparked\n")
		ta = c.newOperator()
		c.run(ta, exitFailed, "saga", "show", "01GONE-1")
		mustContain(t, "stderr", ta.stderr.String(), "there is no execution 01GONE-1", "(not_found)")
	})
}

// park puts a step into the queue as the state machine does.
func (c *cloud) park(execution string) {
	c.t.Helper()
	cfg := c.stack.Config()
	url := "https://sqs." + cfg.Region + ".amazonaws.com/123456789012/" + c.stack.Name("SagaFailuresQueue")
	body := `{"task_id":"` + execution + `","execution":"` + execution + `","step":"CancelHotel","error":{"code":"errorString","message":"the hotel answers 503"},"completed":["BookHotel"]}`
	_, err := sqs.NewFromConfig(cfg).SendMessage(c.t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
	if err != nil {
		c.t.Fatal(err)
	}
}

// taken is a step of a path, with what else is said of it.
func taken(state, typ string, outcome adminapi.StepOutcome, ms int64, more ...func(*adminapi.SagaStep)) adminapi.SagaStep {
	s := adminapi.SagaStep{State: state, Type: typ, Outcome: outcome, TookMS: ms, EnteredAt: task.At(before(12*time.Second + 10*time.Millisecond))}
	if typ == "Task" {
		s.Attempts = 1
	}
	for _, set := range more {
		set(&s)
	}
	return s
}

// tried is a step with several attempts, the last error of which is known.
func tried(attempts int, err, cause string) func(*adminapi.SagaStep) {
	return func(s *adminapi.SagaStep) { s.Attempts, s.Error, s.Cause = attempts, err, cause }
}

// undoing is a compensation.
func undoing(step string) func(*adminapi.SagaStep) {
	return func(s *adminapi.SagaStep) { s.Undoes = step }
}

// shown is an execution in a state, with its path.
func shown(status adminapi.SagaStatus, path []adminapi.SagaStep, more ...func(*adminapi.SagaShowAnswer)) adminapi.SagaShowAnswer {
	d := adminapi.SagaShowAnswer{Path: path, SagaExecution: adminapi.SagaExecution{
		Execution: fakeSaga, Status: status, StartedAt: task.At(before(3*time.Minute + time.Second)),
	}}
	if status != adminapi.SagaRunning {
		d.StoppedAt = task.At(before(2*time.Minute + 31*time.Second))
	}
	for _, set := range more {
		set(&d)
	}
	return d
}

// because is why an execution has failed.
func because(err, cause string) func(*adminapi.SagaShowAnswer) {
	return func(d *adminapi.SagaShowAnswer) { d.Error, d.Cause = err, cause }
}

func TestSagaShow(t *testing.T) {
	t.Parallel()
	const ok, failed, ended, running = adminapi.StepOK, adminapi.StepFailed, adminapi.StepEnded, adminapi.StepRunning
	booked := []adminapi.SagaStep{
		taken("Begin", "Pass", ok, 3), taken("Recovering", "Choice", ok, 1),
		taken("RecordBookHotel", "Task", ok, 40), taken("BookHotel", "Task", ok, 21240, tried(2, "States.Timeout", "")),
		taken("RecordBookFlight", "Task", ok, 40), taken("BookFlight", "Task", ok, 80),
		taken("RecordBookCar", "Task", ok, 40),
	}
	path := func(more ...adminapi.SagaStep) []adminapi.SagaStep {
		return append(booked[:len(booked):len(booked)], more...)
	}
	soldOut := taken("BookCar", "Task", failed, 110, tried(1, "sold_out", "car-1: none is\x1b[2J left"))
	flight, hotel := taken("CancelFlight", "Task", ok, 90, undoing("BookFlight")), taken("CancelHotel", "Task", ok, 90, undoing("BookHotel"))
	notUndone := taken("CancelHotel", "Task", failed, 3300, undoing("BookHotel"), tried(4, "errorString", "the hotel answers 503"))
	park := taken("ParkCancelHotel", "Task", ok, 30)
	for _, tt := range []struct {
		name   string
		args   []string
		answer adminapi.SagaShowAnswer
		want   string
		notes  string
	}{
		{
			"succeeded", nil,
			shown(adminapi.SagaSucceeded, path(taken("BookCar", "Task", ok, 70), taken("RecordSucceeded", "Task", ok, 40), taken("Succeeded", "Succeed", ok, 0))),
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
			shown(adminapi.SagaFailed,
				path(soldOut, flight, hotel, taken("Undone", "Choice", ok, 1), taken("RecordFailed", "Task", ok, 40), taken("Compensated", "Fail", ended, 2)),
				because("sold_out", "car-1: none is left")),
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
			shown(adminapi.SagaFailed,
				path(soldOut, flight, notUndone, park, taken("Undone", "Choice", ok, 1), taken("RecordCompensationFailed", "Task", ok, 40), taken("CompensationFailed", "Fail", ended, 2)),
				because("compensation_failed", "not undone: CancelHotel"),
				func(d *adminapi.SagaShowAnswer) { d.Parked.Parked = []adminapi.ParkedStep{parkedHotel()} }),
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
			shown(adminapi.SagaFailed, path(notUndone, park, taken("CompensationFailed", "Fail", ended, 2)), because("compensation_failed", "")),
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
			shown(adminapi.SagaFailed, []adminapi.SagaStep{notUndone, park}, func(d *adminapi.SagaShowAnswer) { d.Note = "try again" }),
			`
failed
began 3m01s ago, took 30s

  ! CancelHotel    3.3s  4 attempts  parked  errorString: the hotel answers 503
`, "try again",
		},
		{
			"running", nil,
			shown(adminapi.SagaRunning, path(taken("BookCar", "Task", running, 0, tried(3, "errorString", "busy")))),
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
			shown(adminapi.SagaAborted, append(booked[:3:3], taken("BookHotel", "Task", ended, 5010)), func(d *adminapi.SagaShowAnswer) { d.Cut = true }),
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
		{"nothing yet", nil, shown(adminapi.SagaRunning, nil), "\nrunning\nbegan 3m01s ago\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, only(tt.answer))
			ta := w.newOperator()
			if code := ta.play(t, append([]string{"saga", "show", fakeSaga}, tt.args...)...); code != exitOK {
				t.Errorf("exit %d", code)
			}
			w.wants("saga.show", `,"execution":"`+fakeSaga+`"`)
			if diff := cmp.Diff(fakeSaga+"  "+strings.TrimPrefix(tt.want, "\n"), ta.stdout.String()); diff != "" {
				t.Errorf("stdout (-want +got):\n%s", diff)
			}
			if tt.notes == "" && ta.stderr.String() != "" {
				t.Errorf("stderr: %s", ta.stderr)
			}
			mustContain(t, "stderr", ta.stderr.String(), tt.notes)
			ta = w.newOperator()
			if code := ta.play(t, "saga", "show", fakeSaga, "-o", "json"); code != exitOK || !json.Valid([]byte(ta.stdout.String())) {
				t.Errorf("exit %d: %s", code, ta.stdout)
			}
			ta = w.atTerminal("")
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
	w := newWire(t, only(shown(adminapi.SagaFailed, []adminapi.SagaStep{
		taken("BookHotel", "Task", adminapi.StepOK, 80), taken("BookCar", "Task", adminapi.StepFailed, 110),
		taken("CancelFlight", "Task", adminapi.StepOK, 90, undoing("BookFlight")), taken("CancelHotel", "Task", adminapi.StepFailed, 90, undoing("BookHotel")),
		taken("ParkCancelHotel", "Task", adminapi.StepOK, 90),
		taken("CancelTrain", "Task", adminapi.StepEnded, 90), taken("CancelShip", "Task", adminapi.StepRunning, 90),
	}, func(d *adminapi.SagaShowAnswer) { d.Cut, d.Parked.Parked = true, []adminapi.ParkedStep{parkedHotel()} })))
	for _, tt := range []struct {
		env  map[string]string
		want []string
		not  string
	}{
		{nil, []string{green + "✓" + reset + " BookHotel", red + "✗" + reset + " BookCar", yellow + "↩" + reset + " CancelFlight", red + "!" + reset + " CancelHotel", red + "■" + reset + " CancelTrain", "  … CancelShip", "⋮ and more"}, "+ BookHotel"},
		{map[string]string{"NO_COLOR": "1", "LANG": "de_DE.UTF-8"}, []string{"✓ BookHotel", "✗ BookCar", "↩ CancelFlight", "! CancelHotel"}, "\x1b"},
		{map[string]string{"NO_COLOR": "1", "LC_ALL": "C", "LANG": "de_DE.UTF-8"}, []string{"+ BookHotel", "x BookCar", "< CancelFlight", "! CancelHotel", "# CancelTrain", ". CancelShip", "  |\n", ": and more"}, "✓"},
	} {
		ta := w.atTerminal("")
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

// What an operator decides about a parked step reaches the real function.
func TestSagaByHand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		verb, question string
		reason         string // that has to be given
		code           int    // there is no engine that books: nothing can be run again
		want           string
	}{
		{"resume", "Run CancelHotel of " + fakeSaga + " again? [y/N]", "", exitFailed, "there is no execution " + fakeSaga},
		{"skip", "Leave what CancelHotel of " + fakeSaga + " was to undo? [y/N]", "it is paid", exitOK, "CancelHotel of " + fakeSaga + ": skipped (job "},
		{"done", "Has CancelHotel of " + fakeSaga + " been done by hand? [y/N]", "by telephone", exitOK, "CancelHotel of " + fakeSaga + ": done (job "},
	} {
		t.Run(tt.verb, func(t *testing.T) {
			t.Parallel()
			inCloud(t, func(c *cloud) {
				t := c.t
				c.park(fakeSaga)
				args := []string{"saga", tt.verb, fakeSaga, "CancelHotel"}
				line := "spillway saga " + tt.verb + " " + fakeSaga + " CancelHotel --yes"
				fields := `,"execution":"` + fakeSaga + `","step":"CancelHotel"`
				if tt.reason != "" {
					args = append(args, "--reason", " "+tt.reason+" ")
					line += " --reason '" + tt.reason + "'"
					fields += `,"reason":"` + tt.reason + `"`
				}
				ta := c.newOperator()
				c.run(ta, exitUsage, args...)
				mustContain(t, "stderr", ta.stderr.String(), "nothing was changed", line)
				ta = c.atTerminal("n\n")
				c.run(ta, exitFailed, args...)
				mustContain(t, "stderr", ta.stderr.String(), tt.question, "nothing was changed")
				if sent := c.sent(); len(sent) != 0 {
					t.Errorf("sent %v", sent)
				}
				ta = c.atTerminal("y\n")
				c.run(ta, tt.code, args...)
				mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want)
				c.wants("saga."+tt.verb, fields+byMe)
				if tt.code != exitOK {
					return
				}
				c.park(fakeSaga)
				ta = c.newOperator()
				c.run(ta, exitOK, append(args, "--yes", "-o", "json")...)
				if out := ta.stdout.String(); !json.Valid([]byte(out)) {
					t.Errorf("no JSON: %s", out)
				}
				ta = c.newOperator()
				c.run(ta, exitFailed, append(args, "--yes")...)
				mustContain(t, "stderr", ta.stderr.String(), "CancelHotel of "+fakeSaga+" is not parked", "(not_found)")
			})
		})
	}
}

func TestSagaIsResumed(t *testing.T) {
	t.Parallel()
	w := newWire(t, only(adminapi.SagaHandled{Execution: fakeSaga, Step: "CancelHotel", Outcome: adminapi.HandledResumed, JobID: "01JOB"}))
	ta := w.atTerminal("y\n")
	if code := ta.play(t, "saga", "resume", fakeSaga, "CancelHotel"); code != exitOK || ta.stdout.String() != "CancelHotel of "+fakeSaga+": resumed (job 01JOB)\n" {
		t.Errorf("exit %d: %s", code, ta.stdout)
	}
}

func TestSagaRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		code adminapi.Code
		want string
	}{
		{[]string{"ls"}, adminapi.CodeUnavailable, "try again"},
		{[]string{"resume", fakeSaga, "CancelHotel", "-y"}, adminapi.CodeCompensation, "the function says compensation_failed (compensation_failed)"},
		{[]string{"resume", fakeSaga, "CancelHotel", "-y"}, adminapi.CodeJobRunning, "one job at a time works on a queue"},
		{[]string{"skip", fakeSaga, "CancelHotel", "-y", "--reason", "x"}, adminapi.CodeUnknownCommand, "the stack is older than this program"},
	} {
		w := newWire(t, only(refusedAs(tt.code)))
		ta := w.newOperator()
		if code := ta.play(t, append([]string{"saga"}, tt.args...)...); code != exitFailed || ta.stdout.String() != "" {
			t.Errorf("%v: exit %d: %s", tt.args, code, ta.stdout)
		}
		mustContain(t, "stderr", ta.stderr.String(), tt.want)
		ta = w.newOperator()
		if code := ta.play(t, append([]string{"saga", "-o", "json"}, tt.args...)...); code != exitFailed {
			t.Errorf("%v: exit %d", tt.args, code)
		}
		mustContain(t, "stdout", ta.stdout.String(), `"code": "`+string(tt.code)+`"`)
	}
}
