package app

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// shown records what the function hands to what shows things.
type shown struct {
	WidgetParts
	endpoint, event string
}

func (s *shown) Answer(_ context.Context, endpoint string, event json.RawMessage) string {
	s.endpoint, s.event = endpoint, string(event)
	return "<p>é</p>"
}

func (s *stack) shown(vars map[string]string) (*shown, lambda.Handler) {
	s.Helper()
	got := &shown{}
	f, err := NewWidgetFunction(s.Context(), s.with(vars), s.logger(), &s.out, func(p WidgetParts) WidgetHandler {
		got.WidgetParts = p
		return got
	})
	if err != nil {
		s.Fatal(err)
	}
	return got, lambda.NewHandler(f.Handle)
}

func TestTheWidgetsFunctionHandsOnTheCallAndItsOwnARN(t *testing.T) {
	got, h := newStack(t).shown(map[string]string{"AMX_STACK": "amx-prod"})
	const arn = "arn:aws:lambda:eu-central-1:123456789012:function:amx-WidgetFunction"
	answer, err := h.Invoke(lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{InvokedFunctionArn: arn}), []byte(`{"run":"01R"}`))
	var text string
	if err != nil || json.Unmarshal(answer, &text) != nil || text != "<p>é</p>" {
		t.Errorf("answered %s, %v", answer, err)
	}
	if got.endpoint != arn || got.event != `{"run":"01R"}` || got.Stack != "amx-prod" {
		t.Errorf("handed on %+v", got)
	}
}

// It sends nothing. It stops something only if AMX_WIDGET says control.
func TestTheWidgetsFunctionHasNoClientThatSends(t *testing.T) {
	s := newStack(t)
	for _, mode := range []string{"", "read"} {
		if got, _ := s.shown(map[string]string{"AMX_WIDGET": mode}); got.RunCommand != nil {
			t.Errorf("AMX_WIDGET=%q can stop runs", mode)
		}
	}
	got, _ := s.shown(map[string]string{"AMX_WIDGET": "control"})
	_, err := got.RunCommand.SendCommand(t.Context(), &ssm.SendCommandInput{})
	if err == nil || err.Error() != "SendCommand: the widget's function sends nothing" || len(s.ssm.Commands()) > 0 {
		t.Errorf("sent, %v", err)
	}
}
