package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// partition is where the faults are in the table, each under its target, and
// under target#execution if it is limited to one.
const partition = "chaos"

// Attributes of the table.
const (
	attrPartition = "pk"
	attrSort      = "sk"
	attrSetting   = "set_id"
	attrFault     = "fault"
	attrRate      = "rate"
	attrTimesLeft = "times_left"
	attrHits      = "hits" // a nonce for each call that was hit
	attrLatency   = "latency"
	attrEndsAt    = "ends_at"    // ms
	attrExpires   = "expires_at" // TTL, seconds: not before ends_at
	attrBy        = "set_by"
)

type item = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func keyOf(t Target, execution string) item {
	sort := string(t)
	if execution != "" {
		sort += "#" + execution
	}
	return item{attrPartition: str(partition), attrSort: str(sort)}
}

// cutKey is what a sort key was made of.
func cutKey(sort string) (t Target, execution string) {
	name, execution, _ := strings.Cut(sort, "#")
	return Target(name), execution
}

func (a *Active) item() item {
	it := keyOf(a.Target, a.Execution)
	it[attrSetting], it[attrFault] = str(a.id), str(string(a.Fault))
	it[attrEndsAt], it[attrExpires] = num(a.Until.UnixMilli()), num(a.Until.Unix()+1)
	if a.Rate > 0 {
		it[attrRate] = &types.AttributeValueMemberN{Value: strconv.FormatFloat(a.Rate, 'f', -1, 64)}
	} else {
		it[attrTimesLeft] = num(int64(a.TimesLeft))
	}
	if a.Latency > 0 {
		it[attrLatency] = str(a.Latency.String())
	}
	if a.By != "" {
		it[attrBy] = str(a.By)
	}
	return it
}

// decode reads an item. One that another version wrote in another form is an
// error, and so injects nothing.
func decode(it item) (*Active, error) {
	r := reader{it: it}
	target, execution := cutKey(r.text(attrSort))
	a := &Active{
		Target: target, Execution: execution, Fault: Fault(r.text(attrFault)), id: r.text(attrSetting), By: r.optional(attrBy),
		Until: time.UnixMilli(int64(r.number(attrEndsAt))),
	}
	if it[attrRate] != nil {
		a.Rate = r.number(attrRate)
	} else {
		a.TimesLeft = int(r.number(attrTimesLeft))
	}
	if text := r.optional(attrLatency); text != "" {
		var err error
		if a.Latency, err = time.ParseDuration(text); err != nil {
			r.missing = attrLatency
		}
	}
	if r.missing != "" {
		return nil, fmt.Errorf("the fault of %q cannot be read: its %s is missing or of another form", a.Target, r.missing)
	}
	return a, nil
}

// reader reads attributes, and keeps one that it could not read.
type reader struct {
	it      item
	missing string
}

func (r *reader) text(name string) string {
	s := r.optional(name)
	if s == "" {
		r.missing = name
	}
	return s
}

func (r *reader) optional(name string) string {
	if v, ok := r.it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func (r *reader) number(name string) float64 {
	v, ok := r.it[name].(*types.AttributeValueMemberN)
	if ok {
		if n, err := strconv.ParseFloat(v.Value, 64); err == nil { // exact up to 2^53, in ms the year 287,000
			return n
		}
	}
	r.missing = name
	return 0
}
