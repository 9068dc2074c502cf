package stacktest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/lambdatest"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

const (
	first      = root + "/examples/amx-first.yaml"
	people     = "arn:aws:sns:eu-central-1:123456789012:people"
	untagged   = "i-0123456789abcdef1"
	tokensName = "/amx/amx/tokens"
	configName = "/amx/amx/config"
	snsVersion = "2010-03-31"
)

// clinic is a stack on moto in which all is well, and amx doctor with the rights of
// examples/iam/doctor.json.
type clinic struct {
	*onMoto
	*front
	amx          string // the program
	subscription string
}

func newClinic(t *testing.T, parameters map[string]any, url string) *clinic {
	t.Helper()
	c := &clinic{onMoto: &onMoto{account: moto(t), stack: deploy(t, parameters)}, amx: filepath.Join(t.TempDir(), "amx")}
	c.front = newFront(c.account, ssmlocal.Node{ID: webNode, Tags: map[string]string{"amx:allowed": "true", "Role": "web"}}, ssmlocal.Node{ID: untagged, Tags: map[string]string{"Role": "db"}})
	c.ids = c.create(c.stack, url)
	c.token(ownKey)
	c.configure(string(must(t)(os.ReadFile(first))))
	if c.ids["Topic"] != "" {
		c.setPolicy(workspace)
		c.subscribe()
	}
	c.makeAlarms()
	if out, err := exec.Command("go", "build", "-o", c.amx, root+"/cmd/amx").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c.query("iam", iamVersion, "CreateRole", "RoleName", "doctor", "AssumeRolePolicyDocument", `{"Version": "2012-10-17", "Statement": []}`)
	t.Cleanup(func() {
		for name := range c.policies() {
			c.query("iam", iamVersion, "DeleteRolePolicy", "RoleName", "doctor", "PolicyName", name)
		}
		c.query("iam", iamVersion, "DeleteRole", "RoleName", "doctor")
	})
	for name, document := range c.policies() {
		c.putPolicy("doctor", name, document)
	}
	return c
}

func must(t *testing.T) func([]byte, error) []byte {
	return func(text []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// policies are those of the doctor's role, as moto can check them: it knows the
// actions of CloudWatch by the name that signs them.
func (c *clinic) policies() map[string]any {
	c.Helper()
	var policy any
	text := must(c.T)(os.ReadFile(root + "/examples/iam/doctor.json"))
	if err := json.Unmarshal(bytes.ReplaceAll(text, []byte("cloudwatch:"), []byte("monitoring:")), &policy); err != nil {
		c.Fatal(err)
	}
	widen(policy)
	return map[string]any{"doctor": policy}
}

func (c *clinic) token(key string) {
	c.Helper()
	c.json("ssm", "AmazonSSM.PutParameter", string(encoded(c.T, object{
		"Name": tokensName, "Type": "SecureString", "Value": "example-token", "KeyId": key, "Overwrite": true,
	})))
}

func (c *clinic) configure(text string) {
	c.Helper()
	c.parameter(configName, "String", amx.Pack([]byte(text)))
}

func (c *clinic) forget(parameter string) {
	c.Helper()
	c.json("ssm", "AmazonSSM.DeleteParameter", string(encoded(c.T, object{"Name": parameter})))
}

// setPolicy gives the topic the template's policy, for a workspace.
func (c *clinic) setPolicy(of string) {
	c.Helper()
	policy := encoded(c.T, c.stack.of("AWS::SNS::TopicPolicy")["TopicPolicy"]["PolicyDocument"])
	policy = bytes.ReplaceAll(policy, []byte(workspace), []byte(of))
	c.query("sns", snsVersion, "SetTopicAttributes", "TopicArn", c.ids["Topic"], "AttributeName", "Policy", "AttributeValue", string(policy))
}

func (c *clinic) subscribe() {
	c.Helper()
	c.subscription = c.found("SubscriptionArn", c.query("sns", snsVersion, "Subscribe", "TopicArn", c.ids["Topic"], "Protocol", "lambda",
		"Endpoint", "arn:aws:lambda:eu-central-1:123456789012:function:"+c.ids["SNSFunction"]))
}

// makeAlarms makes the template's alarms.
func (c *clinic) makeAlarms() {
	c.Helper()
	var names []string
	for id, properties := range c.stack.of("AWS::CloudWatch::Alarm") {
		c.alarms[id] = "amx-" + id + "-1A2B3C"
		names = append(names, c.alarms[id])
		alarm := maps.Clone(properties)
		alarm["AlarmName"] = c.alarms[id]
		c.cloudWatch("PutMetricAlarm", alarm)
	}
	c.Cleanup(func() { c.cloudWatch("DeleteAlarms", object{"AlarmNames": names}) })
}

func (c *clinic) cloudWatch(operation string, body object) {
	c.Helper()
	c.json("monitoring", cloudWatchTarget+operation, string(encoded(c.T, body)))
}

// doctor runs amx doctor with its role's credentials while moto checks.
func (c *clinic) doctor(args ...string) (lines string, code int) {
	c.Helper()
	doctor := exec.Command(c.amx, append([]string{"doctor", "--region", "eu-central-1"}, args...)...)
	c.role = c.assume("doctor")
	doctor.Env = append(variables(c.role), "AWS_ENDPOINT_URL="+c.endpoint, "HOME="+c.TempDir(), "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1")
	var out, errs bytes.Buffer
	doctor.Stdout, doctor.Stderr = &out, &errs
	c.checks(true)
	err := doctor.Run()
	c.checks(false)
	if errs.Len() > 0 {
		c.Errorf("%v\n%s", err, &errs)
	}
	return out.String(), doctor.ProcessState.ExitCode()
}

// well is what amx doctor prints where nothing is wrong.
func (c *clinic) well() string {
	return `ok     stack: amx is CREATE_COMPLETE
ok     token: 1 accepted, in the SecureString /amx/amx/tokens
ok     topic: ` + workspace + ` may publish to ` + c.ids["Topic"] + `, and the function is subscribed
ok     dead-letter queue: nothing waits
ok     work queue: nothing waits
ok     alarms: 17 are quiet; they notify AlarmTopicArn
ok     configuration: /amx/amx/config is good, 1 command
ok     nodes: 2 managed, 1 of them with the tag amx:allowed=true, all online
`
}

// The stack that moto made is examined with the rights of examples/iam/doctor.json.
// Each fault is seeded alone, and found alone; so is each right that is missing.
func TestOnMotoTheDoctorFindsEachFault(t *testing.T) {
	c := newClinic(t, map[string]any{"WorkspaceArn": workspace, "ConfigSource": "parameter", "ParameterKeyArn": ownKey, "AlarmTopicArn": people}, "")
	usual := []string{"--stack", "amx", "-f", first, "--node", webNode}
	if got, code := c.doctor(usual...); code != 0 || got != c.well() {
		t.Errorf("all is well: exit %d\ngot\n%s\nwant\n%s", code, got, c.well())
	}
	text := string(must(t)(os.ReadFile(first)))
	fixed := func(targets string) func() func() {
		return func() func() {
			c.configure("targets: [" + targets + "]\ncommands: [{name: x, script: ls, matchers: [a=b]}]\n")
			return func() { c.configure(text) }
		}
	}
	altered := func(was, is string) func() func() {
		return func() func() { return c.alters(was, is) }
	}
	alarm := func(state string) {
		c.cloudWatch("SetAlarmState", object{"AlarmName": c.alarms["DeadLetterAlarm"], "StateValue": state, "StateReason": "a test"})
	}
	other := workspace + "9"
	for name, tt := range map[string]struct {
		seed func() (mend func())
		args []string // default: the stack alone
		want string
	}{
		"another stack": {nil, []string{"--stack", "other"}, `stack: "other" cannot be read: DescribeStacks: ValidationError: Stack with id other does not exist; name another with --stack, --region or --profile`},
		"no token": {
			func() func() { c.forget(tokensName); return func() { c.token(ownKey) } }, nil,
			`token: there is no parameter "/amx/amx/tokens", so the webhook answers 500: run the stack's output TokenCommand`,
		},
		"a token under another key": {
			func() func() { c.token("alias/aws/ssm"); return func() { c.token(ownKey) } }, nil,
			`token: "/amx/amx/tokens" is encrypted with "alias/aws/ssm", which the webhook may not use: put it again with --key-id ` + ownKey,
		},
		"a topic policy without the workspace": {
			func() func() { c.setPolicy(other); return func() { c.setPolicy(workspace) } }, nil,
			"topic: the policy of " + c.ids["Topic"] + " is wrong: it names " + other + "; it should have the statement of examples/iam/topic.json",
		},
		"no subscription": {func() func() {
			c.query("sns", snsVersion, "Unsubscribe", "SubscriptionArn", c.subscription)
			return c.subscribe
		}, nil, "topic: the function " + c.ids["SNSFunction"] + " is not subscribed to " + c.ids["Topic"] + ": deploy the stack again"},
		"a dead letter": {func() func() {
			c.json("sqs", "AmazonSQS.SendMessage", string(encoded(t, object{"QueueUrl": c.ids["DeadLetterQueue"], "MessageBody": "lost"})))
			return func() {
				c.json("sqs", "AmazonSQS.PurgeQueue", string(encoded(t, object{"QueueUrl": c.ids["DeadLetterQueue"]})))
			}
		}, nil, "dead-letter queue: 1 could not be handled: when the cause is gone, run examples/redrive.sh amx"},
		"an alarm that is on": {
			func() func() { alarm("ALARM"); return func() { alarm("OK") } }, nil,
			"alarms: DeadLetterAlarm is on: " + c.stack.of("AWS::CloudWatch::Alarm")["DeadLetterAlarm"]["AlarmDescription"].(string) + " docs/runbook.md says what to do",
		},
		"no configuration": {
			func() func() { c.forget(configName); return func() { c.configure(text) } }, nil,
			`configuration: there is no parameter "/amx/amx/config", so no function starts: put there what amx config --pack prints`,
		},
		"another configuration than the file": {
			nil,
			[]string{"--stack", "amx", "-f", root + "/examples/amx-ec2.yaml"},
			"configuration: /amx/amx/config differs from ../../examples/amx-ec2.yaml: put the output of amx config --pack ../../examples/amx-ec2.yaml there, or use what is there (amx config)",
		},
		"a target that is not managed": {
			fixed("{key: InstanceIds, values: [i-0123456789abcdef9]}"), nil,
			"node i-0123456789abcdef9: SSM does not know it: give it a role, then restart its agent (docs/first-steps.md)",
		},
		"a target that is offline": {
			altered(`"PingStatus":"Online"`, `"PingStatus":"ConnectionLost"`), nil,
			"node " + webNode + ": its agent is ConnectionLost: start the instance or its agent, or take the tag away",
		},
		"a target without the tag": {
			fixed("{key: 'tag:Role', values: [db]}"), nil,
			"node " + untagged + ": it lacks the tag amx:allowed=true, so IAM refuses commands for it: tag it",
		},
		"a tag that no node has": {
			fixed("{key: 'tag:Role', values: [cache]}"), nil,
			`nodes: command "x": no managed node has tag:Role=cache: tag one, or change the targets`,
		},
		"an old agent": {
			altered(`"AgentVersion":"3.`, `"AgentVersion":"2.`), nil,
			"node " + webNode + ": its agent is of version 2.3.2746.0: update it to 3.0 or later, with the document AWS-UpdateSSMAgent",
		},
	} {
		mend := func() {}
		if tt.seed != nil {
			mend = tt.seed()
		}
		if tt.args == nil {
			tt.args = []string{"--stack", "amx"}
		}
		got, code := c.doctor(tt.args...)
		mend()
		if code != 1 || !slices.Equal(wrongs(got), []string{tt.want}) {
			t.Errorf("%s: exit %d\n%s\nwant as the one that is wrong\n%s", name, code, got, tt.want)
		}
	}
	for action := range c.rights() {
		_, operation, _ := strings.Cut(action, ":")
		if slices.Contains([]string{"Publish", "ListCommands", "ListCommandInvocations"}, operation) {
			continue // of --send
		}
		restore := c.narrow("doctor", c.policies, action)
		got, code := c.doctor(usual...)
		restore()
		if code != 1 || !strings.Contains(strings.Join(wrongs(got), "\n"), operation+": ") {
			t.Errorf("without %s: exit %d\n%s", action, code, got)
		}
	}
	if got, code := c.doctor(usual...); code != 0 || got != c.well() {
		t.Errorf("all is well again: exit %d\n%s", code, got)
	}
}

// rights are the actions of the doctor's policy.
func (c *clinic) rights() map[string]bool {
	all := map[string]bool{}
	for _, st := range c.policies()["doctor"].(object)["Statement"].([]any) {
		for _, action := range list(st.(object)["Action"]) {
			all[action] = true
		}
	}
	return all
}

func wrongs(lines string) (wrong []string) {
	for line := range strings.Lines(lines) {
		if text, ok := strings.CutPrefix(line, "wrong  "); ok {
			wrong = append(wrong, strings.TrimSuffix(text, "\n"))
		}
	}
	return wrong
}

// The rehearsal goes the whole way: amx doctor, the built webhook function behind a
// URL with its role's rights, and a process on a node that is stopped again. SNS's
// way is not among them, because moto runs functions in containers.
func TestOnMotoTheDoctorRehearses(t *testing.T) {
	var webhook *lambdatest.Function
	url := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		answer := webhook.Invoke(urlEvent(t, r.Header.Get("Authorization"), must(t)(io.ReadAll(r.Body))), time.Minute)
		var a struct {
			StatusCode int
			Body       string
		}
		if err := json.Unmarshal(answer.Body, &a); err != nil {
			t.Errorf("%v, %v", answer.Err, err)
		}
		out.WriteHeader(a.StatusCode)
		out.Write([]byte(a.Body))
	}))
	t.Cleanup(url.Close)
	c := newClinic(t, map[string]any{"FrontEnds": "webhook", "ConfigSource": "parameter"}, url.URL)
	c.dir = artifacts(t)
	c.reach(c.endpoint)
	webhook = c.start("WebhookFunction")
	got, code := c.doctor("--stack", "amx", "--node", webNode, "--send")
	_, rehearsed, _ := strings.Cut(got, "all online\n")
	for pattern, same := range map[string]string{`[0-9.]+ s`: "N s", `[0-9A-Z]{26}`: "RUN", `cancel, .*`: "cancel"} {
		rehearsed = regexp.MustCompile(pattern).ReplaceAllString(rehearsed, same)
	}
	want := `ok     webhook rehearsal: firing, answered after N s: run, firing
ok     webhook rehearsal: SSM has the command after N s: run RUN of "rehearsal"
ok     webhook rehearsal: the node runs it after N s: InProgress
ok     webhook rehearsal: resolved, answered after N s: cancel
ok     webhook rehearsal: it is stopped after N s: Cancelled
`
	if code != 0 || rehearsed != want {
		t.Errorf("exit %d\n%s\nwant at its end\n%s", code, got, want)
	}
	for _, action := range []string{"ssm:ListCommands", "ssm:ListCommandInvocations"} {
		restore := c.narrow("doctor", c.policies, action)
		got, code := c.doctor("--stack", "amx", "--node", webNode, "--send")
		restore()
		_, operation, _ := strings.Cut(action, ":")
		if code != 1 || !strings.Contains(strings.Join(wrongs(got), "\n"), operation+": ") {
			t.Errorf("without %s: exit %d\n%s", action, code, got)
		}
	}
}
