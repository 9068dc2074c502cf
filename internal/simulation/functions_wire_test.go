package simulation

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/runner"
)

// serve is AWS for the process that the path names.
func (q *quick) serve(out http.ResponseWriter, in *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(in.URL.Path, "/"), "/")
	q.lock.Lock()
	p := q.alive[name]
	q.lock.Unlock()
	_, operation, _ := strings.Cut(in.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(in.Body)
	if p == nil || err != nil {
		panic(http.ErrAbortHandler)
	}
	if operation != "BatchGetItem" && operation != "PutItem" {
		if err := awstest.CheckSSM(operation, body); err != nil {
			q.violation("%s %s: %v", operation, body, err)
		}
	}
	answer, err := q.answer(in.Context(), p.process, operation, body)
	status := http.StatusOK
	if err != nil {
		if p.isDead() {
			p.Kill()
		}
		code := "ConditionalCheckFailedException"
		if api, ok := errors.AsType[smithy.APIError](err); ok {
			code = api.ErrorCode()
		} else if !errors.Is(err, ledger.ErrConflict) {
			panic(http.ErrAbortHandler) // net/http drops the connection
		}
		if status = http.StatusBadRequest; code == "InternalServerError" {
			status = http.StatusInternalServerError // which the SDK tries again, as it does on AWS
		}
		answer = map[string]string{"__type": code, "message": err.Error()}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		q.violation("answering %s: %v", operation, err)
	}
	out.Header().Set("Content-Type", "application/x-amz-json-1.1")
	out.WriteHeader(status)
	_, _ = out.Write(text)
}

// answer carries a request to the model. The SDK's types have the names of the
// wire.
func (q *quick) answer(ctx context.Context, p *process, operation string, body []byte) (any, error) {
	a := agent{p}
	switch operation {
	case "SendCommand":
		return called(ctx, body, func(ctx context.Context, in *ssm.SendCommandInput) (any, error) { return a.SendCommand(ctx, in) })
	case "CancelCommand":
		return called(ctx, body, func(ctx context.Context, in *ssm.CancelCommandInput) (any, error) { return a.CancelCommand(ctx, in) })
	case "ListCommands":
		return called(ctx, body, func(ctx context.Context, in *ssm.ListCommandsInput) (any, error) { return a.ListCommands(ctx, in) })
	case "ListCommandInvocations":
		return called(ctx, body, func(ctx context.Context, in *ssm.ListCommandInvocationsInput) (any, error) {
			return a.ListCommandInvocations(ctx, in)
		})
	case "GetCommandInvocation":
		return nil, apiError("InvocationDoesNotExist") // what a node wrote is of no matter here
	case "BatchGetItem":
		return called(ctx, body, table{p}.batchGet)
	case "PutItem":
		return called(ctx, body, table{p}.putItem)
	}
	q.violation("%s called %s", p.name, operation)
	return nil, apiError("UnknownOperationException")
}

func called[In any](ctx context.Context, body []byte, f func(context.Context, *In) (any, error)) (any, error) {
	in := new(In)
	if err := json.Unmarshal(body, in); err != nil {
		return nil, apiError("SerializationException")
	}
	return f(ctx, in)
}

// dynamoItem is a record in DynamoDB's own notation.
type dynamoItem struct {
	Key     struct{ S string } `json:"pk"`
	Version struct{ N string } `json:"version"`
	Value   struct{ B []byte } `json:"value"`
}

type batchGet struct {
	RequestItems map[string]struct{ Keys []dynamoItem }
}

func (t table) batchGet(ctx context.Context, in *batchGet) (any, error) {
	var keys []string
	for _, k := range in.RequestItems["amx"].Keys {
		keys = append(keys, k.Key.S)
	}
	records, err := t.Get(ctx, keys...)
	items := []any{}
	for _, r := range records {
		if r.Version > 0 {
			items = append(items, map[string]any{
				"pk": map[string]string{"S": r.Key}, "version": map[string]string{"N": fmt.Sprint(r.Version)}, "value": map[string][]byte{"B": r.Value},
			})
		}
	}
	return map[string]any{"Responses": map[string]any{"amx": items}, "UnprocessedKeys": struct{}{}}, err
}

func (t table) putItem(ctx context.Context, in *struct{ Item dynamoItem }) (any, error) {
	version, err := strconv.ParseInt(in.Item.Version.N, 10, 64)
	value := in.Item.Value.B
	if bytes.HasPrefix(value, []byte{0x1f, 0x8b}) {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(value)); err == nil {
			value, err = io.ReadAll(z)
		}
	}
	if err != nil {
		return nil, apiError("SerializationException")
	}
	return struct{}{}, t.Put(ctx, ledger.Record{Key: in.Item.Key.S, Version: version - 1, Value: value})
}

// wireData is the message as both ways carry it.
func wireData(m *amx.Message) []byte {
	var alerts []any
	for _, a := range m.Alerts {
		alerts = append(alerts, map[string]any{
			"status": a.Status, "labels": a.Labels, "annotations": a.Annotations, "startsAt": a.StartsAt, "endsAt": a.EndsAt, "fingerprint": a.Fingerprint,
		})
	}
	return mustJSON(map[string]any{"version": "4", "receiver": m.Receiver, "status": m.Status, "groupLabels": m.GroupLabels, "alerts": alerts})
}

func urlEvent(m *amx.Message) []byte {
	return mustJSON(map[string]any{
		"version": "2.0", "headers": map[string]string{}, "isBase64Encoded": false, "body": string(wireData(m)),
		"requestContext": map[string]any{"http": map[string]string{"method": "POST", "path": "/"}},
	})
}

func snsEvent(name string, m *amx.Message) []byte {
	sent := m.SentAt
	if sent.IsZero() {
		sent = time.Now()
	}
	return mustJSON(map[string]any{"Records": []any{map[string]any{"EventSource": "aws:sns", "Sns": map[string]any{
		"Type": "Notification", "MessageId": name, "TopicArn": quickTopic, "Message": string(wireData(m)),
		"Timestamp": sent.UTC().Format("2006-01-02T15:04:05.000Z"), "MessageAttributes": map[string]any{},
	}}}})
}

func webhookAnswer(body []byte) (a runner.Answer) {
	var url struct {
		StatusCode int
		Body       string
	}
	var answer struct {
		Results []runner.Result
		Error   string
	}
	if err := errors.Join(json.Unmarshal(body, &url), json.Unmarshal([]byte(url.Body), &answer)); err != nil {
		return runner.Answer{Err: err}
	}
	a.Results = answer.Results
	if url.StatusCode != http.StatusOK {
		a.Err = errors.New(answer.Error)
	}
	return a
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
