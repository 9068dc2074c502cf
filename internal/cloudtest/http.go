package cloudtest

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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/amx-lambda/amx/internal/ledger"
)

// ServeHTTP is AWS for this process: SSM, DynamoDB with the table "amx", and SQS,
// where a queue whose URL ends with DeadLetters takes what is given up.
func (p *Process) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	_, operation, _ := strings.Cut(in.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(in.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer, err := p.answer(in.Context(), operation, body)
	status := http.StatusOK
	if err != nil {
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
		panic(err) // of the model itself
	}
	out.Header().Set("Content-Type", "application/x-amz-json-1.1")
	out.WriteHeader(status)
	_, _ = out.Write(text)
}

// answer carries a request to the model. The SDK's types have the names of the
// wire.
func (p *Process) answer(ctx context.Context, operation string, body []byte) (any, error) {
	a := SSM{p}
	switch operation {
	case "SendCommand":
		return called(ctx, body, func(ctx context.Context, in *ssm.SendCommandInput) (any, error) { return a.SendCommand(ctx, in) })
	case "CancelCommand":
		return called(ctx, body, func(ctx context.Context, in *ssm.CancelCommandInput) (any, error) { return a.CancelCommand(ctx, in) })
	case "ListCommands":
		return called(ctx, body, func(ctx context.Context, in *ssm.ListCommandsInput) (any, error) { return a.ListCommands(ctx, in) })
	case "ListCommandInvocations":
		return called(ctx, body, func(ctx context.Context, in *ssm.ListCommandInvocationsInput) (any, error) {
			out, err := a.ListCommandInvocations(ctx, in)
			return invocationsOnWire(out), err
		})
	case "DescribeInstanceInformation":
		return called(ctx, body, func(ctx context.Context, in *ssm.DescribeInstanceInformationInput) (any, error) {
			return a.DescribeInstanceInformation(ctx, in)
		})
	case "GetCommandInvocation":
		return nil, APIError("InvocationDoesNotExist") // what a node wrote is of no matter here
	case "BatchGetItem":
		return called(ctx, body, func(ctx context.Context, in *batchGetInput) (any, error) { return batchGet(ctx, Table{p}, in) })
	case "PutItem":
		return called(ctx, body, Table{p}.putItem)
	case "SendMessage":
		return called(ctx, body, Queue{p}.sendMessage)
	}
	return nil, APIError("UnknownOperationException")
}

// invocationsOnWire has the times as the protocol has them: in seconds since 1970.
func invocationsOnWire(out *ssm.ListCommandInvocationsOutput) any {
	type plugin struct {
		types.CommandPlugin
		ResponseFinishDateTime *float64
	}
	type invocation struct {
		types.CommandInvocation
		CommandPlugins []plugin
	}
	all := []invocation{}
	for _, i := range out.CommandInvocations {
		on := invocation{CommandInvocation: i}
		for _, p := range i.CommandPlugins {
			with := plugin{CommandPlugin: p}
			if p.ResponseFinishDateTime != nil {
				with.ResponseFinishDateTime = aws.Float64(float64(p.ResponseFinishDateTime.UnixMilli()) / 1000)
			}
			on.CommandPlugins = append(on.CommandPlugins, with)
		}
		all = append(all, on)
	}
	return map[string]any{"CommandInvocations": all, "NextToken": out.NextToken}
}

func called[In any](ctx context.Context, body []byte, f func(context.Context, *In) (any, error)) (any, error) {
	in := new(In)
	if err := json.Unmarshal(body, in); err != nil {
		return nil, APIError("SerializationException")
	}
	return f(ctx, in)
}

// dynamoItem is a record in DynamoDB's own notation.
type dynamoItem struct {
	Key     struct{ S string } `json:"pk"`
	Version struct{ N string } `json:"version"`
	Value   struct{ B []byte } `json:"value"`
}

type batchGetInput struct {
	RequestItems map[string]struct{ Keys []dynamoItem }
}

func batchGet(ctx context.Context, t Table, in *batchGetInput) (any, error) {
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

func (t Table) putItem(ctx context.Context, in *struct{ Item dynamoItem }) (any, error) {
	version, err := strconv.ParseInt(in.Item.Version.N, 10, 64)
	value := in.Item.Value.B
	if bytes.HasPrefix(value, []byte{0x1f, 0x8b}) {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(value)); err == nil {
			value, err = io.ReadAll(z)
		}
	}
	if err != nil {
		return nil, APIError("SerializationException")
	}
	return struct{}{}, t.Put(ctx, ledger.Record{Key: in.Item.Key.S, Version: version - 1, Value: value})
}
