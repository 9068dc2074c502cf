package stacktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/lambdatest"
)

// artifacts is a folder with the build of each function. make sam-check passes SAM's
// own in AMX_TEST_ARTIFACTS; otherwise artifacts calls the Makefile's targets as SAM
// does. A binary for arm64 does not start on another processor, so the tests use a
// build for this machine, with the same sources and flags.
func artifacts(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("AMX_TEST_ARTIFACTS"); dir != "" {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
		dir, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	made.Do(func() {
		dir, err := os.MkdirTemp("", "amx-artifacts-")
		if err != nil {
			t.Fatal(err)
		}
		made.dir = dir
		for _, id := range []string{"WebhookFunction", "SNSFunction", "WorkerFunction", "WidgetFunction"} {
			if out, err := build(t, id, filepath.Join(dir, id), "CONFIG=examples/amx-ec2.yaml"); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		made.whole = true
	})
	if !made.whole {
		t.Fatal("the functions could not be built")
	}
	return made.dir
}

// made are the artifacts, which are built once.
var made struct {
	sync.Once
	dir   string
	whole bool
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(made.dir)
	os.Exit(code)
}

// build calls a target as SAM does: by the logical ID, with ARTIFACTS_DIR in the
// environment.
func build(t *testing.T, id, to string, env ...string) (string, error) {
	t.Helper()
	if to != "" {
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	make := exec.Command("make", "build-"+id)
	make.Dir = root
	make.Env = append(os.Environ(), "GOARCH="+runtime.GOARCH, "ARTIFACTS_DIR="+to, "MAKEFLAGS=", "MAKELEVEL=")
	make.Env = append(make.Env, env...)
	out, err := make.CombinedOutput()
	return string(out), err
}

// start runs an artifact with the environment that the stack gives it.
func start(t *testing.T, s *stack, dir, id string, more ...string) *lambdatest.Function {
	t.Helper()
	var env []string
	for name, value := range s.of("AWS::Lambda::Function")[id]["Environment"].(object)["Variables"].(object) {
		env = append(env, fmt.Sprintf("%s=%v", name, value))
	}
	slices.Sort(env)
	f := lambdatest.Start(t, filepath.Join(dir, id, "bootstrap"), append(env, more...)...)
	took, err := f.Init()
	if err != nil {
		t.Fatalf("%s: %v\n%s", id, err, f.Log())
	}
	t.Logf("%s polls %v after its start", id, took.Round(time.Millisecond))
	return f
}

var stamp = regexp.MustCompile(`"Timestamp": "[^"]*"`)

// event is an example, sent now: an older firing of SNS is stale.
func event(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(root + "/examples/events/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return stamp.ReplaceAll(text, fmt.Appendf(nil, `"Timestamp": %q`, time.Now().UTC().Format(time.RFC3339Nano)))
}

func TestTheBuiltFunctionsAnswerTheExampleEvents(t *testing.T) {
	t.Parallel()
	dir := artifacts(t)
	s := deploy(t, map[string]any{"TopicArn": ownTopic, "Widget": "control"})
	ssm := &awstest.SSM{Parameters: map[string]string{"/amx/amx/tokens": "example-token\n"}}
	queues := &awstest.SQS{Names: []string{"WorkQueue", "DeadLetterQueue"}}
	wire := &awstest.Wire{Next: ssm, Check: awstest.CheckSSM}
	table := awstest.NewTable(t, "")
	aws := []string{"AWS_ENDPOINT_URL_SSM=" + wire.Listen(t), "AWS_ENDPOINT_URL_DYNAMODB=" + table.Endpoint, "AMX_TABLE=" + table.Name, "AWS_ENDPOINT_URL_SQS=" + (&awstest.Wire{Next: queues, Check: awstest.CheckSQS}).Listen(t)}

	answers := map[string]string{}
	for _, id := range []string{"WebhookFunction", "SNSFunction"} {
		kind := strings.ToLower(strings.TrimSuffix(id, "Function"))
		f := start(t, s, dir, id, aws...)
		for _, status := range []string{"firing", "resolved"} {
			name := kind + "-" + status + ".json"
			a := f.Invoke(event(t, name), 30*time.Second)
			if a.Err != nil {
				t.Errorf("%s: %v", name, a.Err)
			}
			answers[name] = string(a.Body)
		}
		if _, err := f.Terminate(); err != nil { // then its log is whole
			t.Error(err)
		}
		shownOnTheDashboard(t, s, f.Log())
	}
	a := start(t, s, dir, "WorkerFunction", aws...).Invoke(event(t, "worker-ended.json"), 30*time.Second)
	if a.Err != nil {
		t.Errorf("worker-ended.json: %v", a.Err)
	}
	a = start(t, s, dir, "WidgetFunction", aws...).Invoke(event(t, "widget.json"), 30*time.Second)
	var html string
	if err := json.Unmarshal(a.Body, &html); err != nil || a.Err != nil || !strings.Contains(html, "Pause everything") || !strings.Contains(html, "i-0123456789abcdef0") {
		t.Errorf("widget.json: %v, %v\n%s", a.Err, err, a.Body)
	}
	for name, want := range map[string]string{
		"webhook-firing.json": `"action":"run"`, "webhook-resolved.json": `"action":"skip"`,
		"sns-firing.json": "null", "sns-resolved.json": "null",
	} {
		var a struct {
			StatusCode int
			Body       string
		}
		if strings.HasPrefix(name, "webhook") {
			if err := json.Unmarshal([]byte(answers[name]), &a); err != nil || a.StatusCode != 200 {
				t.Errorf("%s: %v, %s", name, err, answers[name])
			}
		} else {
			a.Body = answers[name]
		}
		if !strings.Contains(a.Body, want) {
			t.Errorf("%s: answered %s, want %s", name, answers[name], want)
		}
	}
	// The same alert by both ways is one run.
	sent := ssm.Commands()
	if len(sent) != 1 || sent[0].Document != "AWS-RunShellScript" || !slices.Equal(sent[0].Nodes, []string{"i-0123456789abcdef0"}) {
		t.Errorf("sent %+v", sent)
	}
}

// shownOnTheDashboard looks for what the dashboard's query does: lines with one
// of its messages, that have its fields.
func shownOnTheDashboard(t *testing.T, s *stack, log string) {
	t.Helper()
	body := s.of("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"].(string)
	query := regexp.MustCompile(`fields @timestamp, ([^|]*) \| filter message in \[([^]]*)\]`).FindStringSubmatch(body)
	if query == nil {
		t.Fatalf("no such query in %s", body)
	}
	found := 0
	for line := range strings.Lines(log) {
		var entry object
		if json.Unmarshal([]byte(line), &entry) != nil || !strings.Contains(query[2], fmt.Sprintf("'%v'", entry["message"])) {
			continue
		}
		found++
		for field := range strings.SplitSeq(strings.TrimSpace(query[1]), ", ") {
			if _, there := entry[field]; !there && field != "error" { // what is unsettled has one
				t.Errorf("the dashboard shows %s, which is not in %s", field, line)
			}
		}
	}
	if found != 2 {
		t.Errorf("the dashboard shows %d of two decisions:\n%s", found, log)
	}
}

func TestTheExampleEventsAreAllThere(t *testing.T) {
	entries, err := os.ReadDir(root + "/examples/events")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"sns-firing.json", "sns-resolved.json", "webhook-firing.json", "webhook-resolved.json", "widget.json", "worker-ended.json"}; !slices.Equal(names, want) {
		t.Errorf("there is %q, want %q", names, want)
	}
}

func TestBuildErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env  []string
		to   bool
		want string
	}{
		"no configuration":        {[]string{"CONFIG=no/such.yaml"}, true, "CONFIG=no/such.yaml: no such file. Begin with examples/amx-ec2.yaml, or build with CONFIG= for a configuration in Parameter Store"},
		"a configuration outside": {[]string{"CONFIG=../amx.yaml"}, true, "CONFIG=../amx.yaml: want a file under this folder, or the build cache of SAM would miss its changes"},
		"a wrong configuration":   {[]string{"CONFIG=examples/samconfig.toml"}, true, "examples/samconfig.toml:"},
		"one that Lambda refuses": {[]string{"CONFIG=examples/amx.yaml"}, true, `examples/amx.yaml:4: commands[0] "show-alert": no targets: add "targets" to it, or to the file as the default`},
		"not from SAM":            {nil, false, "ARTIFACTS_DIR is not set: sam build sets it; make lambda builds without SAM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := ""
			if tt.to {
				to = t.TempDir()
			}
			out, err := build(t, "SNSFunction", to, tt.env...)
			if err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("%v\n%s\nwant %s", err, out, tt.want)
			}
			if _, err := os.Stat(filepath.Join(to, "bootstrap")); to != "" && err == nil {
				t.Error("built all the same")
			}
		})
	}
}

func TestAConfigurationInParameterStoreNeedsNoFile(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	if out, err := build(t, "SNSFunction", filepath.Join(to, "SNSFunction"), "CONFIG="); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	entries, err := os.ReadDir(filepath.Join(to, "SNSFunction"))
	if err != nil || len(entries) != 1 {
		t.Errorf("built %v (%v), want bootstrap alone", entries, err)
	}
	text, err := os.ReadFile(root + "/examples/amx-ec2.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ssm := &awstest.SSM{Parameters: map[string]string{"/amx/amx/config": amx.Pack(text)}}
	wire := &awstest.Wire{Next: ssm, Check: awstest.CheckSSM}
	table := awstest.NewTable(t, "")
	s := deploy(t, map[string]any{"TopicArn": ownTopic, "ConfigSource": "parameter"})
	f := start(t, s, to, "SNSFunction", "AWS_ENDPOINT_URL_SSM="+wire.Listen(t), "AWS_ENDPOINT_URL_DYNAMODB="+table.Endpoint, "AMX_TABLE="+table.Name)
	if a := f.Invoke(event(t, "sns-firing.json"), 30*time.Second); a.Err != nil || len(ssm.Commands()) != 1 {
		t.Errorf("%v, %d commands", a.Err, len(ssm.Commands()))
	}
}

// The functions read every variable that the template sets.
func TestVariablesOfTheFunctions(t *testing.T) {
	source, err := os.ReadFile(root + "/internal/app/settings.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, choice := range slices.Sorted(maps.Keys(choices)) {
		s := deploy(t, choices[choice])
		for id, f := range s.of("AWS::Lambda::Function") {
			for name, value := range f["Environment"].(object)["Variables"].(object) {
				if !strings.Contains(string(source), `env("`+name+`")`) || value == "" {
					t.Errorf("%s: %s: %s=%v", choice, id, name, value)
				}
			}
		}
	}
}
