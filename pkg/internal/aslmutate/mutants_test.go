package aslmutate_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/internal/aslmutate"
)

const small = `{"QueryLanguage":"JSONata","StartAt":"Ask","States":{
	"Ask":{"Type":"Choice","Choices":[{"Condition":"{% $a and $b %}","Next":"Do"}],"Default":"End"},
	"Do":{"Type":"Task","Resource":"r","TimeoutSeconds":5,"Assign":{"a":true},"Next":"Both",
		"Retry":[{"ErrorEquals":["no"],"MaxAttempts":0},{"ErrorEquals":["States.ALL"],"MaxAttempts":2}],
		"Catch":[{"ErrorEquals":["no","never"],"Next":"End"},{"ErrorEquals":["States.ALL"],"Next":"Both"}]},
	"Both":{"Type":"Parallel","Branches":[{"StartAt":"In","States":{"In":{"Type":"Pass","Output":{"is":"done"},"End":true}}}],"Next":"End"},
	"End":{"Type":"Succeed"}}}`

// Each mutant is a change of its own, named once, and the next one starts from the
// machine as it was.
func TestMutants(t *testing.T) {
	t.Parallel()
	seen := map[string]string{normal(t, []byte(small)): "the machine itself"}
	var names []string
	for name, text := range aslmutate.Mutants([]byte(small)) {
		text := normal(t, text)
		if other := seen[text]; other != "" && !strings.Contains(name, "bypassed") {
			t.Errorf("%s is the same as %s", name, other)
		}
		seen[text] = name
		names = append(names, name)
	}
	for _, want := range []string{
		"TimeoutSeconds = 600", "StartAt = Do", "Do bypassed", "Do.Next = End", "Do.Next dropped", "Do.Assign.a dropped", "Do.Assign.a = false",
		"Ask.Default = Both", "Ask.Choices[0] and Default swapped", "Ask.Choices[0].Condition = {% $not($a and $b) %}", "Ask.Choices[0].Condition = {% $a or $b %}",
		"Do.Catch dropped", "Do.Catch[1] dropped", "Do.Catch[0] and [1] swapped", "Do.Catch[0].ErrorEquals[1] dropped", "Do.Catch[1].Next = Do",
		"Do.Retry[0].MaxAttempts = 2", "Do.Retry[1].MaxAttempts = 0", "Do.TimeoutSeconds dropped", "Both.Branches[0] dropped", "In.Output.is = refused", "In.End dropped",
	} {
		if !strings.Contains("\n"+strings.Join(names, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("there is no mutant %q", want)
		}
	}
	var again []string
	for name := range aslmutate.Mutants([]byte(small)) {
		if again = append(again, name); len(again) == 50 {
			break
		}
	}
	if diff := cmp.Diff(again, names[:50]); diff != "" {
		t.Errorf("the order changes (-second +first):\n%s", diff)
	}
}

func normal(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
