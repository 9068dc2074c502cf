package app

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRefusedMessagesCountInAMetric(t *testing.T) {
	s := newStack(t)
	s.vars["AWS_LAMBDA_FUNCTION_NAME"] = "amx-sns"
	good := yamlBody("NginxDown", node1, "firing", start)
	replaced := record("replaced", topic, "Error - Message should not be empty.", time.Now())
	replaced["Sns"].(map[string]any)["MessageAttributes"] = map[string]any{
		"modified": map[string]string{"Type": "String", "Value": "Message: Error - Message should not be empty."},
	}
	if _, err := s.sns().Invoke(t.Context(), event(t,
		record("cut", topic, good, time.Now(), "truncated"), record("good", topic, good, time.Now()),
		replaced, record("sentence", topic, "nginx is down", time.Now()), record("foreign", topic+"2", good, time.Now()),
	)); err == nil || strings.Contains(err.Error(), `"good"`) {
		t.Errorf("got %v", err)
	}
	var reasons []string
	for line := range strings.Lines(s.out.String()) {
		var m struct {
			AWS struct {
				Timestamp         int64
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name, Unit string }
				}
			} `json:"_aws"`
			FunctionName, Reason string
			MessagesRefused      int
			Level                string
			Timestamp            time.Time
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		d := m.AWS.CloudWatchMetrics[0]
		if d.Namespace != "amx" || d.Metrics[0].Name != "MessagesRefused" || m.MessagesRefused != 1 || m.FunctionName != "amx-sns" ||
			time.Since(time.UnixMilli(m.AWS.Timestamp)).Abs() > time.Minute || !slices.Equal(d.Dimensions[1], []string{"FunctionName", "Reason"}) {
			t.Errorf("got %s", line)
		}
		// Without these two Lambda drops the line under LogLevel=WARN or ERROR.
		if m.Level != "ERROR" || !m.Timestamp.Equal(time.UnixMilli(m.AWS.Timestamp)) || !strings.Contains(line, `Z"`) {
			t.Errorf("level %q at %v: %s", m.Level, m.Timestamp, line)
		}
		reasons = append(reasons, m.Reason)
	}
	slices.Sort(reasons)
	if want := []string{"replaced", "topic", "truncated", "unreadable"}; !slices.Equal(reasons, want) {
		t.Errorf("counted %q, want %q", reasons, want)
	}
	if n := len(s.ssm.Commands()); n != 1 {
		t.Errorf("%d commands were sent, want that of the good record", n)
	}
}

func TestTheRoutingKeyIsNeverLoggedNorSent(t *testing.T) {
	s := newStack(t)
	block := "routing_key: R0UT1NGKEY\ndedup_key: k\nseverity: page\ndescription: nginx\ndetails:\n  alertname: NginxDown\n  instance_id: " + node1 + "\n  routing_key: R0UT1NGKEY\n"
	h := s.sns()
	for i, body := range []string{block, block + "routing_key: R0UT1NGKEY\n", block + "dedup_key: [R0UT1NGKEY]\n", "routing_key: *R0UT1NGKEY\n", "routing_key: R0UT1NGKEY\n"} {
		_, err := h.Invoke(t.Context(), event(t, record("1", topic, body, time.Now())))
		if (err == nil) != (i < 2) {
			t.Errorf("%s: %v", body, err)
		}
		if err != nil && strings.Contains(err.Error(), "R0UT1NGKEY") {
			t.Errorf("the error quotes it: %v", err)
		}
	}
	calls := s.wire.Calls("SendCommand")
	if len(calls) != 1 {
		t.Fatalf("%d commands were sent", len(calls))
	}
	if strings.Contains(string(calls[0].Body), "R0UT1NGKEY") {
		t.Error("it is sent to SSM")
	}
	if strings.Contains(s.log.String()+s.out.String(), "R0UT1NGKEY") {
		t.Error("it is logged")
	}
}
