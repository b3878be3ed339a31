package saga

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

// LedgerAPI is what a [Ledger] needs of DynamoDB.
type LedgerAPI interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

var _ LedgerAPI = (*dynamodb.Client)(nil)

// Ledger records which steps of which sagas were done and undone: an item for
// each, next to what the step writes, in the same transaction. The table has the
// keys pk and sk, both strings, and TTL on expires_at; the ledger's items have a
// pk that begins with "saga#". Safe for concurrent use.
type Ledger struct {
	client LedgerAPI
	table  string
	opts   LedgerOptions
}

// LedgerOptions tunes a [Ledger]. The zero value is ready to use.
type LedgerOptions struct {
	// Retention is how long a record is kept: longer than anybody resumes a
	// compensation, which SQS keeps for 14 days. Defaults to 30 days.
	Retention time.Duration
}

// NewLedger returns the ledger in a table.
func NewLedger(client LedgerAPI, table string, opts *LedgerOptions) *Ledger {
	l := &Ledger{client: client, table: table}
	if opts != nil {
		l.opts = *opts
	}
	if l.opts.Retention <= 0 {
		l.opts.Retention = 30 * 24 * time.Hour
	}
	return l
}

type item = map[string]types.AttributeValue

// state is what is known of a step.
type state string

const (
	absent  state = ""
	started state = "started" // outside: it may have been done
	done    state = "done"
	undone  state = "undone"  // or never done, and not to be done any more
	refused state = "refused" // by the business: never done, and not to be done any more
)

// record is a step in the ledger.
type record struct {
	state  state
	result string // JSON: what it answered when done, its failure when refused
	until  int64  // ms; until then whoever started it last may be at it
	// earlier is until when, in ms, those who started it before may be at it.
	earlier int64
}

// busy is until when somebody may be at the step, in ms.
func (r record) busy() int64 {
	switch r.state {
	case started:
		return r.until
	case done: // by whom it was started last
		return r.earlier
	default:
		return 0
	}
}

func recordOf(it item) record {
	s := func(name string) string {
		if v, ok := it[name].(*types.AttributeValueMemberS); ok {
			return v.Value
		}
		return ""
	}
	n := func(name string) (ms int64) {
		if v, ok := it[name].(*types.AttributeValueMemberN); ok {
			ms, _ = strconv.ParseInt(v.Value, 10, 64) // ours
		}
		return ms
	}
	return record{state: state(s("state")), result: s("result"), until: n("until"), earlier: n("earlier")}
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func (l *Ledger) key(saga, step string) item { return item{"pk": str("saga#" + saga), "sk": str(step)} }

func (l *Ledger) read(ctx context.Context, saga, step string) (record, error) {
	out, err := l.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &l.table, Key: l.key(saga, step), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return record{}, fmt.Errorf("read the record of %s: %w", step, err)
	}
	return recordOf(out.Item), nil
}

// move is the write that brings a step from one state to another. The failed
// condition returns the record that is in the way. A state with until is that
// one beginning of the step, not another that came after it.
func (l *Ledger) move(saga, step string, to, from record) types.TransactWriteItem {
	set, names := "SET #state = :to, expires_at = :expires", map[string]string{"#state": "state"}
	values := item{":to": str(string(to.state)), ":expires": num(time.Now().Add(l.opts.Retention).Unix())}
	if to.result != "" {
		set += ", #result = :result"
		values[":result"], names["#result"] = str(to.result), "result"
	}
	if to.until != 0 {
		set += ", #until = :until"
		values[":until"], names["#until"] = num(to.until), "until"
	}
	if to.earlier != 0 {
		set += ", earlier = :earlier"
		values[":earlier"] = num(to.earlier)
	}
	condition := "attribute_not_exists(pk)"
	if from.state != absent {
		condition = "#state = :from"
		values[":from"] = str(string(from.state))
	}
	if from.until != 0 {
		condition += " AND #until = :since"
		values[":since"], names["#until"] = num(from.until), "until"
	}
	return types.TransactWriteItem{Update: &types.Update{
		TableName: &l.table, Key: l.key(saga, step), UpdateExpression: &set, ConditionExpression: &condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}
}

// begin records that a step is started. Attempts may overlap, since a machine
// that has given up on one does not end it; so the record says until when the
// others may be at it.
func (l *Ledger) begin(ctx context.Context, saga, step string, until time.Time) (record, error) {
	mine := record{state: started, until: until.UnixMilli()}
	err := l.commit(ctx, l.move(saga, step, mine, record{}), nil)
	conflict, ok := errors.AsType[*conflictError](err)
	if !ok || conflict.now.state != started {
		return mine, err
	}
	if mine.earlier = conflict.now.until; mine.until <= mine.earlier {
		return mine, fmt.Errorf("another attempt may be at it, %s", untilText(mine.earlier))
	}
	return mine, l.commit(ctx, l.move(saga, step, mine, record{state: started, until: mine.earlier}), nil)
}

func untilText(ms int64) string { return "until " + time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// maxWrites is what a transaction can hold beside the record
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html).
const maxWrites = 99

// conflictError says that the record was not in a state that the write allows.
type conflictError struct{ now record }

func (e *conflictError) Error() string { return "the step is " + string(e.now.state) }

// Tries of a transaction that met another one, or a throttle: some two seconds
// in all, with full jitter.
const (
	maxTries  = 8
	firstWait = 25 * time.Millisecond
	maxWait   = 800 * time.Millisecond
)

// commit makes a step's move and its writes, all or none. A move that is refused
// is a [conflictError], whatever became of the writes.
func (l *Ledger) commit(ctx context.Context, move types.TransactWriteItem, writes []Write) error {
	if len(writes) > maxWrites {
		return fmt.Errorf("%d writes: a transaction holds %d and the step's record", len(writes), maxWrites)
	}
	items := []types.TransactWriteItem{move}
	for _, w := range writes {
		items = append(items, w.Item)
	}
	for try := 1; ; try++ {
		_, err := l.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
		canceled, ok := errors.AsType[*types.TransactionCanceledException](err)
		if err == nil || !ok {
			return err
		}
		again, err := refusal(ctx, canceled, writes)
		if !again || try == maxTries {
			return err
		}
		wait := rand.N(min(firstWait<<(try-1), maxWait)) + time.Millisecond
		if sleep.For(ctx, wait) != nil {
			return err
		}
	}
}

// refusal is why a transaction was canceled, and whether it is worth another
// try. The record goes first: of a step that was done, what the writes found is
// its own doing.
func refusal(ctx context.Context, canceled *types.TransactionCanceledException, writes []Write) (again bool, err error) {
	var refused error
	for i, reason := range canceled.CancellationReasons {
		switch code := aws.ToString(reason.Code); code {
		case "", "None":
		case "ConditionalCheckFailed":
			switch {
			case i == 0:
				return false, &conflictError{recordOf(reason.Item)}
			case refused == nil && i <= len(writes) && writes[i-1].Refused != nil:
				refused = writes[i-1].Refused(ctx)
			case refused == nil:
				refused = fmt.Errorf("the condition of write %d does not hold", i)
			}
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			again = true
		default:
			refused = fmt.Errorf("write %d: %s: %s", i, code, aws.ToString(reason.Message))
		}
	}
	if again {
		return true, fmt.Errorf("other transactions are in the way: %w", canceled)
	}
	if refused == nil {
		refused = canceled
	}
	return false, refused
}
