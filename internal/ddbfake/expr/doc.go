// Package expr evaluates DynamoDB's expressions on items in memory, and knows
// how DynamoDB counts, compares and stores values.
//
// It supports conditions, filters, key conditions, updates and projections with
// map paths and most functions, and PartiQL updates of one item. It refuses
// everything else. Errors are those of DynamoDB: parsing and evaluation panic,
// and [Guard] turns the panic into a ValidationException.
package expr
