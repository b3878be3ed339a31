// Package expr evaluates DynamoDB's expressions on items in memory: what the
// doubles of this module's tables stand on. It knows conditions, filters, key
// conditions, updates and projections with map paths and most functions, and
// PartiQL updates of one item. It refuses loudly what it does not know. Errors are those of DynamoDB: an
// evaluation panics, and [Guard] makes a ValidationException of that.
package expr
