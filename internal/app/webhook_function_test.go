package app

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/amx-lambda/amx/internal/awstest"
)

// request is an event of a function URL, as AWS documents it:
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
func request(t *testing.T, method, authorization, body string, encoded bool) []byte {
	t.Helper()
	if encoded {
		body = base64.StdEncoding.EncodeToString([]byte(body))
	}
	headers := map[string]string{"content-type": "application/json", "x-forwarded-proto": "https"}
	if authorization != "" {
		headers["authorization"] = authorization
	}
	text, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": headers,
		"requestContext": map[string]any{
			"accountId": "anonymous", "apiId": "url-id", "domainName": "url-id.lambda-url.eu-central-1.on.aws", "domainPrefix": "url-id",
			"http":      map[string]string{"method": method, "path": "/", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "Alertmanager/0.34.0"},
			"requestId": "id", "routeKey": "$default", "stage": "$default", "time": "12/Mar/2026:19:03:58 +0000", "timeEpoch": 1773342238000,
		},
		"body": body, "isBase64Encoded": encoded,
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type urlAnswer struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
}

func (s *stack) answer(h lambda.Handler, event []byte) urlAnswer {
	s.Helper()
	out, err := h.Invoke(s.Context(), event)
	if err != nil {
		s.Fatal(err)
	}
	var a urlAnswer
	if err := json.Unmarshal(out, &a); err != nil {
		s.Fatal(err)
	}
	return a
}

// post sends a message with the right token.
func (s *stack) post(h lambda.Handler, alerts ...map[string]any) urlAnswer {
	s.Helper()
	return s.answer(h, request(s.T, "POST", "Bearer "+token, message(s.T, alerts...), true))
}

func TestWebhookStatuses(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("alertmanager:"+token))
	firing := message(t, alert("NginxDown", node1, start, time.Time{}))
	for _, tt := range []struct {
		name          string
		method        string
		authorization string
		body          string
		status        int
		answer, calls string
	}{
		{"a message of no command", "POST", "Bearer " + token, message(t, alert("Other", node1, start, time.Time{})), 200, `{"results":[]}`, "[GetParameter]"},
		{"a firing", "POST", "bearer " + token, firing, 200, `"action":"run","reason":"firing"`, "[BatchGetItem PutItem PutItem PutItem GetParameter SendCommand]"},
		{"the token as a password", "POST", basic, firing, 200, `"action":"run"`, "[BatchGetItem PutItem PutItem PutItem GetParameter SendCommand]"},
		{"no message", "POST", "Bearer " + token, `{"status":"firing"}`, 400, `{"error":"decoding Alertmanager message: not an Alertmanager message: it has neither \"version\" nor \"alerts\""}`, "[GetParameter]"},
		{"no token", "POST", "", firing, 401, `{"error":"no token: send \"Authorization: Bearer <token>\", or Basic with the token as password"}`, "[]"},
		{"no token that one could be", "POST", "Digest x", firing, 401, "no token", "[]"},
		{"a wrong token", "POST", "Bearer wrong", firing, 401, `{"error":"the token is not one of the accepted"}`, "[GetParameter]"},
		{"GET, which a function URL carries too", "GET", "Bearer " + token, "", 405, `{"error":"send a notification with POST, as Alertmanager's webhook does"}`, "[]"},
		{"a large body", "POST", "Bearer " + token, strings.Repeat(" ", maxBody+1), 413, `{"error":"the body is over 6291456 bytes: group by more labels"}`, "[GetParameter]"},
	} {
		for _, encoded := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				s := newStack(t)
				a := s.answer(s.webhook(nil), request(t, tt.method, tt.authorization, tt.body, encoded))
				if a.StatusCode != tt.status || !strings.Contains(a.Body, tt.answer) || a.Headers["Content-Type"] != "application/json" {
					t.Errorf("got %+v, want %d and %s", a, tt.status, tt.answer)
				}
				if calls := sprint(s.calls()); calls != tt.calls {
					t.Errorf("called %s, want %s", calls, tt.calls)
				}
				if refused := tt.status >= 400; refused != strings.Contains(s.log.String(), `"source":"203.0.113.7"`) {
					t.Errorf("logged %s", s.log)
				}
				if strings.Contains(s.log.String(), token) {
					t.Error("the log has the token")
				}
			})
		}
	}
}

func TestWebhookSaysHowToDoItRight(t *testing.T) {
	s := newStack(t)
	h := s.webhook(nil)
	if a := s.answer(h, request(t, "PUT", "", "", false)); a.Headers["Allow"] != "POST" {
		t.Errorf("got %+v", a)
	}
	if a := s.answer(h, request(t, "POST", "", "", false)); a.Headers["WWW-Authenticate"] != `Bearer realm="amx"` {
		t.Errorf("got %+v", a)
	}
	if a := s.answer(h, []byte(`{"requestContext":{"http":{"method":"POST"}},"headers":{"authorization":"Bearer s3cr3t"},"isBase64Encoded":true,"body":"?"}`)); a.StatusCode != 400 {
		t.Errorf("got %+v", a)
	}
}

// The URL itself has authenticated the caller: no token is read, or asked for.
func TestWebhookWithIAM(t *testing.T) {
	s := newStack(t)
	h := s.webhook(map[string]string{"AMX_AUTH": "iam", "AMX_TOKEN_PARAMETER": ""})
	a := s.answer(h, request(t, "POST", "AWS4-HMAC-SHA256 Credential=…", message(t, alert("NginxDown", node1, start, time.Time{})), true))
	if a.StatusCode != 200 || sprint(s.calls()) != "[BatchGetItem PutItem PutItem PutItem SendCommand]" {
		t.Errorf("got %+v", a)
	}
}

func TestCallsPerMessage(t *testing.T) {
	s := newStack(t)
	h := s.webhook(nil)
	s.post(h)
	s.calls() // the tokens
	firing := alert("NginxDown", node1, start, time.Time{})
	for _, step := range []struct {
		name   string
		alerts []map[string]any
		want   string
	}{
		{"unmatched", []map[string]any{alert("Other", node1, start, time.Time{})}, "[]"},
		{"a new run", []map[string]any{firing}, "[BatchGetItem PutItem PutItem PutItem SendCommand]"},
		{"a duplicate", []map[string]any{firing}, "[BatchGetItem]"},
		{"two commands, one of them for each of two alerts", []map[string]any{
			firing, alert("DiskFull", node1, start, time.Time{}), alert("DiskFull", node2, start, time.Time{}),
		}, "[BatchGetItem PutItem PutItem PutItem PutItem PutItem PutItem SendCommand SendCommand]"},
		{"a resolve", []map[string]any{alert("NginxDown", node1, start, start.Add(time.Second))}, "[BatchGetItem PutItem PutItem PutItem PutItem CancelCommand ListCommandInvocations]"},
		{"the resolve again", []map[string]any{alert("NginxDown", node1, start, start.Add(time.Second))}, "[BatchGetItem]"},
	} {
		a := s.post(h, step.alerts...)
		if calls := sprint(s.calls()); calls != step.want || a.StatusCode != 200 {
			t.Errorf("%s: %d after %s, want %s: %s", step.name, a.StatusCode, calls, step.want, a.Body)
		}
	}
}

// If a notification cannot be settled now, the webhook puts it off, durably, and
// answers 200: a source that does not get 2xx sends no resolve. Only if the queue
// fails too does the source get an error.
func TestTheWebhookPutsOffWhatItCannotSettle(t *testing.T) {
	denied := func(operation string) func(awstest.Call) *awstest.Fault {
		return func(c awstest.Call) *awstest.Fault {
			if operation != "" && c.Operation != operation {
				return nil
			}
			return &awstest.Fault{Error: "AccessDeniedException"}
		}
	}
	for _, tt := range []struct {
		name        string
		ssm, dynamo func(awstest.Call) *awstest.Fault
		want        string
	}{
		{"the ledger is unavailable", nil, denied(""), `reading the ledger: BatchGetItem: api error AccessDeniedException: a fault of the test`},
		{"SSM refuses for now", denied("SendCommand"), nil, `SendCommand: AccessDeniedException: a fault of the test`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStack(t)
			h := s.webhook(nil)
			s.post(h)
			s.wire.Fault, s.table.Fault = tt.ssm, tt.dynamo
			a := s.post(h, alert("NginxDown", node1, start, time.Time{}))
			if a.StatusCode != 200 || !strings.Contains(a.Body, `"action":"later","reason":"`+tt.want+`"`) {
				t.Errorf("got %+v, want it put off: %s", a, tt.want)
			}
			s.queue.Fault = denied("")
			a = s.post(h, alert("NginxDown", node1, start, time.Time{}))
			if a.StatusCode != 500 || !strings.Contains(a.Body, `command \"restart\": `+tt.want) {
				t.Errorf("without the queue: got %+v, want 500: %s", a, tt.want)
			}
			s.wire.Fault, s.table.Fault, s.queue.Fault = nil, nil, nil
			if a := s.post(h, alert("NginxDown", node1, start, time.Time{})); a.StatusCode != 200 || len(s.ssm.Commands()) != 1 {
				t.Errorf("sent again it is answered %+v, and %d commands were sent", a, len(s.ssm.Commands()))
			}
		})
	}
}

// The SDK must not repeat a send: the first attempt may have run.
func TestASendWithoutAnAnswerIsNotRepeatedByTheSDK(t *testing.T) {
	s := newStack(t)
	h := s.webhook(nil)
	s.post(h)
	s.calls()
	dropped := false
	s.wire.Fault = func(c awstest.Call) *awstest.Fault {
		if c.Operation != "SendCommand" || dropped {
			return nil
		}
		dropped = true
		return &awstest.Fault{After: true}
	}
	a := s.post(h, alert("NginxDown", node1, start, time.Time{}))
	if a.StatusCode != 200 || len(s.ssm.Commands()) != 1 {
		t.Errorf("got %+v after %d commands", a, len(s.ssm.Commands()))
	}
	if calls := sprint(s.wire.Operations()); calls != "[SendCommand ListCommands]" {
		t.Errorf("called %s", calls)
	}
}
