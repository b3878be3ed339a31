package saga_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/spillway-go/spillway/pkg/saga"
)

// What is wrong with one compensation of a machine as they are published.
func ExampleVerify() {
	machine, err := os.ReadFile("testdata/verify/published-sample.asl.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	err = saga.Verify(machine, saga.Claims{Steps: []saga.Claim{
		{Action: "ProcessOrder", Compensation: "CancelOrder", Stage: 0},
		{Action: "ProcessPayment", Compensation: "RefundPayment", Stage: 1},
		{Action: "ReserveInventory", Compensation: "ReleaseInventory", Stage: 2},
	}})
	if e, ok := errors.AsType[*saga.VerifyError](err); ok {
		for _, d := range e.Defects {
			if d.State == "RefundPayment" {
				fmt.Println(d.Kind)
			}
		}
	}
	// Output:
	// no catch-all
	// transient error not retried
	// throttle not retried
	// error not retried
	// compensation chain stops
}
