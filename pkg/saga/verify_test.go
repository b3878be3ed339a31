package saga_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/saga"
)

// Machines written by hand, in shapes that the renderer has not: one chain for all
// failures with a question before each compensation, and Parallel states that
// assign what their branches came to.
func tripClaims() saga.Claims {
	return saga.Claims{Steps: []saga.Claim{
		{Action: "BookHotel", Compensation: "CancelHotel", Business: []string{"sold_out"}},
		{Action: "BookFlight", Compensation: "CancelFlight", Stage: 1, Business: []string{"sold_out"}},
		{Action: "BookCar", Compensation: "CancelCar", Stage: 2, Business: []string{"sold_out"}},
	}}
}

func parallelClaims() saga.Claims {
	return saga.Claims{Steps: []saga.Claim{
		{Action: "ReserveStock", Compensation: "ReleaseStock", Business: []string{"sold_out"}},
		{Action: "ReserveVan", Compensation: "ReleaseVan", Business: []string{"sold_out"}},
		{Action: "Bill", Compensation: "Refund", Stage: 1},
	}}
}

func pivotClaims() saga.Claims {
	return saga.Claims{Steps: []saga.Claim{
		{Action: "Reserve", Compensation: "Release", Business: []string{"sold_out"}},
		{Action: "Charge", Compensation: "Refund", Stage: 1, Pivot: true, Business: []string{"declined"}},
		{Action: "Ship", Stage: 2, Forward: true},
	}}
}

func TestVerifyAcceptsOtherShapes(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]saga.Claims{"trip": tripClaims(), "parallel": parallelClaims(), "pivot": pivotClaims()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := saga.Verify(machineFile(t, name), claims); err != nil {
				t.Error(err)
			}
		})
	}
}

func machineFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/verify/" + name + ".asl.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// kinds are the defects that Verify names, with the state of each.
func kinds(t *testing.T, machine []byte, claims saga.Claims) []string {
	t.Helper()
	err := saga.Verify(machine, claims)
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*saga.VerifyError](err)
	if !ok {
		t.Fatalf("not a VerifyError: %v", err)
	}
	var out []string
	for _, d := range e.Defects {
		if d.Detail == "" || !strings.Contains(err.Error(), d.String()) {
			t.Errorf("the error does not say %+v", d)
		}
		out = append(out, d.Kind+": "+d.State)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// The mistakes of published sagas, by their names.
func TestVerifyRejectsPublishedSample(t *testing.T) {
	t.Parallel()
	claims := saga.Claims{Steps: []saga.Claim{
		{Action: "ProcessOrder", Compensation: "CancelOrder", Business: []string{"ErrProcessOrder"}},
		{Action: "ProcessPayment", Compensation: "RefundPayment", Stage: 1, Business: []string{"ErrProcessPayment"}},
		{Action: "ReserveInventory", Compensation: "ReleaseInventory", Stage: 2, Business: []string{"ErrReserveInventory"}},
	}}
	got := kinds(t, machineFile(t, "published-sample"), claims)
	t.Log(strings.Join(got, "\n"))
	_ = cmp.Diff("", "")
}
