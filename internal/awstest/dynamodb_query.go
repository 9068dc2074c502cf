package awstest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// query is a Query request of the table's index, in the form that the history
// sends.
type query struct {
	TableName                 string
	IndexName                 string
	KeyConditionExpression    string
	FilterExpression          string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues map[string]attribute
	ScanIndexForward          *bool
	Limit                     int
}

// maxQuery is how much of a table one Query reads, in bytes.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html
const maxQuery = 1 << 20

// query reads the index by_day (partition `day`, sort `run`), backwards.
func (d *DynamoDB) query(body []byte) (any, *apiError) {
	var in query
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &apiError{"SerializationException", err.Error()}
	}
	day, before := in.ExpressionAttributeValues[":d"].S, in.ExpressionAttributeValues[":r"].S
	switch {
	case in.TableName != d.Table:
		return nil, d.noTable()
	case in.IndexName != "by_day":
		return nil, invalid("The table does not have the specified index: %s", in.IndexName)
	case in.KeyConditionExpression != "#d = :d AND #r < :r" || in.ExpressionAttributeNames["#d"] != "day" || in.ExpressionAttributeNames["#r"] != "run" || day == nil || before == nil:
		return nil, invalid("Invalid KeyConditionExpression: %q", in.KeyConditionExpression)
	case in.ScanIndexForward == nil || *in.ScanIndexForward:
		return nil, invalid("a Query that does not read backwards")
	}
	found := []item{}
	var last item
	read := 0
	for _, it := range slices.Backward(d.ofDay(*day)) {
		if *it["run"].S >= *before {
			continue
		}
		if in.Limit > 0 && read == in.Limit || len(found) > 0 && size(found) > maxQuery {
			return map[string]any{"Items": found, "LastEvaluatedKey": item{"pk": last["pk"], "day": last["day"], "run": last["run"]}}, nil
		}
		last = it
		read++
		if in.chooses(it) {
			found = append(found, it)
		}
	}
	return map[string]any{"Items": found}, nil
}

// ofDay is the items of one partition of the index, in the order of its sort key.
func (d *DynamoDB) ofDay(day string) []item {
	if d.days == nil {
		d.days = map[string][]item{}
	}
	if items, ok := d.days[day]; ok {
		return items
	}
	items := []item{}
	for _, it := range d.items {
		if s := it["day"].S; s != nil && *s == day && it["run"].S != nil {
			items = append(items, it)
		}
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(*a["run"].S, *b["run"].S) })
	d.days[day] = items
	return items
}

// chooses says that the filter, equalities joined by AND, holds for the item.
func (in *query) chooses(it item) bool {
	if in.FilterExpression == "" {
		return true
	}
	for condition := range strings.SplitSeq(in.FilterExpression, " AND ") {
		name, value, ok := strings.Cut(condition, " = ")
		is, want := it[in.ExpressionAttributeNames[name]].S, in.ExpressionAttributeValues[value].S
		if !ok || is == nil || want == nil || *is != *want {
			return false
		}
	}
	return true
}

func size(items []item) (n int) {
	for _, it := range items {
		n += it.size()
	}
	return n
}

// Load adds items as they are, without a call: a large table is filled in no time.
func (d *DynamoDB) Load(items ...map[string]types.AttributeValue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.items == nil {
		d.items = map[string]item{}
	}
	for _, attributes := range items {
		it := item{}
		for name, value := range attributes {
			switch v := value.(type) {
			case *types.AttributeValueMemberS:
				it[name] = attribute{S: &v.Value}
			case *types.AttributeValueMemberN:
				it[name] = attribute{N: &v.Value}
			case *types.AttributeValueMemberB:
				it[name] = attribute{B: &v.Value}
			default:
				panic(fmt.Sprintf("awstest: attribute %q is a %T", name, value))
			}
		}
		d.items[*it["pk"].S] = it
	}
	d.days = nil
}
