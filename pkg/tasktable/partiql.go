package tasktable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

const (
	// maxStatements is DynamoDB's limit for one BatchExecuteStatement.
	maxStatements = 25
	// Statements that were throttled inside a 200 are tried this often; the
	// SDK does not retry them.
	statementTries = 6
	statementPause = 25 * time.Millisecond
)

// statement is one conditional update that can run alone, as UpdateItem, or
// among others in a batch. Both forms must say the same.
type statement struct {
	id     string
	sql    string // PartiQL; parameters in order
	params []types.AttributeValue
	update *dynamodb.UpdateItemInput
}

// answer is what became of a statement: row is the new row when it was done,
// the old one (nil if there is none) when its condition failed.
type answer struct {
	done bool
	row  *Row
	err  error
}

// execute runs statements, whose ids differ, and answers each of them. One
// statement is an UpdateItem; several share BatchExecuteStatement calls.
func (t *Table) execute(ctx context.Context, statements []statement) []answer {
	answers := make([]answer, len(statements))
	pending := make([]int, len(statements))
	for i := range pending {
		pending[i] = i
	}
	for try := 0; len(pending) > 0; try++ {
		if try > 0 {
			if err := pause(ctx, try); err != nil {
				break // the answers hold why each is still pending
			}
		}
		var again []int
		for start := 0; start < len(pending); start += maxStatements {
			chunk := pending[start:min(start+maxStatements, len(pending))]
			again = append(again, t.executeChunk(ctx, statements, chunk, answers)...)
		}
		if try+1 == statementTries {
			break
		}
		pending = again
	}
	return answers
}

// executeChunk answers the statements in chunk and returns those that are
// worth another try.
func (t *Table) executeChunk(ctx context.Context, statements []statement, chunk []int, answers []answer) []int {
	if len(chunk) == 1 {
		i := chunk[0]
		answers[i] = t.executeOne(ctx, statements[i])
		return nil // the SDK has retried
	}
	in := &dynamodb.BatchExecuteStatementInput{Statements: make([]types.BatchStatementRequest, len(chunk))}
	for n, i := range chunk {
		in.Statements[n] = types.BatchStatementRequest{
			Statement: &statements[i].sql, Parameters: statements[i].params,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}
	}
	out, err := t.client.BatchExecuteStatement(ctx, in)
	if err == nil && len(out.Responses) != len(chunk) {
		err = fmt.Errorf("%d answers to %d statements", len(out.Responses), len(chunk))
	}
	if err != nil {
		for _, i := range chunk {
			answers[i] = answer{err: fmt.Errorf("update task %s: %w", statements[i].id, err)}
		}
		return nil
	}
	var again []int
	for n, i := range chunk {
		r := out.Responses[n]
		switch {
		case r.Error == nil && len(r.Item) > 0:
			answers[i] = answer{done: true, row: parseRow(r.Item)}
		case r.Error == nil || r.Error.Code == types.BatchStatementErrorCodeEnumConditionalCheckFailed && len(r.Error.Item) == 0:
			// No item where one was asked for: the endpoint does not return
			// them, or there is none. UpdateItem tells which.
			answers[i] = t.executeOne(ctx, statements[i])
		case r.Error.Code == types.BatchStatementErrorCodeEnumConditionalCheckFailed:
			answers[i] = answer{row: parseRow(r.Error.Item)}
		default:
			answers[i] = answer{err: &StatementError{ID: statements[i].id, Code: string(r.Error.Code), Message: aws.ToString(r.Error.Message)}}
			if transient(r.Error.Code) {
				again = append(again, i)
			}
		}
	}
	return again
}

func (t *Table) executeOne(ctx context.Context, s statement) answer {
	s.update.TableName, s.update.Key = &t.name, key(s.id)
	s.update.ReturnValues = types.ReturnValueAllNew
	s.update.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	out, err := t.client.UpdateItem(ctx, s.update)
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed):
		return answer{row: parseRow(failed.Item)}
	case err != nil:
		return answer{err: fmt.Errorf("update task %s: %w", s.id, err)}
	default:
		return answer{done: true, row: parseRow(out.Attributes)}
	}
}

// transient reports whether a statement that failed inside a 200 may succeed
// when it is sent again.
func transient(code types.BatchStatementErrorCodeEnum) bool {
	switch code {
	case types.BatchStatementErrorCodeEnumProvisionedThroughputExceeded, types.BatchStatementErrorCodeEnumRequestLimitExceeded,
		types.BatchStatementErrorCodeEnumThrottlingError, types.BatchStatementErrorCodeEnumInternalServerError,
		types.BatchStatementErrorCodeEnumTransactionConflict:
		return true
	default:
		return false
	}
}

// StatementError is a statement that failed inside a batch which succeeded.
type StatementError struct {
	ID      string // of the task
	Code    string // of BatchStatementError, for example ThrottlingError
	Message string
}

func (e *StatementError) Error() string {
	return fmt.Sprintf("update task %s: %s: %s", e.ID, e.Code, e.Message)
}

// pause waits before another try: full jitter, doubling.
func pause(ctx context.Context, try int) error {
	return sleep.For(ctx, rand.N(statementPause<<try))
}
