package trip

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// StockAPI is what a [Stock] needs of DynamoDB.
type StockAPI interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

var _ StockAPI = (*dynamodb.Client)(nil)

// Stock is how much there is of what trips book. Safe for concurrent use.
type Stock struct {
	client StockAPI
	table  string
}

// NewStock returns the stock in a reservations table.
func NewStock(client StockAPI, table string) *Stock { return &Stock{client: client, table: table} }

// Item is one thing of the stock.
type Item struct {
	ID        string `json:"id"`
	Available int    `json:"available"`
}

// MaxItems bounds how many items are put, and how many are answered.
const MaxItems = 100

// Put sets how much there is of items, whatever there was. Reservations stay.
func (s *Stock) Put(ctx context.Context, items []Item) error {
	for _, i := range items {
		it := stockKey(i.ID)
		it["available"] = num(int64(i.Available))
		if _, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: it}); err != nil {
			return fmt.Errorf("put %s: %w", i.ID, err)
		}
	}
	return nil
}

// Get reads items, strongly consistent; those that there are not are left out.
func (s *Stock) Get(ctx context.Context, ids []string) ([]Item, error) {
	var found []Item
	for _, id := range ids {
		out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: stockKey(id), ConsistentRead: aws.Bool(true)})
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", id, err)
		}
		if i, ok := stockItem(out.Item); ok {
			found = append(found, i)
		}
	}
	return found, nil
}

// maxPages bounds a look through the table, which holds reservations as well.
const maxPages = 50

// All reads items in order of their ids, strongly consistent, and reports
// whether these are all.
func (s *Stock) All(ctx context.Context) (items []Item, all bool, err error) {
	var from item
	for range maxPages {
		out, err := s.client.Scan(ctx, &dynamodb.ScanInput{
			TableName: &s.table, ExclusiveStartKey: from, ConsistentRead: aws.Bool(true),
			FilterExpression: aws.String("sk = :stock"), ExpressionAttributeValues: item{":stock": str(stockSort)},
		})
		if err != nil {
			return nil, false, fmt.Errorf("list the stock: %w", err)
		}
		for _, it := range out.Items {
			if i, ok := stockItem(it); ok {
				items = append(items, i)
			}
		}
		if from = out.LastEvaluatedKey; len(from) == 0 {
			all = true
			break
		}
	}
	slices.SortFunc(items, func(a, b Item) int { return strings.Compare(a.ID, b.ID) })
	if len(items) > MaxItems {
		return items[:MaxItems], false, nil
	}
	return items, all, nil
}

const (
	stockPrefix       = "item#"
	stockSort         = "stock"
	reservationPrefix = "reservation#"
)

func stockItem(it item) (Item, bool) {
	id, ok := it["pk"].(*types.AttributeValueMemberS)
	n, isNumber := it["available"].(*types.AttributeValueMemberN)
	if !ok || !isNumber {
		return Item{}, false
	}
	available, err := strconv.Atoi(n.Value)
	return Item{ID: strings.TrimPrefix(id.Value, stockPrefix), Available: available}, err == nil
}

func stockKey(id string) item { return item{"pk": str(stockPrefix + id), "sk": str(stockSort)} }

func reservationKey(saga, step string) item {
	return item{"pk": str(reservationPrefix + saga), "sk": str(step)}
}

type item = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
