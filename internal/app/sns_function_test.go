package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
)

// record is one of an SNS event, as AWS documents it:
// https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
func record(id, topic, body string, sent time.Time, attributes ...string) map[string]any {
	attrs := map[string]any{}
	for _, name := range attributes {
		attrs[name] = map[string]string{"Type": "String", "Value": "true"}
	}
	return map[string]any{
		"EventVersion": "1.0", "EventSource": "aws:sns", "EventSubscriptionArn": topic + ":21be56ed-a058-49f5-8c98-aedd2564c486",
		"Sns": map[string]any{
			"Type": "Notification", "MessageId": id, "TopicArn": topic, "Subject": "[FIRING:1]", "Message": body,
			"Timestamp": sent.UTC().Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": "1", "MessageAttributes": attrs,
		},
	}
}

func event(t *testing.T, records ...map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func yamlBody(name, node, status string, start time.Time) string {
	return fmt.Sprintf("receiver: amx\ngroupLabels: {team: web}\nalerts:\n- status: %s\n  labels: {alertname: %s, instance_id: %s}\n  startsAt: %q\n  endsAt: %q\n",
		status, name, node, start.Format(time.RFC3339), start.Add(30*time.Second).Format(time.RFC3339))
}

func TestSNSRecords(t *testing.T) {
	good := yamlBody("NginxDown", node1, "firing", start)
	goodRecord := record("good", topic, good, time.Now())
	for _, tt := range []struct {
		name    string
		records []map[string]any
		want    string
		sent    int
	}{
		{"YAML", []map[string]any{goodRecord}, "", 1},
		{"JSON", []map[string]any{record("1", topic, message(t, alert("NginxDown", node1, start, time.Time{})), time.Now())}, "", 1},
		{"the same twice in one event", []map[string]any{goodRecord, record("2", topic, good, time.Now())}, "", 1},
		{"unmatched", []map[string]any{record("1", topic, yamlBody("Other", node1, "firing", start), time.Now())}, "", 0},
		{"a subject that AMP had to change", []map[string]any{record("1", topic, good, time.Now(), "modified")}, "", 1},
		{
			"one bad of three: the good ones are handled",
			[]map[string]any{goodRecord, record("bad", topic, "Alerts Firing:\n", time.Now()), record("other", topic, yamlBody("DiskFull", node2, "firing", start), time.Now())},
			`message "bad": decoding SNS message: of no accepted form: want Alertmanager's Data as YAML or JSON, with a list "alerts"`, 2,
		},
		{
			"several bad ones are all named",
			[]map[string]any{record("a", topic+"2", good, time.Now()), record("b", topic, good, time.Now(), "truncated"), record("c", topic, "", time.Now())},
			`message "a": topic "` + topic + `2" is not in AMX_TOPIC_ARNS` + "\n" +
				`message "b": it is marked "truncated": its sender cut it at 256 KB; group by more labels, or send fewer annotations` + "\n" +
				`message "c": decoding SNS message: empty body`, 0,
		},
		{"a firing that a queue held back", []map[string]any{record("1", topic, good, time.Now().Add(-7*time.Hour))}, "", 0},
		{"no event of SNS", nil, "the event has no records: it is not one of SNS", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStack(t)
			out, err := s.sns().Invoke(t.Context(), event(t, tt.records...))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if err == nil && string(out) != "null" {
				t.Errorf("answers %s", out)
			}
			if n := len(s.ssm.Commands()); n != tt.sent {
				t.Errorf("%d commands were sent, want %d", n, tt.sent)
			}
			for _, r := range tt.records {
				id := r["Sns"].(map[string]any)["MessageId"].(string)
				if named := strings.Contains(tt.want, `"`+id+`"`); named != strings.Contains(s.log.String(), `"message_id":"`+id+`"`) {
					t.Errorf("logged %s", s.log)
				}
			}
		})
	}
}

// A resolve acts however old it is, and SNS does not wait for how it ends.
func TestSNSResolve(t *testing.T) {
	s := newStack(t)
	h := s.sns()
	start := time.Now().Add(-8 * time.Hour) // a resolve does not end firings that come after it was sent
	for _, step := range []struct {
		name, body string
		sent       time.Time
		want       string
	}{
		{"firing", yamlBody("NginxDown", node1, "firing", start), time.Now(), "[BatchGetItem PutItem PutItem PutItem SendCommand]"},
		{"firing again", yamlBody("NginxDown", node1, "firing", start), time.Now(), "[BatchGetItem]"},
		{"resolved", yamlBody("NginxDown", node1, "resolved", start), time.Now(), "[BatchGetItem PutItem PutItem PutItem PutItem CancelCommand]"},
	} {
		if _, err := h.Invoke(t.Context(), event(t, record("1", topic, step.body, step.sent))); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if calls := sprint(s.calls()); calls != step.want {
			t.Errorf("%s: called %s, want %s", step.name, calls, step.want)
		}
	}
	if c := s.ssm.Commands()[0]; c.Status != "Cancelled" {
		t.Errorf("the command is %s", c.Status)
	}
}

// The same alert through the topic and through the webhook is one run.
func TestSNSBesideTheWebhook(t *testing.T) {
	s := newStack(t)
	if a := s.post(s.webhook(nil), alert("NginxDown", node1, start, time.Time{})); a.StatusCode != 200 {
		t.Fatalf("got %+v", a)
	}
	if _, err := s.sns().Invoke(t.Context(), event(t, record("1", topic, yamlBody("NginxDown", node1, "firing", start), time.Now()))); err != nil {
		t.Fatal(err)
	}
	if n := len(s.ssm.Commands()); n != 1 {
		t.Errorf("%d commands were sent", n)
	}
}

func TestSNSNamesTheMessageThatIsUnsettled(t *testing.T) {
	s := newStack(t)
	s.table.Fault = func(awstest.Call) *awstest.Fault { return &awstest.Fault{Error: "AccessDeniedException"} }
	s.queue.Fault = s.table.Fault
	_, err := s.sns().Invoke(t.Context(), event(t, record("1", topic, yamlBody("NginxDown", node1, "firing", start), time.Now())))
	want := `message "1": command "restart": reading the ledger: BatchGetItem: api error AccessDeniedException: a fault of the test`
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
