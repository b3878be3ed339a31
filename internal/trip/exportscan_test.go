package trip_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}

// reserved is the nth reservation.
func reserved(n int) item {
	key := strconv.Itoa(n) + "-1"
	return item{
		"pk": text("reservation#" + key), "sk": text("BookHotel"), "item": text("hotel-1"), "quantity": number(1 + n%3),
		"traveler": text("Ada"), "confirmation": text("H-" + key), "task_id": text(strconv.Itoa(n)), "created_at": number(n),
	}
}

// stock and saga are what else the table holds.
func stock(n int) item {
	return item{"pk": text("item#hotel-" + strconv.Itoa(n)), "sk": text("stock"), "available": number(n)}
}

func saga(n int) item {
	return item{"pk": text("saga#" + strconv.Itoa(n)), "sk": text("BookHotel"), "state": text("done")}
}

// many is what make gives for 0 to n-1.
func many(n int, made func(int) item) []item {
	items := make([]item, n)
	for i := range items {
		items[i] = made(i)
	}
	return items
}

// shelf is a table that can be scanned, in the order of its items. It knows the
// one filter and projection of an export.
type shelf struct {
	items []item
	takes time.Duration // a Scan
	fails int           // so many Scans, from now on
	err   error         // that they fail with

	scans []*dynamodb.ScanInput
}

var errThrottled = errors.New("throttled: arn:aws:dynamodb:eu-central-1:123456789012:table/reservations")

func (s *shelf) Scan(ctx context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	s.scans = append(s.scans, in)
	if s.takes > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(s.takes):
		}
	}
	if s.fails > 0 {
		s.fails--
		return nil, s.err
	}
	begin := 0
	if in.ExclusiveStartKey != nil {
		for i, it := range s.items {
			if it["pk"].(*types.AttributeValueMemberS).Value == in.ExclusiveStartKey["pk"].(*types.AttributeValueMemberS).Value {
				begin = i + 1
			}
		}
	}
	out := &dynamodb.ScanOutput{}
	end := begin
	for ; end < len(s.items) && end-begin < int(aws.ToInt32(in.Limit)); end++ {
		it := s.items[end]
		if !strings.HasPrefix(it["pk"].(*types.AttributeValueMemberS).Value, in.ExpressionAttributeValues[":prefix"].(*types.AttributeValueMemberS).Value) {
			continue
		}
		projected := item{}
		for _, name := range strings.Split(*in.ProjectionExpression, ", ") {
			name = in.ExpressionAttributeNames[name]
			if v, ok := it[name]; ok {
				projected[name] = v
			}
		}
		out.Items = append(out.Items, projected)
	}
	// As DynamoDB does, also when the limit is reached with the last item.
	if end-begin == int(aws.ToInt32(in.Limit)) {
		out.LastEvaluatedKey = item{"pk": s.items[end-1]["pk"], "sk": s.items[end-1]["sk"]}
	}
	return out, nil
}
