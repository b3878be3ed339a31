package tasktable

import (
	"strconv"
	"strings"

	"github.com/spillway-go/spillway/pkg/task"
)

// External is a write of a deferred task's row, in the words of DynamoDB's
// UpdateItem: for a state machine that writes it without a function in between.
// It is conditional on the run and not on the fence, since whoever completes a
// deferred task holds no lease, and accepts its own earlier write, so that it
// can be sent again after a lost answer. Values are as DynamoDB's JSON has them:
// {"S": "text"}, {"N": "1"}. Those that the writer has to add are said at each.
type External struct {
	Update    string
	Condition string
	Names     map[string]string
	Values    map[string]map[string]string
}

// open are the states in which a deferred task's end is still to come. It may
// be queued: the worker that started the state machine crashed before it wrote
// the deferral, or did not hear that it started.
var open = []task.Status{task.Queued, task.Running}

func external(set string, states []task.Status, more string) External {
	e := External{
		Update: "SET " + set, Names: map[string]string{"#run": attrRun, "#status": attrStatus},
		Values: map[string]map[string]string{},
	}
	var in []string
	for i, s := range states {
		name := ":in" + strconv.Itoa(i)
		e.Values[name] = map[string]string{"S": string(s)}
		in = append(in, "#status = "+name)
	}
	e.Condition = "#run = :run AND (" + strings.Join(in, " OR ") + ")" + more
	return e
}

// ExternalProgress stores how far a deferred task has come, and fails when a
// cancel was requested or the task has ended. To add: :run (N), :progress (S, a
// [task.Advance] as JSON).
func ExternalProgress() External {
	e := external("#progress = :progress", open, " AND attribute_not_exists(cancel_requested)")
	e.Names["#progress"] = attrProgress
	return e
}

// ExternalMark stores a mark beside the progress, which [Row.Mark] has; a
// cancel that was requested does not matter any more. To add: :run (N),
// :progress (S), :mark (S).
func ExternalMark() External {
	e := external("#progress = :progress, mark = :mark", open, "")
	e.Names["#progress"] = attrProgress
	return e
}

// ended is what every end sets. settled takes over the fence, so that no worker
// that still holds a claim can write after it.
const ended = "#status = :status, settled = fence, claimable_at = :never, finished_at = :at"

func externalEnd(to task.Status, set, more string) External {
	e := external(ended+set, append(open[:len(open):len(open)], to), more)
	e.Values[":status"] = map[string]string{"S": string(to)}
	e.Values[":never"] = map[string]string{"N": strconv.FormatInt(Never, 10)}
	return e
}

// ExternalSuccess ends a deferred task with its result; a cancel that was
// requested comes too late. To add: :run (N), :at (N, milliseconds), :result
// (S, JSON).
func ExternalSuccess() External {
	e := externalEnd(task.Succeeded, ", #result = :result", "")
	e.Names["#result"] = attrResult
	return e
}

// ExternalFailure ends a deferred task as failed, and lists it among the
// failures. It fails when a cancel was requested, unless that is to be
// overridden: then [ExternalCancel] is due. To add: :run (N), :at (N,
// milliseconds), :error (S, a [task.Failure] as JSON), :failure (S, JSON, what
// else is known), :shard (S, see [FailureShardJSONata]), :key (S: a fingerprint
// without # and /, a #, and the milliseconds of :at).
func ExternalFailure(override bool) External {
	more := " AND attribute_not_exists(cancel_requested)"
	if override {
		more = ""
	}
	e := externalEnd(task.Failed, ", #error = :error, failure = :failure, failure_shard = :shard, failure_key = :key", more)
	e.Names["#error"] = attrError
	if override { // the cancel is answered, and must not stop a retry of the task
		e.Update += " REMOVE cancel_requested"
	}
	return e
}

// ExternalCancel ends a deferred task as canceled. To add: :run (N), :at (N,
// milliseconds).
func ExternalCancel() External { return externalEnd(task.Canceled, "", "") }

// FailureShardJSONata is a JSONata expression for the :shard of a failed task,
// whose id is what the expression id gives.
func FailureShardJSONata(id string) string {
	const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // of which a ULID consists
	var table strings.Builder
	for _, c := range crockford {
		table.WriteString(shardOf(string(c)))
	}
	return "'" + string(task.Failed) + "#' & $substring('" + table.String() + "', $length($substringBefore('" + crockford + "', $substring(" + id + ", -1))), 1)"
}
