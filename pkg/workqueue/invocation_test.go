package workqueue_test

import (
	"context"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// A record names the function, its version, the invocation and the trace, and a
// letter carries all of that. Not parallel: Lambda's names are the process's.
func TestRecordNamesTheFunction(t *testing.T) { //nolint:paralleltest // see above
	name, version := lambdacontext.FunctionName, lambdacontext.FunctionVersion
	t.Cleanup(func() { lambdacontext.FunctionName, lambdacontext.FunctionVersion = name, version })
	lambdacontext.FunctionName, lambdacontext.FunctionVersion = "worker", "42"
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: "req-1"})
	ctx = context.WithValue(ctx, "x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1") //nolint:staticcheck // as Lambda's runtime library has it
	record := workqueue.NewFailure(ctx, task.Failure{Code: "http_500", Message: "no"}, 3)
	letter, _ := workqueue.DeadLetter(&event.SQSMessage{MessageID: "m1", Body: "not ours"}, record, 0)
	got, err := workqueue.ParseFailure(*letter.Attributes["failure"].StringValue)
	if err != nil || got.Function != "worker" || got.Version != "42" || got.RequestID != "req-1" || got.TraceID != "1-5759e988-bd862e3fe1be46a994272793" ||
		got.Fingerprint == "" || got.Attempts != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}
