package functions

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/amx-lambda/amx/examples/amp"
	"github.com/amx-lambda/amx/internal/alertmanagertest"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/lambdatest"
)

// A real Alertmanager publishes to a real server of SNS's API, which delivers to
// the built function: in each form, a firing runs the command and the resolve
// stops it.
func TestAnAlertmanagerAndATopicRunAndStopACommand(t *testing.T) {
	binary, server := os.Getenv("AMX_TEST_ALERTMANAGER"), os.Getenv("AMX_TEST_SNS_ENDPOINT")
	if binary == "" || server == "" {
		t.Skip("AMX_TEST_ALERTMANAGER names the program, AMX_TEST_SNS_ENDPOINT a server such as moto's; .ci/run has both")
	}
	s := newStack(t)
	to := &snsServer{T: t, url: server}
	arn := to.call("CreateTopic", "Name", "amx-"+strings.ToLower(t.Name()[:20]))
	s.vars["AMX_TOPIC_ARNS"] = arn
	answers := deliver(t, to, arn, s.sns())
	am := startAlertmanager(t, binary, server, arn)

	for _, form := range slices.Sorted(maps.Keys(forms)) {
		node := fmt.Sprintf("i-%017x", len(s.ssm.Commands())+1)
		alert := map[string]any{
			"labels":       map[string]string{"alertname": "NginxDown", "form": form, "instance_id": node, "path": `/it's "here"`},
			"annotations":  map[string]string{"summary": "nginx is down:\n - since = 10:00\n - \"twice\" \\ ümläut 🔥"},
			"generatorURL": "http://prometheus:9090/graph?g0.expr=up&g0.tab=1", "startsAt": start,
		}
		if form == "json" { // its template escapes nothing
			alert["annotations"] = map[string]string{"summary": "it's\ndown"}
			delete(alert["labels"].(map[string]string), "path")
		}
		before := len(s.ssm.Commands())
		am.Post(alert)
		await(t, am, answers, form+", firing")
		sent := s.ssm.Commands()
		if len(sent) != before+1 || sent[before].Nodes[0] != node || sent[before].Status != "InProgress" {
			t.Fatalf("%s: the firing left %+v", form, sent)
		}
		alert["endsAt"] = time.Now()
		am.Post(alert)
		await(t, am, answers, form+", resolved")
		if c := s.ssm.Commands()[before]; c.Status != "Cancelled" {
			t.Errorf("%s: the resolve left the command %s", form, c.Status)
		}
	}
	if n := len(s.ssm.Commands()); n != len(forms) {
		t.Errorf("%d commands were sent for %d alerts", n, len(forms))
	}
}

// Two commands of one notification, one of them without the right to be sent: the
// other runs, and the resolve stops it.
func TestAnAlertmanagerAndACommandWithoutRights(t *testing.T) {
	s := newStack(t)
	s.vars["AMX_CONFIG"] = "file:" + write(t, t.TempDir(), "amx.yaml", `
targets: [{key: InstanceIds, values: ['{{ .Labels.instance_id }}']}]
commands:
  - {name: refused, document: Acme-NotAllowed}
  - {name: long, cmd: sleep, args: [infinity]}
`)
	s.wire.Fault = func(c awstest.Call) *awstest.Fault {
		if c.Operation == "SendCommand" && strings.Contains(string(c.Body), "Acme-NotAllowed") {
			return &awstest.Fault{Error: "AccessDeniedException"}
		}
		return nil
	}
	f := s.webhook()
	answers := make(chan urlAnswer, 100)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		a := s.post(f, urlEvent(body))
		w.WriteHeader(a.StatusCode)
		answers <- a
	}))
	t.Cleanup(endpoint.Close)
	am := alertmanagertest.Start(t, os.Getenv("AMX_TEST_ALERTMANAGER"), string(must(map[string]any{ // JSON is YAML
		"route":     map[string]any{"receiver": "amx", "group_by": []string{"alertname"}, "group_wait": "0s", "group_interval": "10s", "repeat_interval": "1h"},
		"receivers": []any{map[string]any{"name": "amx", "webhook_configs": []any{map[string]any{"url": endpoint.URL, "send_resolved": true}}}},
	})))
	alert := map[string]any{"labels": map[string]string{"alertname": "NginxDown", "instance_id": node1}, "startsAt": start}
	am.Post(alert)
	for _, want := range []struct{ results, status string }{
		{`"command":"refused","action":"later"`, "InProgress"},
		{`"command":"long","action":"cancel"`, "Cancelled"},
	} {
		var a urlAnswer
		select {
		case a = <-answers:
		case <-am.Ended:
			t.Fatal("Alertmanager has ended")
		}
		sent := s.ssm.Commands()
		if a.StatusCode != 200 || !strings.Contains(a.Body, want.results) || len(sent) != 1 || sent[0].Status != want.status {
			t.Errorf("answered %d %s, want %s; sent %+v", a.StatusCode, a.Body, want.results, sent)
		}
		alert["endsAt"] = time.Now()
		am.Post(alert)
	}
}

// forms are the receivers' messages, by the alert's label "form".
var forms = map[string]string{
	"amx":   `{{ template "amx" . }}`,
	"short": `{{ template "amx.short" . }}`,
	"text":  `{{ template "sns.default.message" . }}`,
	"block": "routing_key: R0UT1NGKEY\ndedup_key: {{ .GroupLabels.form }}\nseverity: page\ndetails:\n" +
		"  alertname: {{ .CommonLabels.alertname }}\n  instance_id: {{ .CommonLabels.instance_id }}\n",
	"json": `{"alerts": [{{ range $i, $a := .Alerts }}{{ if $i }}, {{ end }}{"status": "{{ .Status }}", "startsAt": "{{ .StartsAt }}", "endsAt": "{{ .EndsAt }}",` +
		` "labels": { {{ range $i, $p := .Labels.SortedPairs }}{{ if $i }}, {{ end }}"{{ .Name }}": "{{ .Value }}"{{ end }} },` +
		` "annotations": { {{ range $i, $p := .Annotations.SortedPairs }}{{ if $i }}, {{ end }}"{{ .Name }}": "{{ .Value }}"{{ end }} }}{{ end }}]}`,
}

func await(t *testing.T, am *alertmanagertest.Alertmanager, answers <-chan lambdatest.Answer, what string) {
	t.Helper()
	select {
	case a := <-answers:
		if a.Err != nil {
			t.Fatalf("%s: %v", what, a.Err)
		}
	case <-am.Ended:
		t.Fatalf("%s: Alertmanager has ended", what)
	}
}

// snsServer is a server of SNS's query API.
type snsServer struct {
	*testing.T
	url string
}

// call calls an action, and answers the ARN in its result.
func (s *snsServer) call(action string, pairs ...string) string {
	s.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-03-31"}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	ctx := context.WithoutCancel(s.Context()) // it is also called when the test is over
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(form.Encode()))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+awstest.AccessKey+"/20260101/"+awstest.Region+"/sns/aws4_request, SignedHeaders=host, Signature=00")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		s.Fatalf("%s: %s: %v\n%s", action, answer.Status, err, text)
	}
	var result struct {
		Topic        string `xml:"CreateTopicResult>TopicArn"`
		Subscription string `xml:"SubscribeResult>SubscriptionArn"`
	}
	if err := xml.Unmarshal(text, &result); err != nil {
		s.Fatalf("%s: %v\n%s", action, err, text)
	}
	return result.Topic + result.Subscription
}

// deliver subscribes the function to the topic: SNS delivers over HTTP, and what
// it delivers becomes an event, as Lambda's own subscription makes it.
func deliver(t *testing.T, to *snsServer, arn string, f *lambdatest.Function) <-chan lambdatest.Answer {
	t.Helper()
	answers := make(chan lambdatest.Answer, 100)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var record map[string]any
		if err == nil {
			err = json.Unmarshal(text, &record)
		}
		if err != nil {
			t.Errorf("SNS delivered %s: %v", text, err)
		}
		if record["Type"] == "Notification" {
			answers <- f.Invoke(must(map[string]any{"Records": []any{map[string]any{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": record}}}), 30*time.Second)
		}
	}))
	t.Cleanup(endpoint.Close)
	subscription := to.call("Subscribe", "TopicArn", arn, "Protocol", "http", "Endpoint", endpoint.URL)
	// A server that is used again would deliver to it for ever.
	t.Cleanup(func() { to.call("Unsubscribe", "SubscriptionArn", subscription) })
	return answers
}

// startAlertmanager starts one with the project's definition and a receiver for
// each form, all of which publish to one topic.
func startAlertmanager(t *testing.T, binary, server, arn string) *alertmanagertest.Alertmanager {
	t.Helper()
	var definition struct {
		Templates map[string]string `yaml:"template_files"`
	}
	if err := yaml.Unmarshal([]byte(amp.Definition), &definition); err != nil {
		t.Fatal(err)
	}
	receivers, routes := []any{map[string]any{"name": "nobody"}}, []any{}
	for form, message := range forms {
		routes = append(routes, map[string]any{"receiver": form, "match": map[string]string{"form": form}})
		receivers = append(receivers, map[string]any{"name": form, "sns_configs": []any{map[string]any{
			"api_url": server, "topic_arn": arn, "message": message, "send_resolved": true,
			"sigv4": map[string]string{"region": awstest.Region, "access_key": awstest.AccessKey, "secret_key": awstest.SecretKey},
		}}})
	}
	return alertmanagertest.Start(t, binary, string(must(map[string]any{ // JSON is YAML
		"templates": []string{write(t, t.TempDir(), "amx.tmpl", definition.Templates["amx"])},
		"route": map[string]any{
			"receiver": "nobody", "group_by": []string{"alertname", "form"}, "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h", "routes": routes,
		},
		"receivers": receivers,
	})))
}
