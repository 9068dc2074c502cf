package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cloudformationtypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

const (
	doctorNode  = "i-0123456789abcdef0"
	doctorTopic = "arn:aws:sns:eu-central-1:123456789012:amx-Topic"
	doctorKey   = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d"
	workspace   = "arn:aws:aps:eu-central-1:123456789012:workspace/ws-01234567-89ab-cdef-0123-456789abcdef"
	topicPolicy = `{"Statement": [{"Effect": "Allow", "Principal": {"Service": "aps.amazonaws.com"}, "Action": ["sns:Publish", "sns:GetTopicAttributes"],
		"Condition": {"ArnEquals": {"aws:SourceArn": "` + workspace + `"}, "StringEquals": {"aws:SourceAccount": "123456789012"}}}]}`
)

// healthy is a stack in which all is well, on the nodes of a real amx serve.
func healthy(t *testing.T, h *host) *account {
	t.Helper()
	text := must(os.ReadFile("../../examples/amx-first.yaml"))
	packed := amx.Pack(text)
	token := "s3cr3t\n"
	return &account{
		t: t, status: cloudformationtypes.StackStatusUpdateComplete,
		outputs: map[string]string{
			"TableName": "amx-Table", "TokenCommand": "…", "TopicArn": doctorTopic, "WebhookURL": "https://example.on.aws/",
			"DeadLetterQueueURL": "https://sqs/dead", "WorkQueueURL": "https://sqs/work",
		},
		parameters: map[string]string{
			"NodeTagKey": "amx:allowed", "NodeTagValue": "true", "ConfigSource": "parameter", "WorkspaceArn": workspace, "ParameterKeyArn": doctorKey,
		},
		resources: map[string]string{
			"SNSFunction": "amx-SNSFunction-1", "WebhookFunction": "amx-WebhookFunction-1",
			"DeadLetterAlarm": "amx-DeadLetterAlarm-1", "SNSErrorsAlarm": "amx-SNSErrorsAlarm-1",
		},
		kept: map[string]ssmtypes.Parameter{
			"/amx/amx/tokens": {Value: &token, Type: ssmtypes.ParameterTypeSecureString},
			"/amx/amx/config": {Value: &packed, Type: ssmtypes.ParameterTypeString},
		},
		keys:          map[string]string{"/amx/amx/tokens": doctorKey},
		topic:         map[string]string{"Policy": topicPolicy, "KmsMasterKeyId": doctorKey},
		endpoints:     []string{"arn:aws:lambda:eu-central-1:123456789012:function:another", "arn:aws:lambda:eu-central-1:123456789012:function:amx-SNSFunction-1"},
		waiting:       map[string]string{"https://sqs/dead": "0", "https://sqs/work": "2"},
		told:          []string{"arn:aws:sns:eu-central-1:123456789012:people"},
		fails:         map[string]error{},
		commandReader: localClient(h.ssm),
	}
}

// doctorHost is an amx serve with two nodes, of which one has the tag.
func doctorHost(t *testing.T) *host {
	t.Helper()
	cfg, err := amx.ParseConfig("amx.yaml", must(os.ReadFile("../../examples/amx-first.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHost(cfg, filepath.Join(t.TempDir(), "ledger.db"), environment(), slog.New(slog.DiscardHandler),
		ssmlocal.Node{ID: doctorNode, Tags: map[string]string{"amx:allowed": "true", "Role": "web"}},
		ssmlocal.Node{ID: "i-0123456789abcdef1", Tags: map[string]string{"Role": "db"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// examined is what amx doctor prints of an account.
func examined(t *testing.T, a *account, c doctorCmd) (lines string, err error) {
	t.Helper()
	// Processes are what runs: however slow they are, no step is over by the clock.
	return examinedBy(t, a, c, func(ctx context.Context, _ *time.Time, _ time.Duration) bool { return pause(ctx, 10*time.Millisecond) })
}

// rehearse is what amx doctor --send prints where time passes with its pauses alone.
func rehearse(t *testing.T, a *account) (lines string, err error) {
	t.Helper()
	return examinedBy(t, a, doctorCmd{Node: doctorNode, Send: true}, func(_ context.Context, now *time.Time, d time.Duration) bool {
		*now = now.Add(d)
		return true
	})
}

// examinedBy has a clock of its own. Each look at it is a microsecond later, so that
// no two rehearsals begin at one time.
func examinedBy(t *testing.T, a *account, c doctorCmd, pause func(context.Context, *time.Time, time.Duration) bool) (lines string, err error) {
	t.Helper()
	var out bytes.Buffer
	c.Stack = "amx"
	now := time.Now()
	d := &doctor{
		stacks: a, parameters: a, commands: a, alarms: a, queues: a, topics: a, http: http.DefaultClient, out: &out,
		now:   func() time.Time { now = now.Add(time.Microsecond); return now },
		pause: func(ctx context.Context, d time.Duration) bool { return pause(ctx, &now, d) },
	}
	err = d.examine(t.Context(), &c)
	return out.String(), err
}

func TestDoctorAllIsWell(t *testing.T) {
	a := healthy(t, doctorHost(t))
	got, err := examined(t, a, doctorCmd{File: "../../examples/amx-first.yaml", Node: doctorNode})
	want := `ok     stack: amx is UPDATE_COMPLETE
ok     token: 1 accepted, in the SecureString /amx/amx/tokens
ok     topic: ` + workspace + ` may publish to ` + doctorTopic + `, and the function is subscribed
ok     dead-letter queue: nothing waits
ok     work queue: 2 waiting
ok     alarms: 2 are quiet; they notify AlarmTopicArn
ok     configuration: /amx/amx/config is good, 1 command
ok     nodes: 2 managed, 1 of them with the tag amx:allowed=true, all online
`
	if err != nil || got != want {
		t.Errorf("%v\ngot\n%s\nwant\n%s", err, got, want)
	}
	// It only reads.
	for _, call := range a.asked {
		if _, name, _ := strings.Cut(call, ":"); !regexp.MustCompile(`^(Get|Describe|List)`).MatchString(name) {
			t.Errorf("called %s", call)
		}
	}
}

// Each fault alone: one line tells it, and what to do.
func TestDoctorFindsEachFault(t *testing.T) {
	h := doctorHost(t)
	denied := apiErr("AccessDeniedException", "User: ann is not authorized to perform: kms:Decrypt")
	setToken := func(value string, kind ssmtypes.ParameterType) func(*account) {
		return func(a *account) { a.kept["/amx/amx/tokens"] = ssmtypes.Parameter{Value: &value, Type: kind} }
	}
	setConfig := func(value string) func(*account) {
		return func(a *account) { a.kept["/amx/amx/config"] = ssmtypes.Parameter{Value: &value} }
	}
	policy := func(old, new string) func(*account) {
		return func(a *account) { a.topic["Policy"] = strings.Replace(topicPolicy, old, new, 1) }
	}
	fixed := func(targets string) func(*account) {
		return setConfig("targets: [" + targets + "]\ncommands: [{name: x, script: ls, matchers: [a=b]}]\n")
	}
	for name, tt := range map[string]struct {
		seed func(*account)
		call doctorCmd
		want string
	}{
		"no stack": {func(a *account) {
			a.fails["DescribeStacks"] = apiErr("ValidationError", "Stack with id amx does not exist")
		}, doctorCmd{}, `stack: "amx" cannot be read: DescribeStacks: ValidationError: Stack with id amx does not exist; name another with --stack, --region or --profile`},
		"another's stack":               {func(a *account) { delete(a.outputs, "TableName") }, doctorCmd{}, `stack: "amx" has no output TableName, so it is not amx's: name another with --stack`},
		"a deployment that failed":      {func(a *account) { a.status = "UPDATE_ROLLBACK_COMPLETE" }, doctorCmd{}, `stack: amx is UPDATE_ROLLBACK_COMPLETE: the last deployment failed; its events say why, in CloudFormation's console; deploy again`},
		"a deployment that goes on":     {func(a *account) { a.status = "UPDATE_IN_PROGRESS" }, doctorCmd{}, `stack: amx is UPDATE_IN_PROGRESS: wait for the deployment to end`},
		"no token":                      {func(a *account) { delete(a.kept, "/amx/amx/tokens") }, doctorCmd{}, `token: there is no parameter "/amx/amx/tokens", so the webhook answers 500: run the stack's output TokenCommand`},
		"a token nobody may decrypt":    {func(a *account) { a.fails["GetParameter"] = denied; a.parameters["ConfigSource"] = "file" }, doctorCmd{}, `token: "/amx/amx/tokens" cannot be decrypted: GetParameter: AccessDeniedException: User: ann is not authorized to perform: kms:Decrypt; put it again, with the --key-id of ParameterKeyArn, or get yourself the right to read it`},
		"a token in the clear":          {setToken("s3cr3t", "String"), doctorCmd{}, `token: "/amx/amx/tokens" is a String, which anybody who may read it sees in the clear: delete it, and run the stack's output TokenCommand`},
		"an empty token":                {setToken(" \n", "SecureString"), doctorCmd{}, `token: "/amx/amx/tokens" has no token: write one on each line`},
		"a line that is no token":       {setToken("a b c\n", "SecureString"), doctorCmd{}, `token: "/amx/amx/tokens": line 1 is not a token: want TOKEN, NAME TOKEN or NAME TOKEN operator`},
		"another key":                   {func(a *account) { a.keys["/amx/amx/tokens"] = "alias/aws/ssm" }, doctorCmd{}, `token: "/amx/amx/tokens" is encrypted with "alias/aws/ssm", which the webhook may not use: put it again with --key-id ` + doctorKey},
		"no topic":                      {func(a *account) { a.fails["GetTopicAttributes"] = apiErr("NotFound", "Topic does not exist") }, doctorCmd{}, `topic: "` + doctorTopic + `" cannot be read: GetTopicAttributes: NotFound: Topic does not exist; make it again, or give another as TopicArn`},
		"a FIFO topic":                  {func(a *account) { a.topic["FifoTopic"] = "true" }, doctorCmd{}, `topic: ` + doctorTopic + ` is a FIFO topic, on which resolves are dropped: give a standard one as TopicArn`},
		"another workspace":             {policy("/ws-0", "/ws-9"), doctorCmd{}, `topic: the policy of ` + doctorTopic + ` is wrong: it names ` + strings.Replace(workspace, "/ws-0", "/ws-9", 1) + `; it should have the statement of examples/iam/topic.json`},
		"everybody's workspaces":        {policy(`"ArnEquals": {"aws:SourceArn": "`+workspace+`"}, `, ""), doctorCmd{}, `topic: the policy of ` + doctorTopic + ` is wrong: it lets everybody's workspaces publish, because a statement has no aws:SourceArn; it should have the statement of examples/iam/topic.json`},
		"nobody may publish":            {policy("aps.amazonaws.com", "s3.amazonaws.com"), doctorCmd{}, `topic: the policy of ` + doctorTopic + ` is wrong: no statement names aps.amazonaws.com; it should have the statement of examples/iam/topic.json`},
		"the key of SNS":                {func(a *account) { a.topic["KmsMasterKeyId"] = "alias/aws/sns" }, doctorCmd{}, `topic: ` + doctorTopic + ` is encrypted with aws/sns, which AMP may not use: encrypt it with a key whose policy is that of examples/iam/key.json`},
		"no subscription":               {func(a *account) { a.endpoints = a.endpoints[:1] }, doctorCmd{}, `topic: the function amx-SNSFunction-1 is not subscribed to ` + doctorTopic + `: deploy the stack again`},
		"dead letters":                  {func(a *account) { a.waiting["https://sqs/dead"] = "3" }, doctorCmd{}, `dead-letter queue: 3 could not be handled: when the cause is gone, run examples/redrive.sh amx`},
		"an alarm":                      {func(a *account) { a.on = []string{"amx-DeadLetterAlarm-1"} }, doctorCmd{}, `alarms: DeadLetterAlarm is on: Something is amiss. docs/runbook.md says what to do`},
		"no right to see alarms":        {func(a *account) { a.fails["DescribeAlarms"] = apiErr("AccessDenied", "no") }, doctorCmd{}, `alarms: DescribeAlarms: AccessDenied: no; you need the right cloudwatch:DescribeAlarms`},
		"no configuration":              {func(a *account) { delete(a.kept, "/amx/amx/config") }, doctorCmd{}, `configuration: there is no parameter "/amx/amx/config", so no function starts: put there what amx config --pack prints`},
		"a wrong configuration":         {setConfig("commands: [{cmds: x}]"), doctorCmd{}, `configuration: /amx/amx/config:1: commands[0]: unknown key "cmds": did you mean "cmd"?; /amx/amx/config:1: commands[0]: nothing to run: want one of "cmd", "script" or "document"`},
		"half a configuration":          {setConfig(amx.Pack([]byte("commands: []"))[:20]), doctorCmd{}, "configuration: /amx/amx/config: unpacking the configuration: it is cut off: pack it again with `amx config --pack`"},
		"another configuration":         {func(*account) {}, doctorCmd{File: "../../examples/amx-ec2.yaml"}, `configuration: /amx/amx/config differs from ../../examples/amx-ec2.yaml: put the output of amx config --pack ../../examples/amx-ec2.yaml there, or use what is there (amx config)`},
		"no node has the tag":           {func(a *account) { a.parameters["NodeTagValue"] = "prod" }, doctorCmd{}, `nodes: none has the tag amx:allowed=prod, so nothing can run: aws ec2 create-tags, or for mi- nodes aws ssm add-tags-to-resource`},
		"a node that SSM does not know": {func(*account) {}, doctorCmd{Node: "i-0123456789abcdef9"}, `node i-0123456789abcdef9: SSM does not know it: give it a role, then restart its agent (docs/first-steps.md)`},
		"a node without the tag":        {func(*account) {}, doctorCmd{Node: "i-0123456789abcdef1"}, `node i-0123456789abcdef1: it lacks the tag amx:allowed=true, so IAM refuses commands for it: tag it`},
		"a node that is off":            {func(a *account) { a.alter = func(i *ssmtypes.InstanceInformation) { i.PingStatus = "ConnectionLost" } }, doctorCmd{}, `node ` + doctorNode + `: its agent is ConnectionLost: start the instance or its agent, or take the tag away`},
		"an old agent": {func(a *account) {
			old := "2.3.1644.0"
			a.alter = func(i *ssmtypes.InstanceInformation) { i.AgentVersion = &old }
		}, doctorCmd{}, `node ` + doctorNode + `: its agent is of version 2.3.1644.0: update it to 3.0 or later, with the document AWS-UpdateSSMAgent`},
		"a fixed node without the tag": {fixed("{key: InstanceIds, values: [i-0123456789abcdef1]}"), doctorCmd{}, `node i-0123456789abcdef1: it lacks the tag amx:allowed=true, so IAM refuses commands for it: tag it`},
		"a tag with another's nodes":   {fixed("{key: 'tag:Role', values: [db]}"), doctorCmd{}, `node i-0123456789abcdef1: it lacks the tag amx:allowed=true, so IAM refuses commands for it: tag it`},
		"a tag that no node has":       {fixed("{key: 'tag:Role', values: [cache]}"), doctorCmd{}, `nodes: command "x": no managed node has tag:Role=cache: tag one, or change the targets`},
		"no right to see nodes":        {func(a *account) { a.fails["DescribeInstanceInformation"] = apiErr("AccessDeniedException", "no") }, doctorCmd{}, `nodes: DescribeInstanceInformation: AccessDeniedException: no; you need the right ssm:DescribeInstanceInformation`},
	} {
		t.Run(name, func(t *testing.T) {
			a := healthy(t, h)
			tt.seed(a)
			got, err := examined(t, a, tt.call)
			var wrong []string
			for line := range strings.Lines(got) {
				if text, ok := strings.CutPrefix(line, "wrong  "); ok {
					wrong = append(wrong, strings.TrimSuffix(text, "\n"))
				}
			}
			if err == nil || !slices.Equal(wrong, []string{tt.want}) {
				t.Errorf("%v, found\n%s\nwant\n%s\nof\n%s", err, strings.Join(wrong, "\n"), tt.want, got)
			}
		})
	}
}

func TestDoctorSkipsWhatAStackHasNot(t *testing.T) {
	a := healthy(t, doctorHost(t))
	delete(a.outputs, "TokenCommand")
	delete(a.outputs, "TopicArn")
	a.parameters["ConfigSource"] = "file"
	got, err := examined(t, a, doctorCmd{})
	for _, want := range []string{
		"skip   token: the webhook of this stack takes no token\n", "skip   topic: this stack has no SNS function\n",
		"skip   configuration: it is built into the functions: name its file with -f to have its nodes checked\n",
	} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%v\n%s\nlacks %s", err, got, want)
		}
	}
}

// The parameters that the reports refer to exist, and the worker may read them.
func TestDoctorLooksForTheSecretsOfReports(t *testing.T) {
	h := doctorHost(t)
	first := string(must(os.ReadFile("../../examples/amx-first.yaml")))
	for name, tt := range map[string]struct {
		secret, value string
		kind          ssmtypes.ParameterType
		want          string
	}{
		"all is well":          {"ssm:/amx/amx/reports/slack", "xoxb-1", "SecureString", "ok     reports: 1 secret of 1 report in Parameter Store"},
		"it is not there":      {"ssm:/amx/amx/reports/other", "xoxb-1", "SecureString", `wrong  report ops: there is no parameter "/amx/amx/reports/other": put its secret there, as a SecureString`},
		"it is empty":          {"ssm:/amx/amx/reports/slack", " ", "SecureString", `wrong  report ops: the parameter "/amx/amx/reports/slack" is empty: put its secret there`},
		"it is in the clear":   {"ssm:/amx/amx/reports/slack", "xoxb-1", "String", `wrong  report ops: "/amx/amx/reports/slack" is a String, which anybody who may read it sees in the clear: make it a SecureString`},
		"it is somewhere else": {"ssm:/amx/amx/tokens", "", "", `wrong  report ops: the worker may not read "/amx/amx/tokens": keep the secret under /amx/amx/reports/`},
		"it is on a disk":      {"file:/etc/amx/slack", "", "", `wrong  report ops: its secret is in file:/etc/amx/slack, which only amx serve has: keep it in Parameter Store, as ssm:/amx/amx/reports/ops`},
	} {
		a := healthy(t, h)
		packed := amx.Pack([]byte("reports: [{name: ops, slack: {channel: '#alerts', token: '" + tt.secret + "'}}]\n" + first))
		a.kept["/amx/amx/config"] = ssmtypes.Parameter{Value: &packed}
		if tt.kind != "" {
			a.kept["/amx/amx/reports/slack"] = ssmtypes.Parameter{Value: &tt.value, Type: tt.kind}
		}
		got, err := examined(t, a, doctorCmd{})
		if !strings.Contains(got, "\n"+tt.want+"\n") || (err == nil) != strings.HasPrefix(tt.want, "ok") || strings.Count(got, "wrong  ") > 1 {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, tt.want)
		}
	}
}

// webhookOf serves the webhook of an amx serve.
func webhookOf(t *testing.T, h *host) string {
	t.Helper()
	tokens, err := app.ParseTokens("s3cr3t")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(newServer(h, func(_ context.Context, token string) (*app.Token, error) { return tokens.Find(token), nil }).Handler)
	t.Cleanup(s.Close)
	return s.URL
}

// The alert and its resolve go the whole way: over HTTP or as a message of SNS,
// through the runner, to a process that runs on a node.
func TestDoctorSends(t *testing.T) {
	h := doctorHost(t)
	a := healthy(t, h)
	a.outputs["WebhookURL"] = webhookOf(t, h)
	a.published = func(subject, message string) {
		m, err := amx.DecodeSNS(amx.SNS{Subject: subject, Body: message, SentAt: time.Now()})
		if err != nil {
			t.Error(err)
			return
		}
		if answer := h.runner.Handle(t.Context(), m, runner.Source{Source: queue.Source{Topic: doctorTopic}}); answer.Err != nil {
			t.Error(answer.Err)
		}
	}
	got, err := examined(t, a, doctorCmd{Node: doctorNode, Send: true})
	_, rehearsed, _ := strings.Cut(got, "all online\n")
	rehearsed = regexp.MustCompile(`[0-9.]+ s`).ReplaceAllString(rehearsed, "N s")
	rehearsed = regexp.MustCompile(`cancel, .*`).ReplaceAllString(rehearsed, "cancel")
	rehearsed = regexp.MustCompile(`[0-9A-Z]{26}`).ReplaceAllString(rehearsed, "RUN")
	want := `ok     webhook rehearsal: firing, answered after N s: run, firing
ok     webhook rehearsal: SSM has the command after N s: run RUN of "rehearsal"
ok     webhook rehearsal: the node runs it after N s: InProgress
ok     webhook rehearsal: resolved, answered after N s: cancel
ok     webhook rehearsal: it is stopped after N s: Cancelled
ok     SNS rehearsal: firing, answered after N s: message 0a1b2c3d
ok     SNS rehearsal: SSM has the command after N s: run RUN of "rehearsal"
ok     SNS rehearsal: the node runs it after N s: InProgress
ok     SNS rehearsal: resolved, answered after N s: message 0a1b2c3d
ok     SNS rehearsal: it is stopped after N s: Cancelled
`
	if err != nil || rehearsed != want {
		t.Errorf("%v\ngot\n%s\nwant\n%s", err, got, want)
	}
}

// Whoever has the policy of the example can do all that was asked above, and
// nothing else.
func TestTheDoctorsPolicyIsWhatItAsks(t *testing.T) {
	h := doctorHost(t)
	a := healthy(t, h)
	delete(a.outputs, "WebhookURL")
	a.published = func(string, string) {}
	_, _ = rehearse(t, a) // SNS delivers nothing, so it ends at the second step
	asked := append(a.asked, "ssm:ListCommandInvocations")
	slices.Sort(asked)
	asked = slices.Compact(asked)

	var policy struct{ Statement []policyStatement }
	if err := json.Unmarshal(must(os.ReadFile("../../examples/iam/doctor.json")), &policy); err != nil {
		t.Fatal(err)
	}
	var allowed []string
	for _, s := range policy.Statement {
		allowed = append(allowed, s.Action...)
	}
	slices.Sort(allowed)
	if !slices.Equal(asked, allowed) {
		t.Errorf("amx doctor asks for\n%s\nexamples/iam/doctor.json allows\n%s", strings.Join(asked, "\n"), strings.Join(allowed, "\n"))
	}
}

func TestDoctorSendsNothingThatMayDoHarm(t *testing.T) {
	h := doctorHost(t)
	const targets = "targets: [{key: 'tag:Role', values: [web]}]\ncommands:\n"
	first := string(must(os.ReadFile("../../examples/amx-first.yaml")))
	for name, tt := range map[string]struct {
		config string
		seed   func(*account)
		want   string
	}{
		"a command for every alert": {first + "  - {name: all, script: ls}\n", nil, `wrong  rehearsal: not sent: command "all" runs for every alert, so it would run for this one, too: give it a matcher such as alertname!="AmxRehearsal"`},
		"no command for it":         {targets + "- {name: x, script: ls, matchers: [a=b]}\n", nil, `wrong  rehearsal: not sent: 0 commands match alertname="AmxRehearsal", want one: add that of examples/amx-first.yaml`},
		"something is wrong":        {first, func(a *account) { a.waiting["https://sqs/dead"] = "1" }, "skip   rehearsal: not sent: first mend what is wrong"},
	} {
		a := healthy(t, h)
		packed := amx.Pack([]byte(tt.config))
		a.kept["/amx/amx/config"] = ssmtypes.Parameter{Value: &packed}
		if tt.seed != nil {
			tt.seed(a)
		}
		got, err := examined(t, a, doctorCmd{Node: doctorNode, Send: true})
		if err == nil || !strings.HasSuffix(got, tt.want+"\n") || slices.Contains(a.asked, "sns:Publish") {
			t.Errorf("%s: %v\n%s\nwant at its end\n%s", name, err, got, tt.want)
		}
	}
}

func TestDoctorSaysWhichStepOfARehearsalFails(t *testing.T) {
	h := doctorHost(t)
	answers := func(status int, body string) func(*testing.T, *account) {
		return func(t *testing.T, a *account) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				w.Write([]byte(body))
			}))
			t.Cleanup(s.Close)
			a.outputs["WebhookURL"] = s.URL
		}
	}
	for name, tt := range map[string]struct {
		seed func(*testing.T, *account)
		want string
	}{
		"the webhook refuses the token": {answers(401, `{"error":"the token is not one of the accepted"}`), `webhook rehearsal: firing: 401 Unauthorized: {"error":"the token is not one of the accepted"}: the function's log says why`},
		"it runs another configuration": {answers(200, `{"results":[]}`), "webhook rehearsal: firing: no command matches: the functions have another configuration than amx doctor: deploy it, or name its file with -f"},
		"it refuses the alert":          {answers(200, `{"results":[{"command":"rehearsal","action":"refuse","reason":"AccessDenied"}]}`), "webhook rehearsal: firing: refuse, AccessDenied"},
		"nobody may publish to the topic": {func(_ *testing.T, a *account) {
			a.fails["Publish"] = apiErr("AuthorizationError", "no")
			delete(a.outputs, "WebhookURL")
		}, "SNS rehearsal: firing: Publish: AuthorizationError: no; you need the right sns:Publish"},
		"the function handles no messages": {func(_ *testing.T, a *account) { a.published = func(string, string) {}; delete(a.outputs, "WebhookURL") }, "SNS rehearsal: SSM has the command: not within 1m0s: the function's log says why (docs/runbook.md)"},
	} {
		t.Run(name, func(t *testing.T) {
			a := healthy(t, h)
			tt.seed(t, a)
			delete(a.outputs, "TopicArn")
			if a.outputs["WebhookURL"] == "" {
				a.outputs["TopicArn"] = doctorTopic
			}
			if got, err := rehearse(t, a); err == nil || !strings.HasSuffix(got, "\nwrong  "+tt.want+"\n") {
				t.Errorf("%v\n%s\nwant at its end\n%s", err, got, tt.want)
			}
		})
	}
}

func TestDoctorsCallsAreWrong(t *testing.T) {
	if code, _, errs := amxRun(t, "", "doctor", "--stack", "amx", "--send", "--region", "eu-central-1"); code != exitUsage || errs != "amx: --send needs the node to send to: add --node ID\n" {
		t.Errorf("exit %d, %q", code, errs)
	}
	if code, _, errs := amxRun(t, "", "doctor"); code != exitUsage || !strings.Contains(errs, "--stack") {
		t.Errorf("exit %d, %q", code, errs)
	}
}
