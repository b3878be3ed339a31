package asl_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/asl"
)

// pass is a machine that assigns and puts out what an expression yields.
func pass(expression string) string {
	text, err := json.Marshal("{% " + expression + " %}")
	if err != nil {
		panic(err)
	}
	return `{"QueryLanguage":"JSONata","StartAt":"A","States":{
		"A":{"Type":"Pass","Assign":{"a":"{% $states.input.a %}","list":["x"]},"Output":"{% $states.input %}","Next":"B"},
		"B":{"Type":"Succeed","Output":` + string(text) + `}}}`
}

func run(t *testing.T, definition, input string, do asl.Task) (string, *asl.Error) {
	t.Helper()
	m, err := asl.Parse([]byte(definition))
	if err != nil {
		t.Fatal(err)
	}
	var in any
	if err := json.Unmarshal([]byte(input), &in); err != nil {
		t.Fatal(err)
	}
	out, failure := m.Run(t.Context(), in, do)
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), failure
}

// Expressions yield what JSONata's exerciser (https://try.jsonata.org) does.
func TestExpressions(t *testing.T) {
	t.Parallel()
	const input = `{"a":"one","n":2,"yes":true,"deep":{"x":{"S":"v"}}}`
	for expression, want := range map[string]string{
		"$a":                                  `"one"`,
		"$states.input.deep.x.S":              `"v"`,
		"$states.input.n & '-' & $a":          `"2-one"`,
		"'x' & $states.input.missing":         `"x"`,
		"$states.input.n = 2":                 `true`,
		"$states.input.missing = 2":           `false`,
		"$exists($states.input.missing)":      `false`,
		"$not($states.input.yes) or $a = 'b'": `false`,
		"$states.input.yes and $a = 'one'":    `true`,
		"$states.input.yes ? 'y' : 'n'":       `"y"`,
		"[$a = 'x' ? 'left out', 'kept']":     `["kept"]`,
		"{'k': $a, 'none': $nothing}":         `{"k":"one"}`,
		"$merge([{'a': 1}, {'b': $a}])":       `{"a":1,"b":"one"}`,
		"$string({'a': 1})":                   `"{\"a\":1}"`,
		"$string('s')":                        `"s"`,
		"$join($list, ', ') & $join([], '')":  `"x"`,
		"$substring('añb', 1, 1)":             `"ñ"`,
		"$substring('abc', -1)":               `"c"`,
		"$substring('abc', 1, 400)":           `"bc"`,
		"$length('añb')":                      `3`,
		"$substringBefore('a-b-c', '-')":      `"a"`,
		"$substringBefore('abc', '-')":        `"abc"`,
		"$substringAfter('a-b-c', '-')":       `"b-c"`,
		"$contains('abc', 'b')":               `true`,
		"$replace('a b/c', /[^a-z]/, '_')":    `"a_b_c"`,
		"$toMillis('1970-01-01T00:00:01.5Z')": `1500`,
		"($c := 'x'; $d := $c & 'y'; $d)":     `"xy"`,
	} {
		if got, failure := run(t, pass(expression), input, nil); failure != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", expression, got, failure, want)
		}
	}
	for expression, want := range map[string]string{"$nothing": "has no value", "$join([1], '')": "$join of a float64", "$length(1)": "a text is wanted"} {
		if _, failure := run(t, pass(expression), input, nil); failure == nil || failure.Name != "States.QueryEvaluationError" || !strings.Contains(failure.Cause, want) {
			t.Errorf("%s: %v, want %q", expression, failure, want)
		}
	}
}

// What is not known is refused when the machine is parsed.
func TestRefused(t *testing.T) {
	t.Parallel()
	for definition, want := range map[string]string{
		pass("$sum([1])"):   "$sum is not known",
		pass("1 + 2"):       `"+ 2" is not known`,
		pass("$a $a"):       `"$a" is left over`,
		pass("$join([''])"): "$join has 1 arguments",
		pass("($a"):         `"" for ")"`,
		`{"QueryLanguage":"JSONPath","StartAt":"A","States":{}}`:                                         `query language "JSONPath"`,
		`{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass"}}}`:                       "a Pass state needs either Next or End",
		`{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Task","Next":"A","End":true}}}`: "a Task state needs either Next or End",
		`{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Choice","Next":"A"}}}`:          "a Choice state has neither Next nor End",
		`{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Map"}}}`:                        "a Map state is not known",
		`{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","ResultPath":"$.a"}}}`:    `unknown field "ResultPath"`,
	} {
		if _, err := asl.Parse([]byte(definition)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", definition, err, want)
		}
	}
}

// A Choice state fails with an error of its own if no rule matches, and with
// that of queries if a condition is no boolean.
func TestChoice(t *testing.T) {
	t.Parallel()
	const definition = `{"QueryLanguage":"JSONata","StartAt":"C","States":{
		"C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.go %}","Next":"S"}]},
		"S":{"Type":"Succeed","Output":"went"}}}`
	for input, want := range map[string]string{
		`{"go":true}`: "", `{"go":false}`: "States.NoChoiceMatched", `{"go":"true"}`: "States.QueryEvaluationError", `{}`: "States.QueryEvaluationError",
	} {
		out, failure := run(t, definition, input, nil)
		got := ""
		if failure != nil {
			got = failure.Name
		}
		if got != want || want == "" && out != `"went"` {
			t.Errorf("%s: %s, %v, want %q", input, out, failure, want)
		}
	}
}

// States.ALL stands for no error that ends the execution in any case.
func TestUncatchable(t *testing.T) {
	t.Parallel()
	const definition = `{"QueryLanguage":"JSONata","StartAt":"T","States":{
		"T":{"Type":"Task","Resource":"r","Catch":[{"ErrorEquals":["States.ALL"],"Next":"S"}],"End":true},
		"S":{"Type":"Succeed","Output":"caught"}}}`
	for name, caught := range map[string]bool{"States.TaskFailed": true, "States.Timeout": true, "States.DataLimitExceeded": false, "States.Runtime": false} {
		out, failure := run(t, definition, "1", func(context.Context, string, any) (any, *asl.Error) { return nil, &asl.Error{Name: name} })
		if (failure == nil) != caught || caught != (out == `"caught"`) {
			t.Errorf("%s: %s, %v, want it caught: %t", name, out, failure, caught)
		}
	}
}

const task = `{"QueryLanguage":"JSONata","StartAt":"T","States":{
	"T":{"Type":"Task","Resource":"r","Arguments":{"n":"{% $states.input %}"},"TimeoutSeconds":5,"Assign":{"got":"{% $states.result %}"},"Output":{},
		"Retry":[{"ErrorEquals":["never"],"MaxAttempts":0},{"ErrorEquals":["States.ALL"],"IntervalSeconds":1,"MaxAttempts":3,"BackoffRate":2,"MaxDelaySeconds":3}],
		"Catch":[{"ErrorEquals":["States.Timeout","bad"],"Assign":{"got":"{% $states.errorOutput.Error %}"},"Output":"caught","Next":"F"}],"Next":"S"},
	"S":{"Type":"Succeed","Output":"{% $got %}"},
	"F":{"Type":"Fail","Error":"{% $got %}","Cause":"{% $states.input %}"}}}`

// A task is tried again as its retriers say, then caught, and bounded by its
// time-out.
func TestTask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []float64
		answer := func(failures int, with *asl.Error, takes time.Duration) asl.Task {
			began, at = time.Now(), nil
			return func(ctx context.Context, _ string, arguments any) (any, *asl.Error) {
				at = append(at, time.Since(began).Seconds())
				timer := time.NewTimer(takes)
				defer timer.Stop()
				select {
				case <-ctx.Done():
				case <-timer.C:
				}
				if len(at) <= failures {
					return nil, with
				}
				return arguments, nil
			}
		}
		out, failure := run(t, task, "7", answer(2, &asl.Error{Name: "bad"}, 0))
		if failure != nil || out != `{"n":7}` || !cmp.Equal(at, []float64{0, 1, 3}) {
			t.Errorf("after two failures: %s, %v at %v", out, failure, at)
		}
		_, failure = run(t, task, "7", answer(9, &asl.Error{Name: "bad"}, 0))
		if failure == nil || *failure != (asl.Error{Name: "bad", Cause: "caught"}) || !cmp.Equal(at, []float64{0, 1, 3, 6}) {
			t.Errorf("of a task that fails: %v at %v", failure, at)
		}
		_, failure = run(t, task, "7", answer(9, &asl.Error{Name: "never"}, 0))
		if failure == nil || failure.Name != "never" || len(at) != 1 {
			t.Errorf("of an error that is not tried again: %v at %v", failure, at)
		}
		_, failure = run(t, task, "7", answer(0, nil, time.Minute))
		if failure == nil || failure.Name != "States.Timeout" || !cmp.Equal(at, []float64{0, 6, 13, 21}) {
			t.Errorf("of a task that takes too long: %v at %v", failure, at)
		}
	})
}

// The deployed definition is understood as a whole.
func TestTrip(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../infra/asl/trip.asl.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := asl.Parse(text); err != nil {
		t.Error(err)
	}
}
