package ddbfake

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// tooOld is how long ago a TTL may have ended: items whose TTL ended earlier
// are kept (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html).
const tooOld = 5 * 365 * 24 * time.Hour

// service is who removes items by TTL, in the stream
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html).
var service = &streams.Identity{Type: aws.String("Service"), PrincipalId: aws.String("dynamodb.amazonaws.com")}

// ExpireTTL removes the items of all tables whose TTL is over, as DynamoDB does
// within days, and returns how many.
func (d *DB) ExpireTTL() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, name := range slices.Sorted(maps.Keys(d.tables)) {
		t := d.tables[name]
		var over []Item
		for _, e := range t.main.entries {
			if t.expired(e.item) {
				over = append(over, e.item)
			}
		}
		for _, it := range over {
			d.commit(t, idOf(t, it), it, nil, service)
		}
		n += len(over)
	}
	return n
}

func (t *table) expired(it Item) bool {
	n, ok := it[t.TTL].(*types.AttributeValueMemberN)
	if !ok {
		return false
	}
	second, err := strconv.ParseFloat(n.Value, 64)
	age := time.Since(time.Unix(int64(second), 0))
	return err == nil && age >= 0 && age < tooOld
}

// Remove removes an item as TTL does, whether or not its time has come.
func (d *DB) Remove(table string, key Item) {
	t := d.table(&table)
	key = t.checkKey(key)
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := t.item(key); old != nil {
		d.commit(t, idOf(t, key), old, nil, service)
	}
}
