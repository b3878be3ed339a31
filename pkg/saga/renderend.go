package saga

import (
	"fmt"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/tasktable"
)

// sdkRetry and sdkTimeout are for the machine's own calls of DynamoDB and SQS,
// which are worth some patience: without them nobody hears how the saga ended.
var sdkRetry = Retry{Attempts: 8, Interval: time.Second, Rate: 2, Cap: 20 * time.Second}

const sdkTimeout = 10 // seconds

// conditionFailed has both spellings of the error: documentation and service
// differ.
var conditionFailed = []string{"DynamoDB.ConditionalCheckFailedException", "DynamoDb.ConditionalCheckFailedException"}

func rowKey() object { return object{{"id", object{{"S", x("$task_id")}}}} }

// update is a state that writes the task's row. values are the parameters that
// the write leaves open.
func update(e tasktable.External, values object, output any, onCondition, onError object, next string) object {
	names, params := object{}, object{{":run", object{{"N", x("$string($run)")}}}}
	for _, name := range sorted(e.Names) {
		names = append(names, field{name, e.Names[name]})
	}
	for _, name := range sorted(e.Values) {
		params = append(params, field{name, e.Values[name]})
	}
	state := object{
		{"Type", "Task"},
		{"Resource", "arn:${Partition}:states:::dynamodb:updateItem"},
		{"Arguments", object{
			{"TableName", "${TasksTableName}"},
			{"Key", rowKey()},
			{"UpdateExpression", e.Update},
			{"ConditionExpression", e.Condition},
			{"ExpressionAttributeNames", names},
			{"ExpressionAttributeValues", append(params, values...)},
		}},
		{"TimeoutSeconds", sdkTimeout},
	}
	return append(state,
		field{"Output", output},
		field{"Retry", []any{object{{"ErrorEquals", conditionFailed}, {"MaxAttempts", 0}}, retrier(sdkRetry, "States.ALL")}},
		field{"Catch", []any{onCondition, onError}},
		field{"Next", next},
	)
}

// record is the state before each stage: it writes how far the saga has come,
// and goes back when a cancel was requested. After the pivot it marks the row
// instead, so that a recovery knows which way to go, with the results so far.
func (r *renderer) record(stage int, st Stage) {
	progress := fmt.Sprintf(`{"done":%d,"total":%d,"note":"%s"}`, stage, len(r.Stages), stageName(st))
	values := object{{":progress", object{{"S", progress}}}}
	name, first := recordState(st), st.Steps[0].Name
	if stage > r.pivot() {
		values = append(values, field{":mark", object{{"S", x("$string($run) & ' ' & $string($results)")}}})
		stuck := append(caughtAs(first, notWritten, true), field{parkedVar(first), true})
		r.add(name, update(tasktable.ExternalMark(), values, object{},
			catcher(stuck, parkState(first), conditionFailed...), catcher(stuck, parkState(first), "States.ALL"), first))
		return
	}
	canceled := object{
		{"error", "canceled"}, {"message", "the task was canceled, or is no longer this run's"}, {"failed_step", stageName(st)}, {"retryable", false},
	}
	back := r.undo(stage - 1)
	r.add(name, update(tasktable.ExternalProgress(), values, object{},
		catcher(canceled, back, conditionFailed...), catcher(caughtAs(name, notWritten, true), back, "States.ALL"), stageName(st)))
}

// ends are the states that write how it ended, and the ends.
func (r *renderer) ends() {
	at := field{":at", object{{"N", x("$string($toMillis($states.context.State.EnteredTime))")}}}
	unrecorded := catcher(nil, "Unrecorded", "States.ALL")

	// The row is not this run's any more: a cancel or its deadline came before
	// the saga was seen to run. After the pivot that does not matter.
	overtaken := catcher(object{
		{"error", "canceled"}, {"message", "the task ended while its saga ran"}, {"failed_step", "RecordSucceeded"}, {"retryable", false},
	}, r.undo(len(r.Stages)-1), conditionFailed...)
	if r.pivot() < len(r.Stages) {
		overtaken = catcher(nil, "Succeeded", conditionFailed...)
	}
	r.add("RecordSucceeded", update(tasktable.ExternalSuccess(),
		object{at, {":result", object{{"S", x("$string($results)")}}}}, x("$results"), overtaken, unrecorded, "Succeeded"))
	r.add("Succeeded", object{{"Type", "Succeed"}})

	r.add("RecordFailed", update(tasktable.ExternalFailure(false),
		append(object{at}, r.failure("$error", "$message", "$retryable")...), object{},
		catcher(nil, "RecordCanceled", conditionFailed...), unrecorded, "Compensated"))
	r.add("RecordCanceled", update(tasktable.ExternalCancel(), object{at}, object{},
		catcher(nil, "Compensated", conditionFailed...), unrecorded, "Compensated"))
	r.add("Compensated", object{{"Type", "Fail"}, {"Error", x("$error")}, {"Cause", x("$message")}})

	stuck := func(record, end, code, what string) {
		message := "'" + what + ": ' & $join([" + r.parkedList() + "], ', ') & '; after ' & $failed_step & ': ' & $error & ', ' & $message"
		r.add(record, update(tasktable.ExternalFailure(true),
			append(object{at}, r.failure("'"+code+"'", "$substring("+message+", 0, 400)", "true")...), object{},
			catcher(nil, end, conditionFailed...), unrecorded, end))
		r.add(end, object{{"Type", "Fail"}, {"Error", code}, {"Cause", x(message)}})
	}
	if r.compensates() {
		stuck("RecordCompensationFailed", "CompensationFailed", "compensation_failed", "not undone")
	}
	if r.pivot()+1 < len(r.Stages) {
		stuck("RecordForwardFailed", "ForwardFailed", "forward_failed", "not done")
	}
	r.add("Unrecorded", object{{"Type", "Fail"}, {"Error", "task_not_updated"}, {"Cause", "the task's row could not be written; a recovery follows"}})
}

// failure are the parameters of a failed end.
func (r *renderer) failure(code, message, retryable string) object {
	failure := "{'code': " + code + ", 'message': " + message + ", 'retryable': " + retryable + "}"
	report := "{'code': " + code + ", 'message': " + message + ", 'execution': $key, 'step': $failed_step, 'not_undone': [" + r.parkedList() + "]}"
	// Readable, and the same for the same problem, as a fingerprint has to be.
	key := "'saga:' & $failed_step & ':' & $replace(" + code + ", /[^A-Za-z0-9_.]/, '_') & '#' & $string($toMillis($states.context.State.EnteredTime))"
	return object{
		{":error", object{{"S", x("$string(" + failure + ")")}}},
		{":failure", object{{"S", x("$string(" + report + ")")}}},
		{":shard", object{{"S", x(tasktable.FailureShardJSONata("$task_id"))}}},
		{":key", object{{"S", x(key)}}},
	}
}

func (r *renderer) parkedList() string {
	var parked []string
	for _, name := range r.parkable() {
		parked = append(parked, "$"+parkedVar(name)+" ? "+quoted(name))
	}
	return strings.Join(parked, ", ")
}
