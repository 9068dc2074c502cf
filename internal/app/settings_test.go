package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

func TestInitErrors(t *testing.T) {
	s := newStack(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	noTargets := file("no-targets.yaml", "commands:\n  - cmd: x\n")
	unknown := file("unknown.yaml", "comands: []\n")
	missing := filepath.Join(dir, "missing.yaml")
	webhook := func(env Getenv) error {
		_, err := NewWebhookFunction(t.Context(), env, s.logger(), &s.out)
		return err
	}
	sns := func(env Getenv) error {
		_, err := NewSNSFunction(t.Context(), env, s.logger(), &s.out)
		return err
	}
	worker := func(env Getenv) error {
		_, err := NewWorkerFunction(t.Context(), env, s.logger(), &s.out, noReports)
		return err
	}
	widget := func(env Getenv) error {
		_, err := NewWidgetFunction(t.Context(), env, s.logger(), &s.out, func(WidgetParts) WidgetHandler { return nil })
		return err
	}
	const (
		noQueue  = "AMX_QUEUE_URL is not set: give it the URL of the SQS queue that keeps what is put off"
		noDead   = "AMX_DEAD_LETTER_URL is not set: give it the URL of the SQS queue that takes what is given up"
		noTable  = "AMX_TABLE is not set: give it the name of the DynamoDB table that holds the ledger"
		noTokens = `AMX_TOKEN_PARAMETER is not set: give it the name of a SecureString with the accepted tokens, one a line; or set AMX_AUTH to "iam" where the function URL authenticates`
		noTopics = "AMX_TOPIC_ARNS is not set: give it the ARNs of the topics whose messages are accepted, separated by commas"
	)
	for _, tt := range []struct {
		name  string
		make  func(Getenv) error
		vars  map[string]string
		want  string
		calls string
	}{
		{"webhook: all that it needs", webhook, nil, "", "[]"},
		{"sns: all that it needs", sns, map[string]string{"AMX_TOKEN_PARAMETER": ""}, "", "[]"},
		{"worker: all that it needs", worker, map[string]string{"AMX_TOKEN_PARAMETER": "", "AMX_TOPIC_ARNS": ""}, "", "[]"},
		{"webhook: nothing", webhook, map[string]string{"AMX_TABLE": "", "AMX_QUEUE_URL": "", "AMX_TOKEN_PARAMETER": ""}, noTable + "\n" + noQueue + "\n" + noTokens, "[]"},
		{"worker: nothing", worker, map[string]string{"AMX_TABLE": "", "AMX_QUEUE_URL": "", "AMX_DEAD_LETTER_URL": ""}, noTable + "\n" + noQueue + "\n" + noDead, "[]"},
		{"widget: all that it needs", widget, map[string]string{"AMX_TOKEN_PARAMETER": "", "AMX_TOPIC_ARNS": "", "AMX_WIDGET": "control"}, "", "[]"},
		{"widget: reads no configuration", widget, map[string]string{"AMX_CONFIG": "ssm:/amx/missing"}, "", "[]"},
		{"widget: nothing", widget, map[string]string{"AMX_TABLE": "", "AMX_QUEUE_URL": "", "AMX_DEAD_LETTER_URL": ""}, noTable + "\n" + noQueue + "\n" + noDead, "[]"},
		{"widget: no such one", widget, map[string]string{"AMX_WIDGET": "none"}, `AMX_WIDGET is "none": want "read" or "control"`, "[]"},
		{"a queue by its name", sns, map[string]string{"AMX_QUEUE_URL": "work"}, `AMX_QUEUE_URL is "work": want the URL of an SQS queue, not its name or ARN`, "[]"},
		{"dead letters by their ARN", worker, map[string]string{"AMX_DEAD_LETTER_URL": "arn:aws:sqs:eu-central-1:123456789012:dead"}, `AMX_DEAD_LETTER_URL is "arn:aws:sqs:eu-central-1:123456789012:dead": want the URL of an SQS queue, not its name or ARN`, "[]"},
		{"a history that is none", worker, map[string]string{"AMX_HISTORY": "for ever"}, `AMX_HISTORY is "for ever": want a duration such as "90d", or "0" for no history`, "[]"},
		{"webhook: authenticated by its URL", webhook, map[string]string{"AMX_TOKEN_PARAMETER": "", "AMX_AUTH": "iam"}, "", "[]"},
		{"webhook: no such authentication", webhook, map[string]string{"AMX_AUTH": "none"}, `AMX_AUTH is "none": want "token" or "iam"`, "[]"},
		{"sns: nothing", sns, map[string]string{"AMX_TABLE": "", "AMX_TOPIC_ARNS": " ,"}, noTable + "\n" + noTopics, "[]"},
		{"sns: no topic", sns, map[string]string{"AMX_TOPIC_ARNS": "alerts"}, `AMX_TOPIC_ARNS has "alerts": want the ARN of an SNS topic`, "[]"},
		{"a lag that is none", sns, map[string]string{"AMX_LIST_LAG": "2"}, `AMX_LIST_LAG is "2": want a duration such as "2m"`, "[]"},
		{"a lag before its time", sns, map[string]string{"AMX_LIST_LAG": "-2m"}, `AMX_LIST_LAG is "-2m": want a duration such as "2m"`, "[]"},
		{"no region", sns, map[string]string{"AWS_REGION": ""}, "AWS_REGION is not set: Lambda sets it; elsewhere give it the region of the nodes and the table", "[]"},
		{"a configuration from nowhere", sns, map[string]string{"AMX_CONFIG": "amx.yaml"}, `AMX_CONFIG is "amx.yaml": want "file:" and a path, or "ssm:" and the name of a parameter`, "[]"},
		{"no such file", sns, map[string]string{"AMX_CONFIG": "file:" + missing}, `AMX_CONFIG "file:` + missing + `": open ` + missing + `: no such file or directory: put it beside bootstrap, or name another with AMX_CONFIG`, "[]"},
		{"a key that is none", sns, map[string]string{"AMX_CONFIG": "file:" + unknown}, unknown + `:1: unknown key "comands": did you mean "commands"?`, "[]"},
		{"no targets", webhook, map[string]string{"AMX_CONFIG": "file:" + noTargets}, noTargets + `:2: commands[0] "x": no targets: add "targets" to it, or to the file as the default`, "[]"},
		{"a configuration in Parameter Store", sns, map[string]string{"AMX_CONFIG": "ssm:/amx/config"}, "", "[GetParameter]"},
		{"a broken one there", webhook, map[string]string{"AMX_CONFIG": "ssm:/amx/broken"}, `ssm:/amx/broken:1: unknown key "x": the nearest are`, "[GetParameter]"},
		{"no such parameter", webhook, map[string]string{"AMX_CONFIG": "ssm:/amx/missing"}, `AMX_CONFIG "ssm:/amx/missing": GetParameter "/amx/missing": ParameterNotFound: `, "[GetParameter]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.ssm.SetParameter("/amx/config", amx.Pack([]byte(config)))
			s.ssm.SetParameter("/amx/broken", "x: y")
			err := tt.make(s.with(tt.vars))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)):
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if calls := sprint(s.calls()); calls != tt.calls {
				t.Errorf("called %s, want %s", calls, tt.calls)
			}
		})
	}
}

func TestDurationsOfTheEnvironment(t *testing.T) {
	read := func(name, text string) *settings {
		t.Helper()
		s, err := readSettings(func(n string) string {
			return map[string]string{"AMX_TABLE": "t", "AMX_QUEUE_URL": "https://sqs/1/work", "AWS_REGION": "r", name: text}[n]
		}, func(*settings) error { return nil })
		if err != nil {
			t.Errorf("%s=%s: %v", name, text, err)
		}
		return s
	}
	for text, want := range map[string]time.Duration{"": 2 * time.Minute, "90s": 90 * time.Second, "0s": 0} {
		if got := read("AMX_LIST_LAG", text).listLag; got != want {
			t.Errorf("AMX_LIST_LAG=%s is %v", text, got)
		}
	}
	for text, want := range map[string]time.Duration{"": 90 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "36h": 36 * time.Hour, "0": 0} {
		if got := read("AMX_HISTORY", text).history; got != want {
			t.Errorf("AMX_HISTORY=%s is %v", text, got)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for _, tt := range []struct {
		name string
		vars map[string]string
		want string
	}{
		{"AWS's own", nil, ""},
		{"of the service", map[string]string{"AWS_ENDPOINT_URL_SSM": "http://a", "AWS_ENDPOINT_URL": "http://b"}, "http://a"},
		{"of all services", map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": "http://a", "AWS_ENDPOINT_URL": "http://b"}, "http://b"},
		{"ignored", map[string]string{"AWS_ENDPOINT_URL_SSM": "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := newConnection(func(name string) string { return tt.vars[name] }).endpoint("SSM")
			if (got == nil) != (tt.want == "") || got != nil && *got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestCredentialsThatAreMissingAreNamed(t *testing.T) {
	_, err := environmentCredentials(func(string) string { return "" }).Retrieve(t.Context())
	if want := "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: Lambda sets them"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
