package tasktable_test

import (
	"fmt"
	"strings"

	"github.com/spillway-go/spillway/pkg/tasktable"
)

// What a state machine writes of the task that started it, in the order in
// which it may.
func ExampleExternal() {
	for _, write := range []struct {
		name string
		tasktable.External
	}{
		{"how far it has come", tasktable.ExternalProgress()},
		{"that it cannot go back", tasktable.ExternalMark()},
		{"success", tasktable.ExternalSuccess()},
		{"failure, unless a cancel was requested", tasktable.ExternalFailure(false)},
		{"failure", tasktable.ExternalFailure(true)},
		{"the cancel that was requested", tasktable.ExternalCancel()},
	} {
		fmt.Printf("%s: heeds a cancel: %v\n", write.name, strings.Contains(write.Condition, "cancel_requested"))
	}
	fmt.Println(strings.HasPrefix(tasktable.FailureShardJSONata("$task_id"), "'failed#' & "))
	// Output:
	// how far it has come: heeds a cancel: true
	// that it cannot go back: heeds a cancel: false
	// success: heeds a cancel: false
	// failure, unless a cancel was requested: heeds a cancel: true
	// failure: heeds a cancel: false
	// the cancel that was requested: heeds a cancel: false
	// true
}
