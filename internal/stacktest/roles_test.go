package stacktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/amx-lambda/amx/internal/lambdatest"
)

// assume answers credentials of a role.
func (a *account) assume(role string) aws.Credentials {
	a.Helper()
	answer := a.query("sts", "2011-06-15", "AssumeRole", "RoleArn", "arn:aws:iam::123456789012:role/"+role, "RoleSessionName", "amx")
	return aws.Credentials{
		AccessKeyID: a.found("AccessKeyId", answer), SecretAccessKey: a.found("SecretAccessKey", answer), SessionToken: a.found("SessionToken", answer),
	}
}

// variables are credentials as a program is given them.
func variables(c aws.Credentials) []string {
	return []string{"AWS_ACCESS_KEY_ID=" + c.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.SecretAccessKey, "AWS_SESSION_TOKEN=" + c.SessionToken}
}

// without takes actions from a role until the answer is called.
func (m *onMoto) without(role string, actions ...string) (restore func()) {
	m.Helper()
	return m.narrow(m.ids[role], func() map[string]any { return m.stack.policies(role) }, actions...)
}

// narrow takes actions from the policies of a role until the answer is called.
func (a *account) narrow(role string, policies func() map[string]any, actions ...string) (restore func()) {
	a.Helper()
	for name, document := range policies() {
		for _, st := range document.(object)["Statement"].([]any) {
			statement := st.(object)
			left := slices.DeleteFunc(list(statement["Action"]), func(a string) bool { return slices.Contains(actions, a) })
			statement["Action"] = append(left, "none:Left") // a statement has an action
		}
		a.putPolicy(role, name, document)
	}
	return func() {
		for name, document := range policies() {
			a.putPolicy(role, name, document)
		}
	}
}

// json calls an operation of the JSON protocol.
func (a *account) json(service, target, body string) string {
	a.Helper()
	return a.send(http.MethodPost, "/", service, map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}, []byte(body))
}

// onMoto is the stack on moto, and its functions beside it.
type onMoto struct {
	*account
	stack *stack
	ids   map[string]string
	dir   string
	env   map[string]string // of AWS's own resources
}

func newOnMoto(t *testing.T, parameters map[string]any) *onMoto {
	t.Helper()
	m := &onMoto{account: moto(t), dir: artifacts(t), stack: deploy(t, parameters)}
	m.ids = m.create(m.stack, "")
	m.parameter("/amx/amx/tokens", "SecureString", "example-token")
	m.reach(m.url)
	return m
}

// reach says what the functions find, and where.
func (m *onMoto) reach(endpoint string) {
	m.env = map[string]string{
		"AMX_TABLE": m.ids["Table"], "AMX_QUEUE_URL": m.ids["WorkQueue"], "AMX_DEAD_LETTER_URL": m.ids["DeadLetterQueue"],
		"AWS_ENDPOINT_URL": endpoint,
	}
}

// start runs a function with its role's credentials and moto's endpoints.
func (m *onMoto) start(id string) *lambdatest.Function {
	m.Helper()
	var more []string
	declared := m.stack.of("AWS::Lambda::Function")[id]["Environment"].(object)["Variables"].(object)
	for name, value := range m.env {
		if _, ok := declared[name]; ok || strings.HasPrefix(name, "AWS_") {
			more = append(more, name+"="+value)
		}
	}
	slices.Sort(more)
	role := m.ids[strings.TrimSuffix(id, "Function")+"Role"]
	return start(m.T, m.stack, m.dir, id, append(more, variables(m.assume(role))...)...)
}

// invoke runs one event in a new process while moto checks, and answers what the
// function answered and logged.
func (m *onMoto) invoke(id string, event []byte) (answer lambdatest.Answer, log string) {
	m.Helper()
	f := m.start(id)
	m.checks(true)
	answer = f.Invoke(event, 12*time.Second)
	m.checks(false)
	if _, err := f.Terminate(); err != nil {
		m.Error(err)
	}
	return answer, f.Log()
}

// fresh is the event of an alert that no other test has.
func (m *onMoto) fresh(name, mark string) []byte {
	return []byte(strings.ReplaceAll(string(event(m.T, name)), "i-0123456789abcdef0", "i-0123456789abc"+mark))
}

// refused is in the SDK's error for an action that moto does not allow: its body
// is XML, whatever the protocol, so the code in it is lost.
const refused = "StatusCode: 403"

// The functions run with their roles' credentials, and moto refuses every action
// that the roles' policies do not name.
func TestOnMotoTheRolesAllowWhatTheFunctionsCall(t *testing.T) {
	m := newOnMoto(t, map[string]any{"TopicArn": ownTopic})
	answer, log := m.invoke("WebhookFunction", m.fresh("webhook-firing.json", "0001"))
	var webhook struct {
		StatusCode int
		Body       string
	}
	if err := json.Unmarshal(answer.Body, &webhook); err != nil || webhook.StatusCode != 200 || !strings.Contains(webhook.Body, `"action":"run"`) {
		t.Errorf("the webhook: %v, %s\n%s", answer.Err, answer.Body, log)
	}
	if strings.Contains(log, refused) {
		t.Errorf("the webhook was refused something:\n%s", log)
	}
	answer, log = m.invoke("SNSFunction", m.fresh("sns-firing.json", "0002"))
	if answer.Err != nil || strings.Contains(log, refused) || !strings.Contains(log, `"action":"run"`) {
		t.Errorf("sns: %v\n%s", answer.Err, log)
	}
}

// A right that a role lacks is seen: the test above would fail.
func TestOnMotoARightThatARoleLacksIsSeen(t *testing.T) {
	m := newOnMoto(t, map[string]any{"TopicArn": ownTopic})
	for i, action := range []string{"ssm:GetParameter", "ssm:SendCommand", "dynamodb:BatchGetItem", "dynamodb:PutItem"} {
		restore := m.without("WebhookRole", action)
		answer, log := m.invoke("WebhookFunction", m.fresh("webhook-firing.json", fmt.Sprintf("001%d", i)))
		restore()
		_, operation, _ := strings.Cut(action, ":")
		said := log + string(answer.Body)
		if !strings.Contains(said, operation) || !strings.Contains(said, refused) {
			t.Errorf("the role lacks %s, and nothing says so: %v, %s\n%s", action, answer.Err, answer.Body, log)
		}
	}
	// If the ledger fails, the notification goes on the queue, which needs a right
	// of its own.
	restore := m.without("WebhookRole", "dynamodb:BatchGetItem")
	answer, log := m.invoke("WebhookFunction", m.fresh("webhook-firing.json", "0020"))
	restore()
	if !strings.Contains(string(answer.Body), `\"action\":\"later\"`) {
		t.Errorf("without the ledger: %v, %s\n%s", answer.Err, answer.Body, log)
	}
	restore = m.without("WebhookRole", "dynamodb:BatchGetItem", "sqs:SendMessage")
	answer, log = m.invoke("WebhookFunction", m.fresh("webhook-firing.json", "0021"))
	restore()
	if !strings.Contains(string(answer.Body), `"statusCode":500`) || !strings.Contains(log, "SendMessage") {
		t.Errorf("without the ledger and the queue: %v, %s\n%s", answer.Err, answer.Body, log)
	}
}

// The widget's function as its role lets it: it shows what the webhook has sent, and
// pauses. Without the right to write it says so.
func TestOnMotoTheWidgetsRoleAllowsWhatItCalls(t *testing.T) {
	m := newOnMoto(t, map[string]any{"TopicArn": ownTopic, "Widget": "control"})
	if answer, log := m.invoke("WebhookFunction", m.fresh("webhook-firing.json", "0030")); answer.Err != nil {
		t.Fatalf("%v\n%s", answer.Err, log)
	}
	look := func(parameters string) string {
		t.Helper()
		answer, log := m.invoke("WidgetFunction", []byte(`{`+parameters+`"widgetContext": {"forms": {"all": {"why": "a test", "for": "1h"}}}}`))
		var html string
		if err := json.Unmarshal(answer.Body, &html); err != nil || answer.Err != nil {
			t.Fatalf("%v, %v\n%s", err, answer.Err, log)
		}
		return html
	}
	if html := look(""); !strings.Contains(html, "i-0123456789abc0030") || !strings.Contains(html, "On the queue: ") {
		t.Errorf("it shows %s", html)
	}
	pause := `"do": "pause", "command": "reboot", `
	restore := m.without("WidgetRole", "dynamodb:PutItem")
	html := look(pause)
	restore()
	if !strings.Contains(html, "That did not work") || !strings.Contains(html, "PutItem") || !strings.Contains(html, refused) {
		t.Errorf("the role lacks dynamodb:PutItem, and nothing says so: %s", html)
	}
	if html := look(pause); !strings.Contains(html, "Paused &#34;reboot&#34; until ") {
		t.Errorf("pause: %s", html)
	}
	if html := look(`"do": "resume", "command": "reboot", `); !strings.Contains(html, "Resumed &#34;reboot&#34;.") {
		t.Errorf("resume: %s", html)
	}
}
