package ddbfake

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// maxStatements is how many statements a BatchExecuteStatement takes
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html).
const maxStatements = 25

// statement is an UPDATE of one item; broken is why it is none.
type statement struct {
	*write
	all    bool // the new item is wanted
	broken error
}

func (d *DB) statement(q types.BatchStatementRequest) (s statement) {
	s.broken = attempt(func() {
		var params []types.AttributeValue
		for _, v := range q.Parameters {
			params = append(params, expr.CanonicalValue(v))
		}
		parsed := expr.ParseStatement(aws.ToString(q.Statement), params, func(table string) []string { return d.table(&table).keyNames() })
		t := d.table(&parsed.Table)
		key := t.checkKey(parsed.Key)
		s.all = parsed.All
		s.write = &write{
			t: t, key: key, id: idOf(t, key), onFailure: q.ReturnValuesOnConditionCheckFailure,
			where:  func(old Item) bool { return old != nil && parsed.Where(old) }, // an UPDATE never creates
			change: func(old Item) Item { return parsed.Update.Apply(key, old) },
		}
	})
	return s
}

// BatchExecuteStatement runs up to 25 statements. One that fails says so in its
// own response; the others are not concerned.
func (d *DB) BatchExecuteStatement(ctx context.Context, in *dynamodb.BatchExecuteStatementInput, _ ...func(*dynamodb.Options)) (out *dynamodb.BatchExecuteStatementOutput, err error) {
	defer guard(&err)
	if n := len(in.Statements); n == 0 || n > maxStatements {
		expr.Fail("Member must have length less than or equal to 25, and at least 1")
	}
	all, keys, reads := make([]statement, len(in.Statements)), make([]Item, len(in.Statements)), 0
	seen := map[*table]map[string]bool{}
	for i, q := range in.Statements {
		if expr.ReadsOnly(aws.ToString(q.Statement)) {
			reads++
		}
		all[i] = d.statement(q)
		if s := all[i].write; s != nil {
			once(seen, s.t, s.id)
			keys[i] = s.key
		}
	}
	if reads > 0 && reads < len(all) {
		expr.Fail("Statements in a batch must be either all reads or all writes")
	}
	fault, err := d.enter(ctx, "BatchExecuteStatement", keys...)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	out = &dynamodb.BatchExecuteStatementOutput{Responses: make([]types.BatchStatementResponse, len(all))}
	var costs []charge
	for i, s := range all {
		r := &out.Responses[i]
		code, injected := fault.Statements[i]
		switch {
		case s.broken != nil:
			r.Error = statementError(s.broken)
		case injected:
			r.Error = &types.BatchStatementError{Code: code, Message: aws.String("injected")}
		default:
			err := d.refuse(s.write)
			if err == nil {
				var o outcome
				if o, err = d.apply(s.write); err == nil && s.all {
					r.Item = returned(types.ReturnValueAllNew, o)
				}
				costs = append(costs, o.cost...)
			}
			r.TableName, r.Error = &s.t.name, statementError(err)
		}
		if fault.NoItems {
			r.Item = nil
			if r.Error != nil {
				r.Error.Item = nil
			}
		}
	}
	out.ConsumedCapacity = consumed(in.ReturnConsumedCapacity, costs)
	if fault.Err != nil {
		return nil, fault.Err
	}
	return out, nil
}

// statementError is an error as one statement's response. Its codes are not
// those of the exceptions
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html).
func statementError(err error) *types.BatchStatementError {
	if err == nil {
		return nil
	}
	e := &types.BatchStatementError{Code: types.BatchStatementErrorCodeEnumValidationError, Message: aws.String(err.Error())}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Message = aws.String(api.ErrorMessage())
	}
	switch err := err.(type) { //nolint:errorlint // they are not wrapped
	case *types.ConditionalCheckFailedException:
		e.Code, e.Item = types.BatchStatementErrorCodeEnumConditionalCheckFailed, err.Item
	case *types.ProvisionedThroughputExceededException:
		e.Code = types.BatchStatementErrorCodeEnumProvisionedThroughputExceeded
	case *types.TransactionConflictException:
		e.Code = types.BatchStatementErrorCodeEnumTransactionConflict
	case *types.ResourceNotFoundException:
		e.Code = types.BatchStatementErrorCodeEnumResourceNotFound
	}
	return e
}
