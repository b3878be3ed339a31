package memstack_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/spillway-go/spillway/internal/memstack"
)

// The name of an execution is taken for 90 days after its end; while it runs,
// the same input is answered as the same execution
// (https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html).
func TestLimitExecutionName(t *testing.T) {
	inBubble(t, memstack.Options{HoldSagas: true}, func(t *testing.T, s *memstack.Stack) {
		states := sfn.NewFromConfig(s.Config())
		start := func(input string) (*sfn.StartExecutionOutput, error) {
			return states.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String("arn:aws:states:eu-central-1:123456789012:stateMachine:spillway-TripSaga"), Name: aws.String("a"), Input: &input})
		}
		first, err := start(`{"n":1}`)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := start(`{"n":1}`); err != nil || *again.ExecutionArn != *first.ExecutionArn || !again.StartDate.Equal(*first.StartDate) {
			t.Errorf("the same input: %+v, %v", again, err)
		}
		refused := func(input string) bool {
			_, err := start(input)
			_, exists := errors.AsType[*types.ExecutionAlreadyExists](err)
			return exists
		}
		if !refused(`{"n":2}`) {
			t.Error("another input is taken")
		}
		s.Machine.End("a", types.ExecutionStatusSucceeded, `{"ok":true}`)
		if !refused(`{"n":1}`) {
			t.Error("the name of an execution that has ended is taken")
		}
		out, err := states.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: first.ExecutionArn})
		if err != nil || out.Status != types.ExecutionStatusSucceeded || aws.ToString(out.Output) != `{"ok":true}` || time.Until(*out.StopDate).Abs() > time.Minute {
			t.Errorf("got %+v, %v", out, err)
		}
	})
}
