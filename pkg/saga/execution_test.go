package saga_test

import (
	"fmt"
	"testing"

	"github.com/spillway-go/spillway/pkg/saga"
)

func TestKeyOf(t *testing.T) {
	t.Parallel()
	for execution, want := range map[string]string{
		"t-2": "t-2", "t-2-recover-1": "t-2", "t-2-recover-17": "t-2", "t-2-recover-": "t-2-recover-", "t-2-recover-x": "t-2-recover-x",
		"t-2-recover-99999999999999999999": "t-2-recover-99999999999999999999", "": "", "-recover-1": "",
	} {
		if got := saga.KeyOf(execution); got != want {
			t.Errorf("%q is about %q, want %q", execution, got, want)
		}
	}
}

func TestCompensationCallRefuses(t *testing.T) {
	t.Parallel()
	for _, input := range []string{``, `{`, `{}`, `{"task_id":"t"}`, `{"task_id":"t","run":0}`, `{"run":1}`, `{"task_id":"t","run":"1"}`} {
		if call, err := saga.CompensationCall(input, "CancelHotel", "BookHotel"); err == nil {
			t.Errorf("%s makes %s", input, call)
		}
	}
}

// What somebody needs who looks after the executions of a saga.
func ExampleKeyOf() {
	const recovery = "01JD8Z9X6S6Y1T5Q9W3V7R2K4M-1-recover-2"
	fmt.Println(saga.ExecutionARN("arn:aws:states:eu-west-1:111122223333:stateMachine:trip", saga.KeyOf(recovery)))
	// Output: arn:aws:states:eu-west-1:111122223333:execution:trip:01JD8Z9X6S6Y1T5Q9W3V7R2K4M-1
}

// A compensation that failed for good is run again with what the machine would
// call it with.
func ExampleCompensationCall() {
	call, err := saga.CompensationCall(`{"task_id":"t","run":2,"input":{"of":"tea"}}`, "CancelHotel", "BookHotel")
	fmt.Println(string(call), err)
	// Output: {"task_id":"t","run":2,"key":"t-2","step":"CancelHotel","action":"BookHotel","input":{"of":"tea"}} <nil>
}

// Who a call is for can be read by what is put around a step.
func ExampleKeyOfCall() {
	fmt.Println(saga.KeyOfCall([]byte(`{"task_id":"t","run":2,"key":"t-2","step":"BookHotel","input":{"of":"tea"}}`)))
	fmt.Printf("%q\n", saga.KeyOfCall([]byte(`no call`)))
	// Output:
	// t-2
	// ""
}
