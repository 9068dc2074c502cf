package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/notify/sns"
	"github.com/prometheus/alertmanager/notify/webhook"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"

	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/awstest"
)

const (
	topic = "arn:aws:sns:eu-central-1:123456789012:amx-alerts"
	node  = "i-0123456789abcdef0"
	token = "s3cr3t"
)

// function is a function of amx with AWS around it.
type function struct {
	*testing.T
	handler lambda.Handler
	ssm     *awstest.SSM
	log     bytes.Buffer
}

func newFunction(t *testing.T, kind string) *function {
	t.Helper()
	f := &function{T: t, ssm: &awstest.SSM{Parameters: map[string]string{"/amx/tokens": token}, Status: "InProgress"}}
	dir := t.TempDir()
	err := os.WriteFile(filepath.Join(dir, "amx.yaml"), []byte(`
targets: [{key: InstanceIds, values: ['{{ .Labels.instance_id }}']}]
commands: [{cmd: clean, match_labels: {alertname: DiskFull}, wait: 0s}]
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	table := awstest.NewTable(t, "")
	vars := map[string]string{
		"LAMBDA_TASK_ROOT": dir, "AWS_REGION": awstest.Region, "AWS_ACCESS_KEY_ID": awstest.AccessKey, "AWS_SECRET_ACCESS_KEY": awstest.SecretKey,
		"AMX_TABLE": table.Name, "AMX_QUEUE_URL": awstest.QueueURL("work"), "AMX_TOPIC_ARNS": topic, "AMX_TOKEN_PARAMETER": "/amx/tokens",
		"AWS_ENDPOINT_URL_DYNAMODB": table.Endpoint, "AWS_ENDPOINT_URL_SSM": (&awstest.Wire{Next: f.ssm, Check: awstest.CheckSSM}).Listen(t),
	}
	env := func(name string) string { return vars[name] }
	log := slog.New(slog.NewJSONHandler(&f.log, nil))
	if kind == "sns" {
		sns, err := app.NewSNSFunction(t.Context(), env, log, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		f.handler = lambda.NewHandler(sns.Handle)
		return f
	}
	webhook, err := app.NewWebhookFunction(t.Context(), env, log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	f.handler = lambda.NewHandler(webhook.Handle)
	return f
}

// invoke hands the function an event, as Lambda does.
func (f *function) invoke(event any) ([]byte, error) {
	text, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	return f.handler.Invoke(f.Context(), text)
}

// topicOf is SNS: it answers Publish, and hands what was published to the
// function.
func topicOf(f *function) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		form, formErr := url.ParseQuery(string(body))
		if err != nil || formErr != nil || form.Get("Action") != "Publish" {
			f.Errorf("the topic was sent %s: %v", body, err)
		}
		attributes := map[string]any{}
		for i := 1; form.Has(fmt.Sprintf("MessageAttributes.entry.%d.Name", i)); i++ {
			at := fmt.Sprintf("MessageAttributes.entry.%d.", i)
			attributes[form.Get(at+"Name")] = map[string]string{"Type": form.Get(at + "Value.DataType"), "Value": form.Get(at + "Value.StringValue")}
		}
		_, err = f.invoke(events.SNSEvent{Records: []events.SNSEventRecord{{EventSource: "aws:sns", SNS: events.SNSEntity{
			Type: "Notification", MessageID: "m1", TopicArn: form.Get("TopicArn"), Timestamp: time.Now(),
			Subject: form.Get("Subject"), Message: form.Get("Message"), MessageAttributes: attributes,
		}}}})
		if err != nil {
			f.log.WriteString(err.Error())
		}
		fmt.Fprint(out, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m1</MessageId></PublishResult></PublishResponse>`)
	}))
	f.Cleanup(s.Close)
	return s
}

// urlOf is the function URL.
func urlOf(f *function) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			f.Error(err)
		}
		event := events.LambdaFunctionURLRequest{Version: "2.0", Headers: map[string]string{"authorization": r.Header.Get("Authorization")}, Body: string(body)}
		event.RequestContext.HTTP.Method = r.Method
		text, err := f.invoke(event)
		var answer events.LambdaFunctionURLResponse
		if err == nil {
			err = json.Unmarshal(text, &answer)
		}
		if err != nil {
			f.Error(err)
		}
		out.WriteHeader(answer.StatusCode)
		fmt.Fprint(out, answer.Body)
	}))
	f.Cleanup(s.Close)
	return s
}

// notifiers are receivers of the newest Alertmanager, each with its own function
// of amx at the other end.
var notifiers = []struct {
	name string
	make func(t *testing.T) (*function, notify.Notifier)
}{
	{"sns, the project's definition", snsWith(`{{ template "amx" . }}`, `[{{ .Status | toUpper }}] amx`)},
	{"sns, the project's short message", snsWith(`{{ template "amx.short" . }}`, "")},
	{"sns, Alertmanager's default text", snsWith(sns.DefaultSNSConfig.Message, sns.DefaultSNSConfig.Subject)},
	{"sns, values between quotes as they are", snsWith(`{{ template "plain.json" . }}`, "")},
	{"sns, the block in PagerDuty's shape", snsWith(block, sns.DefaultSNSConfig.Subject)},
	{"webhook", func(t *testing.T) (*function, notify.Notifier) {
		f := newFunction(t, "webhook")
		return f, webhookTo(t, urlOf(f).URL)
	}},
	{"webhook, as Grafana's contact point", func(t *testing.T) (*function, notify.Notifier) {
		f := newFunction(t, "webhook")
		return f, grafana{urlOf(f).URL, alertmanager(t)}
	}},
}

func snsWith(message, subject string) func(*testing.T) (*function, notify.Notifier) {
	return func(t *testing.T) (*function, notify.Notifier) {
		f := newFunction(t, "sns")
		server := topicOf(f)
		files, text := definition(t)
		c, err := config.Load(text)
		if err != nil {
			t.Fatal(err)
		}
		sc := c.Receivers[0].SNSConfigs[0]
		sc.Message, sc.Subject, sc.APIUrl = message, subject, server.URL
		sc.Sigv4.AccessKey, sc.Sigv4.SecretKey = awstest.AccessKey, awstest.SecretKey
		n, err := sns.New(sc, alertmanager(t, files["amx"], plainJSON), promslog.NewNopLogger())
		if err != nil {
			t.Fatal(err)
		}
		return f, n
	}
}

func webhookTo(t *testing.T, to string) notify.Notifier {
	t.Helper()
	c, err := config.Load("route: {receiver: amx}\nreceivers:\n- name: amx\n  webhook_configs:\n" +
		"  - {url: '" + to + "', send_resolved: true, http_config: {authorization: {credentials: " + token + "}}}\n")
	if err != nil {
		t.Fatal(err)
	}
	n, err := webhook.New(c.Receivers[0].WebhookConfigs[0], alertmanager(t), promslog.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// send notifies of one alert, as Alertmanager's dispatcher does.
func send(t *testing.T, n notify.Notifier, a model.Alert) {
	t.Helper()
	ctx := notify.WithReceiverName(t.Context(), "amx")
	ctx = notify.WithGroupLabels(ctx, model.LabelSet{"alertname": a.Labels["alertname"]})
	ctx = notify.WithGroupKey(ctx, `{}:{alertname="DiskFull"}`)
	ctx = notify.WithNow(ctx, time.Now())
	if verdict := n.Notify(ctx, &alert.Alert{Alert: a}); verdict.Err() != nil {
		t.Errorf("Notify: again %t, %v", verdict.ShouldRetry(), verdict.Err())
	}
}

func TestTheNewestAlertmanagerRunsAndStopsACommand(t *testing.T) {
	for _, tt := range notifiers {
		t.Run(tt.name, func(t *testing.T) {
			f, n := tt.make(t)
			a := model.Alert{
				Labels: model.LabelSet{"alertname": "DiskFull", "instance_id": node, "severity": "page", "path": `/it's "here"`},
				Annotations: model.LabelSet{
					"description": "Full:\n - since = 10:00\n\"no\" space \\ left", "runbook": "see ümläut 🔥: {{ssm:x}} #1",
				},
				StartsAt: time.Now().Add(-time.Minute), GeneratorURL: "http://prometheus:9090/graph?g0.expr=up&g0.tab=1",
			}
			if strings.Contains(tt.name, "as they are") { // quotation marks and backslashes are what this form cannot carry
				a.Labels["path"] = "/it's"
				a.Annotations["description"] = "Full:\n - since = 10:00"
			}
			send(t, n, a)
			send(t, n, a)
			sent := f.ssm.Commands()
			if len(sent) != 1 || sent[0].Nodes[0] != node || sent[0].Status != "InProgress" {
				t.Fatalf("firing twice sent %+v\n%s", sent, &f.log)
			}
			script := strings.Join(sent[0].Parameters["commands"], "\n")
			if want := "AMX_LABEL_path='" + strings.ReplaceAll(string(a.Labels["path"]), "'", `'\''`) + "'"; !strings.Contains(script, want) {
				t.Errorf("the script lacks %s\n%s", want, script)
			}
			a.EndsAt = time.Now()
			send(t, n, a)
			if sent = f.ssm.Commands(); len(sent) != 1 || sent[0].Status != "Cancelled" {
				t.Errorf("the resolve left %+v\n%s", sent, &f.log)
			}
		})
	}
}

func TestAMessageThatAlertmanagerCutsRunsNothing(t *testing.T) {
	f, n := snsWith(`{{ template "amx" . }}`, "")(t)
	send(t, n, model.Alert{
		Labels:      model.LabelSet{"alertname": "DiskFull", "instance_id": node},
		Annotations: model.LabelSet{"description": model.LabelValue(strings.Repeat("€", 100_000))},
		StartsAt:    time.Now(),
	})
	if sent := f.ssm.Commands(); len(sent) != 0 || !strings.Contains(f.log.String(), `it is marked \"truncated\"`) {
		t.Errorf("sent %+v\n%s", sent, &f.log)
	}
}
