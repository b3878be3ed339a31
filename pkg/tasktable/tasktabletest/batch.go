package tasktabletest

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/internal/ddbfake"
)

const (
	maxStatements = 25
	maxKeys       = 100
)

// BatchExecuteStatement implements [tasktable.API]. A statement that fails
// says so in its own response; the others are not concerned.
func (d *DynamoDB) BatchExecuteStatement(ctx context.Context, in *dynamodb.BatchExecuteStatementInput, _ ...func(*dynamodb.Options)) (out *dynamodb.BatchExecuteStatementOutput, err error) {
	defer ddbfake.Guard(&err)
	if n := len(in.Statements); n == 0 || n > maxStatements {
		ddbfake.Fail("Member must have length less than or equal to 25, and at least 1")
	}
	parsed, broken := make([]statement, len(in.Statements)), make([]error, len(in.Statements))
	ids, seen := make([]string, len(in.Statements)), map[string]bool{}
	for i, s := range in.Statements {
		parsed[i], broken[i] = parseStatement(aws.ToString(s.Statement), s.Parameters)
		ids[i] = parsed[i].id
		if ids[i] != "" && seen[ids[i]] {
			ddbfake.Fail("Provided list of item keys contains duplicates")
		}
		seen[ids[i]] = true
	}
	fault, err := d.enter(ctx, "BatchExecuteStatement", ids...)
	if err != nil {
		return nil, err
	}
	out = &dynamodb.BatchExecuteStatementOutput{Responses: make([]types.BatchStatementResponse, len(parsed))}
	for i, s := range parsed {
		switch code, throttled := fault.Statements[s.id]; {
		case broken[i] != nil:
			out.Responses[i] = refused(broken[i])
		case throttled:
			out.Responses[i].Error = &types.BatchStatementError{Code: code, Message: aws.String("injected")}
		default:
			out.Responses[i] = d.executeStatement(ctx, s, in.Statements[i].ReturnValuesOnConditionCheckFailure)
		}
		if fault.NoItems {
			out.Responses[i].Item = nil
			if e := out.Responses[i].Error; e != nil {
				e.Item = nil
			}
		}
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	return out, nil
}

// statement is an UPDATE of the item with this id.
type statement struct {
	ddbfake.Statement
	id string
}

func parseStatement(sql string, params []types.AttributeValue) (s statement, err error) {
	defer ddbfake.Guard(&err)
	s.Statement = ddbfake.ParseStatement(sql, params, keyName)
	s.id = keyOf(item{keyName: s.Key})
	return s, nil
}

func (d *DynamoDB) executeStatement(ctx context.Context, s statement, onFailure types.ReturnValuesOnConditionCheckFailure) (r types.BatchStatementResponse) {
	var err error
	var it item
	func() {
		defer ddbfake.Guard(&err)
		exists := func(old item) bool { return old != nil && s.Where(old) } // an UPDATE never creates
		it, err = d.write(ctx, s.id, exists, onFailure, func(old item) item { return applied(s.Update, s.id, old) })
	}()
	if err != nil {
		return refused(err)
	}
	if s.All {
		r.Item = it
	}
	return r
}

// refused is an error as one statement's response.
func refused(err error) types.BatchStatementResponse {
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return types.BatchStatementResponse{Error: &types.BatchStatementError{
			Code: types.BatchStatementErrorCodeEnumConditionalCheckFailed, Message: failed.Message, Item: failed.Item,
		}}
	}
	var api smithy.APIError
	message := err.Error()
	if errors.As(err, &api) {
		message = api.ErrorMessage()
	}
	return types.BatchStatementResponse{Error: &types.BatchStatementError{
		Code: types.BatchStatementErrorCodeEnumValidationError, Message: &message,
	}}
}
