package tasktable

import (
	"encoding/json"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
)

// Attribute names of the row.
const (
	attrID          = "id"
	attrTenantShard = "tenant_shard"
	attrType        = "type"
	attrStatus      = "status"
	attrPriority    = "priority" // absent when normal
	attrRun         = "run"
	attrFence       = "fence"
	attrSettled     = "settled"
	attrOwner       = "owner"
	attrClaimableAt = "claimable_at"
	attrAttempts    = "attempts"
	attrReplays     = "replays" // absent when 0
	attrExpiresAt   = "expires_at"
	attrDeadline    = "deadline"
	attrStartedAt   = "started_at"
	attrFinishedAt  = "finished_at"
	attrInput       = "input"
	attrInputRef    = "input_ref"
	attrResult      = "result"
	attrResultRef   = "result_ref"
	attrError       = "error"
	attrProgress    = "progress"
	attrState       = "state"
	attrCancel      = "cancel_requested" // present only when requested
	attrCallbackURL = "callback_url"     // absent when there is none
	attrHistory     = "history"          // absent when no attempt of this run has failed
	attrPlanID      = "plan_id"          // present only when this run is a plan's replay
	attrMark        = "mark"             // present only when whoever completes a deferred task left one

	// Only what is failed or dead-lettered has these.
	attrFailure      = "failure"
	attrFailureShard = "failure_shard"
	attrFailureKey   = "failure_key"

	// Attributes of the other items.
	attrData    = "data"
	attrTaskID  = "task_id"
	attrPayload = "payload_hash"
)

type item = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num[N int | int64](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

func key(id string) item { return item{attrID: str(id)} }

// item returns the row as it is stored when it is created.
func (r *Row) item() item {
	it := item{
		attrID: str(r.ID), attrTenantShard: str(tenantShard(r.Tenant, r.ID)), attrType: str(r.Type),
		attrStatus: str(string(r.Status)), attrRun: num(r.Run), attrFence: num(r.Fence), attrSettled: num(r.Settled),
		attrClaimableAt: num(r.ClaimableAt), attrAttempts: num(r.Attempts), attrExpiresAt: num(r.ExpiresAt),
		attrDeadline: num(r.Deadline),
	}
	if r.Priority == task.Bulk {
		it[attrPriority] = str(string(r.Priority))
	}
	if r.CallbackURL != "" {
		it[attrCallbackURL] = str(r.CallbackURL)
	}
	if r.InputRef != "" {
		it[attrInputRef] = str(r.InputRef)
	} else {
		it[attrInput] = str(string(r.Input))
	}
	return it
}

// parseRow reads a stored item; nil for an item that is not a task.
func parseRow(it item) *Row {
	if len(it) == 0 || it[attrRun] == nil {
		return nil
	}
	r := &Row{
		ID: text(it, attrID), Tenant: tenantOf(text(it, attrTenantShard)), Type: text(it, attrType),
		Status: task.Status(text(it, attrStatus)), Priority: task.Normal, Run: int(number(it, attrRun)),
		Fence: number(it, attrFence), Settled: number(it, attrSettled), Owner: text(it, attrOwner),
		ClaimableAt: number(it, attrClaimableAt), Attempts: int(number(it, attrAttempts)),
		Replays: int(number(it, attrReplays)), ExpiresAt: number(it, attrExpiresAt),
		Deadline: number(it, attrDeadline), StartedAt: number(it, attrStartedAt), FinishedAt: number(it, attrFinishedAt),
		Input: raw(it, attrInput), InputRef: text(it, attrInputRef), Result: raw(it, attrResult),
		ResultRef: text(it, attrResultRef), State: raw(it, attrState), CancelRequested: it[attrCancel] != nil,
		CallbackURL: text(it, attrCallbackURL), PlanID: text(it, attrPlanID), Mark: text(it, attrMark), Report: raw(it, attrFailure),
		size: itemSize(it),
	}
	r.Fingerprint, _ = parseFailureKey(text(it, attrFailureKey))
	if p := text(it, attrPriority); p != "" {
		r.Priority = task.Priority(p)
	}
	if s := text(it, attrError); s != "" {
		r.Error = new(task.Failure)
		if json.Unmarshal([]byte(s), r.Error) != nil {
			r.Error = &task.Failure{Code: task.CodeHandlerError, Message: "the stored error cannot be read"}
		}
	}
	if s := text(it, attrProgress); s != "" {
		r.Progress = new(task.Advance)
		if json.Unmarshal([]byte(s), r.Progress) != nil {
			r.Progress = nil
		}
	}
	if s := text(it, attrHistory); s != "" && json.Unmarshal([]byte(s), &r.History) != nil {
		r.History = nil
	}
	return r
}

func text(it item, name string) string {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func raw(it item, name string) json.RawMessage {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return json.RawMessage(v.Value)
	}
	return nil
}

func number(it item, name string) int64 {
	if v, ok := it[name].(*types.AttributeValueMemberN); ok {
		if n, err := strconv.ParseInt(v.Value, 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// itemSize counts an item as DynamoDB does: UTF-8 bytes of names and strings,
// numbers at a byte for two digits plus one
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).
func itemSize(it item) int {
	total := 0
	for name, v := range it {
		total += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			total += len(v.Value)
		case *types.AttributeValueMemberN:
			total += (len(v.Value)+1)/2 + 1
		case *types.AttributeValueMemberB:
			total += len(v.Value)
		default:
			total++
		}
	}
	return total
}

// toJSON encodes values that cannot fail to encode.
func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a Failure, an Advance or a history: strings, numbers and times of this age only
	}
	return string(b)
}
