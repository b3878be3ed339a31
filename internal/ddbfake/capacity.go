package ddbfake

import (
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// Bytes of a unit, and what one partition takes in a second
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html,
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html).
const (
	readUnit        = 4 << 10
	writeUnit       = 1 << 10
	partitionReads  = 3000
	partitionWrites = 1000
)

// Units are capacity units: a read unit is a strongly consistent read of 4 KB,
// a write unit a write of 1 KB.
type Units struct{ Read, Write float64 }

func (u Units) plus(other Units) Units { return Units{u.Read + other.Read, u.Write + other.Write} }

func (u Units) times(factor float64) Units { return Units{u.Read * factor, u.Write * factor} }

// Units returns what requests have consumed of a table, by the name of the
// index; of the table itself under "".
func (d *DB) Units(table string) map[string]Units {
	t := d.table(&table)
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string]Units{}
	for index, u := range t.units {
		all[index] = u
	}
	return all
}

// ResetUnits makes [DB.Units] count from 0 again, for all tables.
func (d *DB) ResetUnits() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tables {
		clear(t.units)
	}
}

// charge is what a request consumes of one partition of a view.
type charge struct {
	t     *table
	v     *view
	hash  string
	units Units
}

// roundedUp is bytes in units, at least one.
func roundedUp(bytes, unit int) float64 { return float64(max((bytes+unit-1)/unit, 1)) }

// reading is what a read of so many bytes consumes.
func reading(bytes int, consistent bool) Units {
	u := Units{Read: roundedUp(bytes, readUnit)}
	if !consistent {
		u.Read /= 2
	}
	return u
}

// writing is what a write consumes of the table and of each index: the larger
// of the item before and after; and of an index the entry that goes, and the
// one that comes, or one for a change of what it projects.
func (t *table) writing(key Item, o outcome) []charge {
	all := []charge{{t, t.main, expr.Sortable(key[t.Hash.Name]), Units{Write: roundedUp(max(expr.Size(o.old), expr.Size(o.now)), writeUnit)}}}
	for _, v := range t.indexes {
		was, wasHere := v.place("", o.old)
		is, isHere := v.place("", o.now)
		before, after := v.entry(o.old), v.entry(o.now)
		switch {
		case wasHere && isHere && was == is:
			if !reflect.DeepEqual(before, after) {
				all = append(all, charge{t, v, is.hash, Units{Write: roundedUp(max(expr.Size(before), expr.Size(after)), writeUnit)}})
			}
			continue
		case wasHere:
			all = append(all, charge{t, v, was.hash, Units{Write: roundedUp(expr.Size(before), writeUnit)}})
		}
		if isHere {
			all = append(all, charge{t, v, is.hash, Units{Write: roundedUp(expr.Size(after), writeUnit)}})
		}
	}
	return all
}

// times multiplies charges: transactions cost twice.
func times(all []charge, factor float64) []charge {
	for i := range all {
		all[i].units = all[i].units.times(factor)
	}
	return all
}

// bucket is what is left of a partition's second.
type bucket struct {
	left Units
	at   time.Time
}

// afford counts charges, or refuses all of them because a partition has no
// units left. mu must be held.
func (d *DB) afford(all ...charge) error {
	for _, c := range all {
		if !d.opts.PartitionLimits {
			break
		}
		if b := c.bucket(); c.units.Read > 0 && b.left.Read <= 0 || c.units.Write > 0 && b.left.Write <= 0 {
			return throttled()
		}
	}
	for _, c := range all {
		if d.opts.PartitionLimits {
			b := c.bucket()
			b.left = b.left.plus(c.units.times(-1))
		}
		c.t.units[c.v.index] = c.t.units[c.v.index].plus(c.units)
	}
	return nil
}

// bucket returns the partition's bucket, filled up to now. A request may take
// more than is left, and the partition then has less for later ones.
func (c charge) bucket() *bucket {
	now, full := time.Now(), Units{partitionReads, partitionWrites}
	name := c.v.index + "\x00" + c.hash
	b := c.t.buckets[name]
	if b == nil {
		b = &bucket{full, now}
		c.t.buckets[name] = b
	}
	b.left = b.left.plus(full.times(now.Sub(b.at).Seconds()))
	b.left = Units{min(b.left.Read, full.Read), min(b.left.Write, full.Write)}
	b.at = now
	return b
}

func throttled() error {
	return &types.ProvisionedThroughputExceededException{Message: aws.String("The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API.")}
}

// consumed is what a request answers about its charges, by table.
func consumed(want types.ReturnConsumedCapacity, all []charge) []types.ConsumedCapacity {
	if want == "" || want == types.ReturnConsumedCapacityNone {
		return nil
	}
	var out []types.ConsumedCapacity
	at := map[*table]int{}
	for _, c := range all {
		i, known := at[c.t]
		if !known {
			i = len(out)
			at[c.t] = i
			out = append(out, types.ConsumedCapacity{TableName: &c.t.name, CapacityUnits: aws.Float64(0)})
			if want == types.ReturnConsumedCapacityIndexes {
				out[i].Table = &types.Capacity{CapacityUnits: aws.Float64(0)}
			}
		}
		n := c.units.Read + c.units.Write
		*out[i].CapacityUnits += n
		switch {
		case want != types.ReturnConsumedCapacityIndexes:
		case c.v.index == "":
			*out[i].Table.CapacityUnits += n
		default:
			if out[i].GlobalSecondaryIndexes == nil {
				out[i].GlobalSecondaryIndexes = map[string]types.Capacity{}
			}
			n += aws.ToFloat64(out[i].GlobalSecondaryIndexes[c.v.index].CapacityUnits)
			out[i].GlobalSecondaryIndexes[c.v.index] = types.Capacity{CapacityUnits: &n}
		}
	}
	return out
}

// consumedOne is [consumed] of a request for one table.
func consumedOne(want types.ReturnConsumedCapacity, all []charge) *types.ConsumedCapacity {
	if out := consumed(want, all); len(out) > 0 {
		return &out[0]
	}
	return nil
}
