// Package memstack is the whole stack in memory: the functions' real Setup, on
// the SDK's own clients, whose transport answers from a DynamoDB, SQS, S3 and
// the rest in memory. Tables, queues, functions, variables, time-outs, mappings
// and routes are those of template.yaml.
//
//	synctest.Test(t, func(t *testing.T) {
//		s := memstack.New(t, memstack.Options{})
//		task, err := s.Client("AIDATENANT").Submit(t.Context(), client.SubmitRequest{Type: "trips.export", Input: json.RawMessage(`{}`)})
//		...
//		s.Await("the task ends", func() bool { ... })
//	})
//
// It must be used inside of a [testing/synctest] bubble: mappings poll, delays
// and time-outs pass and Lambda retries in its virtual time, so a day costs
// milliseconds. Everything ends with the test.
//
// # Lambda
//
// An execution environment runs a function's Setup once and is called by one
// invocation at a time. What a process that is killed or timed out calls
// afterwards fails without an effect, so that a kill is as good as on AWS. A
// call that is made between invocations, when Lambda would have frozen the
// environment, fails the test, and so does a goroutine that is still there.
// docs/limits.md has the limits that the stack enforces.
//
// # Faults
//
// [Stack.Inject] throttles, breaks and loses calls, or kills the process that
// makes them; [Stack.Kill] kills at the nth, [Stack.Lose] loses its answer. The
// implementations in memory have faults of their own beside it.
//
// # Sagas
//
// The deployed state machine runs as well, by package asl, with the steps'
// functions. [Options.HoldSagas] leaves the ends of executions to the test.
//
// # What it is not
//
// Roles are not enforced, API Gateway neither authorizes nor throttles, and
// nothing of CloudFormation, KMS, X-Ray and CloudWatch is there. An operation
// that the stack does not know fails the test.
package memstack
