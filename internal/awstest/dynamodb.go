package awstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
)

// DynamoDB is a double of one DynamoDB table, as much of it as the ledger and the
// history use: BatchGetItem, PutItem under two conditions, atomically, and Query
// of the index by_day. It refuses all else, so that a new kind of request is seen
// here first.
type DynamoDB struct {
	Table string
	// Batch is how many keys of a BatchGetItem are processed; the rest are
	// answered as unprocessed, as under throttling. 0: all.
	Batch int

	mu    sync.Mutex
	items map[string]item
	days  map[string][]item // :: day → its items, until the next write
}

// item is in DynamoDB's own notation: name → {"S": …}.
type item map[string]attribute

type attribute struct {
	S *string `json:",omitempty"`
	N *string `json:",omitempty"`
	B *[]byte `json:",omitempty"`
}

type keysAndAttributes struct {
	Keys           []item
	ConsistentRead bool
}

type putItem struct {
	TableName                 string
	Item                      item
	ConditionExpression       string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues map[string]attribute

	ReturnValuesOnConditionCheckFailure string
}

// refusal is the answer to a put whose condition does not hold, with the item
// that is there.
type refusal struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
	Item    item   `json:",omitempty"`
}

// Len counts the items.
func (d *DynamoDB) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.items)
}

// ServeHTTP answers one call.
func (d *DynamoDB) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	serve(out, r, func(operation string, body []byte) (any, *apiError) {
		d.mu.Lock()
		defer d.mu.Unlock()
		switch operation {
		case "BatchGetItem":
			return d.batchGet(body)
		case "PutItem":
			return d.put(body)
		case "Query":
			return d.query(body)
		}
		return nil, &apiError{"UnknownOperationException", operation}
	})
}

func (d *DynamoDB) batchGet(body []byte) (any, *apiError) {
	var in struct {
		RequestItems map[string]keysAndAttributes
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &apiError{"SerializationException", err.Error()}
	}
	asked, ok := in.RequestItems[d.Table]
	switch {
	case !ok || len(in.RequestItems) != 1:
		return nil, d.noTable()
	case len(asked.Keys) == 0 || len(asked.Keys) > 100:
		return nil, invalid("RequestItems has %d keys: want 1 to 100", len(asked.Keys))
	case !asked.ConsistentRead:
		return nil, invalid("a read that is not consistent")
	}
	known := map[string]bool{}
	for _, k := range asked.Keys {
		pk := k["pk"].S
		if pk == nil || len(k) != 1 {
			return nil, invalid("a key is more or less than the string pk")
		}
		if known[*pk] {
			return nil, invalid("Provided list of item keys contains duplicates")
		}
		known[*pk] = true
	}
	left := map[string]keysAndAttributes{}
	if d.Batch > 0 && len(asked.Keys) > d.Batch {
		left[d.Table] = keysAndAttributes{Keys: asked.Keys[d.Batch:], ConsistentRead: true}
		asked.Keys = asked.Keys[:d.Batch]
	}
	found := []item{}
	for _, k := range slices.Backward(asked.Keys) { // the order is not promised
		if it, ok := d.items[*k["pk"].S]; ok {
			found = append(found, it)
		}
	}
	return map[string]any{"Responses": map[string]any{d.Table: found}, "UnprocessedKeys": left}, nil
}

func (d *DynamoDB) put(body []byte) (any, *apiError) {
	var in putItem
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &apiError{"SerializationException", err.Error()}
	}
	pk := in.Item["pk"].S
	switch {
	case in.TableName != d.Table:
		return nil, d.noTable()
	case pk == nil || *pk == "":
		return nil, invalid("One or more parameter values were invalid: Missing the key pk in the item")
	case in.Item.size() > 400<<10:
		return nil, invalid("Item size has exceeded the maximum allowed size")
	}
	now, exists := d.items[*pk]
	var holds bool
	switch name := in.ExpressionAttributeNames; {
	case in.ConditionExpression == "attribute_not_exists(#k)" && name["#k"] == "pk":
		holds = !exists
	case in.ConditionExpression == "#v = :v" && name["#v"] == "version":
		was, want := now["version"].N, in.ExpressionAttributeValues[":v"].N
		holds = was != nil && want != nil && *was == *want
	default:
		return nil, invalid("Invalid ConditionExpression: %q", in.ConditionExpression)
	}
	if !holds && in.ReturnValuesOnConditionCheckFailure == "ALL_OLD" {
		return refusal{"ConditionalCheckFailedException", "The conditional request failed", now}, nil
	}
	if !holds {
		return nil, &apiError{"ConditionalCheckFailedException", "The conditional request failed"}
	}
	if d.items == nil {
		d.items = map[string]item{}
	}
	d.items[*pk] = in.Item
	d.days = nil
	return struct{}{}, nil
}

func (it item) size() int {
	n := 0
	for name, a := range it {
		n += len(name)
		switch {
		case a.S != nil:
			n += len(*a.S)
		case a.N != nil:
			n += len(*a.N)/2 + 1
		case a.B != nil:
			n += len(*a.B)
		}
	}
	return n
}

func (d *DynamoDB) noTable() *apiError {
	return &apiError{"ResourceNotFoundException", "Requested resource not found"}
}

func invalid(format string, args ...any) *apiError {
	return &apiError{"ValidationException", fmt.Sprintf(format, args...)}
}
