//go:build integration

package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/spillway-go/spillway/internal/localaws"
)

// patience bounds every wait.
const patience = 4 * time.Minute

// answer is what is read of the admin function's answers.
type answer struct {
	OK          bool           `json:"ok"`
	Code        string         `json:"code"`
	Message     string         `json:"message"`
	PlanID      string         `json:"plan_id"`
	Status      string         `json:"status"`
	Matched     int            `json:"matched"`
	Replay      int            `json:"replay"`
	Replayed    int            `json:"replayed"`
	Skipped     int            `json:"skipped"`
	Failed      int            `json:"failed"`
	Done        bool           `json:"done"`
	Complete    bool           `json:"complete"`
	Depth       int            `json:"depth"`
	InFlight    int            `json:"in_flight"`
	Groups      []group        `json:"groups"`
	Messages    []struct{}     `json:"messages"`
	Reasons     map[string]int `json:"reasons"`
	AtLeastOnce int            `json:"at_least_once"`
	Job         *job           `json:"job"`
}

type group struct {
	Code  string `json:"code"`
	Type  string `json:"type"`
	Count int    `json:"count"`
}

type job struct {
	Status   string         `json:"status"`
	Replayed int            `json:"replayed"`
	Skipped  int            `json:"skipped"`
	Failed   int            `json:"failed"`
	Hops     int            `json:"hops"`
	Done     bool           `json:"done"`
	Outcomes map[string]int `json:"outcomes"`
}

// call gives the admin function a command. An error means that the function
// died over it.
func call(ctx context.Context, fields map[string]any) (answer, error) {
	payload, err := json.Marshal(fields)
	if err != nil {
		return answer{}, err
	}
	out, err := stack.lambdas.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: aws.String(stack.out["AdminFunctionName"]), Payload: payload, InvocationType: types.InvocationTypeRequestResponse,
	}, func(o *lambda.Options) { o.RetryMaxAttempts = 1 })
	if err != nil {
		return answer{}, err
	}
	if out.FunctionError != nil {
		return answer{}, fmt.Errorf("%s: %s", *out.FunctionError, out.Payload)
	}
	var a answer
	if err := json.Unmarshal(out.Payload, &a); err != nil {
		return answer{}, fmt.Errorf("%w: %s", err, out.Payload)
	}
	return a, nil
}

// ask is call for a command that has to work.
func ask(t *testing.T, fields map[string]any) answer {
	t.Helper()
	a, err := call(t.Context(), fields)
	if err != nil || !a.OK {
		t.Fatalf("%v: %+v, %v", fields, a, err)
	}
	return a
}

// admins are the processes of the admin function.
func admins(t *testing.T) (found []localaws.Process) {
	t.Helper()
	all, err := stack.instance.Processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Function == stack.out["AdminFunctionName"] {
			found = append(found, p)
		}
	}
	return found
}

// workerRuns lets the worker take messages off the tasks queue and the backlog
// queue, or stops it.
func workerRuns(t *testing.T, on bool) {
	t.Helper()
	out, err := stack.lambdas.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(stack.out["WorkerFunctionName"])})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range out.EventSourceMappings {
		if _, err := stack.lambdas.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: &on}); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "Enabled", false: "Disabled"}[on]
		eventually(t, func() error {
			now, err := stack.lambdas.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: m.UUID})
			if err == nil && aws.ToString(now.State) != want {
				err = fmt.Errorf("the mapping is %s, not %s", aws.ToString(now.State), want)
			}
			return err
		})
	}
}

// eventually polls until check is content.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s: %v", patience, err)
		case <-time.After(time.Second):
		}
	}
}

// size is a number from the environment.
func size(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		t.Fatalf("%s=%s is no number above 0", name, text)
	}
	return n
}

// queueName is the name of the queue whose URL is an output of the stack.
func queueName(output string) string {
	return stack.out[output][strings.LastIndexByte(stack.out[output], '/')+1:]
}
