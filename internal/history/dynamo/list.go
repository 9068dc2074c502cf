package dynamo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/table"
)

// Querier is what lists need beside [table.Client]. The functions do without it.
type Querier interface {
	table.Client
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// A Reader is a Store that lists, too.
type Reader struct {
	Store
	Querier Querier
}

// NewReader lists the history of a table.
func NewReader(client Querier, table string, keep history.Keeping, now func() time.Time) *Reader {
	return &Reader{Store{Client: client, Table: table, Keep: keep, Now: now}, client}
}

// queries is how many calls one page takes at the most: some days without a
// record, or some megabytes of records that are not chosen.
const queries = 32

// List answers a page of what the query chooses. It reads the index, which
// lags a write by a moment.
func (s *Reader) List(ctx context.Context, q history.Query) (page history.Page, err error) {
	now := s.now()
	if q, err = q.Normal(now); err != nil {
		return page, err
	}
	cursor := q.Cursor
	if cursor == "" {
		cursor = history.After(now.Add(24 * time.Hour)) // another's clock may be ahead
	}
	least := history.After(q.Since)
	day, err := history.Day(cursor)
	if err != nil {
		return page, err
	}
	for n := 0; ; n++ {
		if n == queries {
			page.Next = cursor
			return page, nil
		}
		last, more, err := s.query(ctx, &q, day, cursor, least, &page)
		if err != nil {
			return history.Page{}, fmt.Errorf("listing the history: %w", err)
		}
		if len(page.Records) == q.Limit {
			if more || day.After(q.Since) {
				page.Next = last
			}
			return page, nil
		}
		if more {
			cursor = last
			continue
		}
		cursor = history.After(day) // all of the days before
		if day = day.Add(-24 * time.Hour); day.Add(24*time.Hour).Compare(q.Since) <= 0 {
			return page, nil
		}
	}
}

// query adds the records of one call to the page, until it is full. last is the
// position of the last one that was looked at; more says that the day may have
// others before it.
func (s *Reader) query(ctx context.Context, q *history.Query, day time.Time, cursor, least string, page *history.Page) (last string, more bool, err error) {
	out, err := s.Querier.Query(ctx, s.input(q, day, cursor))
	if err != nil {
		if strings.Contains(awserr.Message(err), "does not have the specified index") {
			return "", false, fmt.Errorf("Query: table %q has no index %s: deploy this release's template.yaml: %w", s.Table, Index, awserr.Plain(err))
		}
		return "", false, s.table().Failed("Query", err)
	}
	for _, item := range out.Items {
		r, err := decodeRecord(item)
		if err != nil {
			return "", false, err
		}
		if last = r.Position(); last < least {
			return last, false, nil
		}
		if s.expired(item) || !q.Matches(r) {
			continue
		}
		if page.Records = append(page.Records, *r); len(page.Records) == q.Limit {
			return last, true, nil
		}
	}
	if key, ok := out.LastEvaluatedKey[attrRun].(*types.AttributeValueMemberS); ok {
		return key.Value, key.Value >= least, nil
	}
	return last, false, nil
}

func (s *Reader) input(q *history.Query, day time.Time, cursor string) *dynamodb.QueryInput {
	in := &dynamodb.QueryInput{
		TableName: &s.Table, IndexName: aws.String(Index), ScanIndexForward: aws.Bool(false),
		KeyConditionExpression:   aws.String("#d = :d AND #r < :r"),
		ExpressionAttributeNames: map[string]string{"#d": attrDay, "#r": attrRun},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":d": table.Text(day.Format(history.DayForm)), ":r": table.Text(cursor),
		},
	}
	filter := ""
	add := func(name, attribute, value string) {
		if value == "" {
			return
		}
		if filter != "" {
			filter += " AND "
		}
		filter += "#" + name + " = :" + name
		in.ExpressionAttributeNames["#"+name] = attribute
		in.ExpressionAttributeValues[":"+name] = table.Text(value)
	}
	add("c", attrCommand, q.Command)
	add("s", attrState, string(q.State))
	if filter != "" {
		in.FilterExpression = &filter
	}
	if filter == "" && len(q.Alert) == 0 {
		in.Limit = aws.Int32(int32(q.Limit)) // every record counts
	}
	return in
}
