package stacktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// statement is one of a policy.
type statement struct {
	effect             string
	actions, resources []string
	raw                object
}

func list(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, e.(string))
		}
		return all
	}
	return nil
}

// statements are those of a resource's policies: of a role, those that it
// carries and those that are attached.
func (s *stack) statements(id string) []statement {
	s.t.Helper()
	r, ok := s.resources[id]
	if !ok {
		s.t.Fatalf("this stack has no %s", id)
	}
	var documents []any
	for _, key := range []string{"PolicyDocument", "KeyPolicy"} {
		if d, ok := r.properties[key]; ok {
			documents = append(documents, d)
		}
	}
	policies, _ := r.properties["Policies"].([]any)
	for _, p := range policies {
		documents = append(documents, p.(object)["PolicyDocument"])
	}
	var all []statement
	for _, d := range documents {
		if text, ok := d.(string); ok {
			d = object{}
			if err := json.Unmarshal([]byte(text), &d); err != nil {
				s.t.Fatalf("%s: %v\n%s", id, err, text)
			}
		}
		for _, raw := range d.(object)["Statement"].([]any) {
			st := raw.(object)
			all = append(all, statement{st["Effect"].(string), list(st["Action"]), list(st["Resource"]), st})
		}
	}
	for _, arn := range list(r.properties["ManagedPolicyArns"]) {
		name, ours := strings.CutPrefix(arn, "arn:aws:iam::123456789012:policy/")
		if !ours {
			s.t.Errorf("%s has the policy %s, of which nobody here knows what it allows", id, arn)
			continue
		}
		all = append(all, s.statements(name)...)
	}
	return all
}

// rights are what a role may do: action, resource, condition.
func (s *stack) rights(role string) []string {
	var all []string
	for _, st := range s.statements(role) {
		condition := ""
		if c, ok := st.raw["Condition"]; ok {
			text, err := json.Marshal(c)
			if err != nil {
				s.t.Fatal(err)
			}
			condition = " if " + string(text)
		}
		for _, a := range st.actions {
			for _, r := range st.resources {
				all = append(all, a+" "+r+condition)
			}
		}
	}
	slices.Sort(all)
	return all
}

const (
	nodes = ` if {"StringEquals":{"ssm:resourceTag/amx:allowed":"true"}}`
	web   = ` if {"StringEquals":{"ssm:resourceTag/team":"web"}}`
)

func TestRights(t *testing.T) {
	runner := []string{
		"dynamodb:BatchGetItem arn:aws:dynamodb:eu-central-1:123456789012:table/Table",
		"dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/Table",
		"sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:WorkQueue",
		"ssm:CancelCommand *",
		"ssm:DescribeInstanceInformation *",
		"ssm:GetCommandInvocation *",
		"ssm:ListCommandInvocations *",
		"ssm:ListCommands *",
	}
	scripts := []string{
		"ssm:SendCommand arn:aws:ec2:eu-central-1:123456789012:instance/*" + nodes,
		"ssm:SendCommand arn:aws:ssm:eu-central-1:123456789012:managed-instance/*" + nodes,
		"ssm:SendCommand arn:aws:ssm:eu-central-1::document/AWS-RunPowerShellScript",
		"ssm:SendCommand arn:aws:ssm:eu-central-1::document/AWS-RunShellScript",
	}
	narrow := []string{
		"ssm:SendCommand arn:aws:ec2:eu-central-1:123456789012:instance/*" + web,
		"ssm:SendCommand arn:aws:ssm:eu-central-1:123456789012:document/Restart",
		"ssm:SendCommand arn:aws:ssm:eu-central-1:123456789012:managed-instance/*" + web,
		"ssm:SendCommand arn:aws:ssm:eu-central-1::document/AWS-ConfigureAWSPackage",
		"kms:Decrypt " + ownKey + ` if {"StringEquals":{"kms:ViaService":"ssm.eu-central-1.amazonaws.com"},"StringLike":{"kms:EncryptionContext:PARAMETER_ARN":"arn:aws:ssm:eu-central-1:123456789012:parameter/amx/amx/*"}}`,
	}
	webhook := []string{
		"logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/amx-webhook:*",
		"logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/amx-webhook:*",
	}
	tokens := []string{"ssm:GetParameter arn:aws:ssm:eu-central-1:123456789012:parameter/amx/amx/tokens"}
	sns := []string{
		"logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/amx-sns:*",
		"logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/amx-sns:*",
		"sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:DeadLetterQueue",
	}
	worker := []string{
		"logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/amx-worker:*",
		"logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/amx-worker:*",
		"sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:WorkQueue",
		"sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:WorkQueue",
		"sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:WorkQueue",
		"sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:DeadLetterQueue",
		"ssm:GetParameter arn:aws:ssm:eu-central-1:123456789012:parameter/amx/amx/reports/*",
	}
	shows := []string{
		"dynamodb:BatchGetItem arn:aws:dynamodb:eu-central-1:123456789012:table/Table",
		"dynamodb:Query arn:aws:dynamodb:eu-central-1:123456789012:table/Table/index/by_day",
		"logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/amx-widget:*",
		"logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/amx-widget:*",
		"sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:DeadLetterQueue",
		"sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:WorkQueue",
	}
	acts := []string{
		"dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/Table",
		"ssm:CancelCommand *",
		"ssm:ListCommandInvocations *",
		"ssm:ListCommands *",
	}
	graphs := []string{"aps:QueryMetrics " + workspace}
	added := []string{
		"ssm:SendCommand arn:aws:s3:::amx-output",
		"ssm:SendCommand arn:aws:s3:::amx-output/*",
		"ssm:GetParameter arn:aws:ssm:eu-central-1:123456789012:parameter/amx/amx/config",
	}
	key := func(arn string) []string {
		on := " " + arn + ` if {"StringEquals":{"kms:ViaService":"sqs.eu-central-1.amazonaws.com"}}`
		return []string{"kms:GenerateDataKey" + on, "kms:Decrypt" + on}
	}
	for _, tt := range []struct {
		choice, role string
		want         [][]string
	}{
		{"the defaults", "WebhookRole", [][]string{runner, scripts, webhook, tokens}},
		{"the defaults", "SNSRole", [][]string{runner, scripts, sns}},
		{"the defaults", "WorkerRole", [][]string{runner, scripts, worker}},
		{"IAM for this account", "WebhookRole", [][]string{runner, scripts, webhook}},
		{"a topic of one's own", "WebhookRole", [][]string{runner, scripts, webhook, tokens, key(ownKey)}},
		{"a topic of one's own", "WorkerRole", [][]string{runner, scripts, worker, key(ownKey)}},
		{"a topic of one's own", "SNSRole", [][]string{runner, scripts, sns, key(ownKey)}},
		{"a widget that shows", "WidgetRole", [][]string{shows}},
		{"a widget that acts", "WidgetRole", [][]string{shows, acts}},
		{"all that narrows", "WebhookRole", [][]string{runner, narrow, webhook, tokens}},
		{"all that adds", "WorkerRole", [][]string{runner, scripts, worker, graphs, added, key("arn:aws:kms:eu-central-1:123456789012:key/Key")}},
		{"all that adds", "SNSRole", [][]string{runner, scripts, sns, added, key("arn:aws:kms:eu-central-1:123456789012:key/Key")}},
	} {
		got, want := deploy(t, choices[tt.choice]).rights(tt.role), slices.Sorted(slices.Values(slices.Concat(tt.want...)))
		if !slices.Equal(got, want) {
			t.Errorf("%s, %s:\ngot  %s\nwant %s", tt.choice, tt.role, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
}

// Each role may do what its function calls and no more: internal/app has the
// list of the operations that are linked in.
func TestActionsAreTheOperationsThatAmxCalls(t *testing.T) {
	for _, tt := range []struct {
		choice, role, source string
		also                 []string // of the clients that it shares
	}{
		{"all that adds", "WebhookRole", "narrow.go", nil},
		{"a widget that acts", "WidgetRole", "narrow_widget.go", []string{"dynamodb:BatchGetItem", "dynamodb:PutItem"}},
	} {
		source, err := os.ReadFile(root + "/internal/app/" + tt.source)
		if err != nil {
			t.Fatal(err)
		}
		want := tt.also
		for _, m := range regexp.MustCompile(`operation\[(ssm|dynamodb|sqs)\.(\w+)Input,`).FindAllStringSubmatch(string(source), -1) {
			want = append(want, m[1]+":"+m[2])
		}
		slices.Sort(want)
		var got []string
		for _, st := range deploy(t, choices[tt.choice]).statements(tt.role) {
			for _, a := range st.actions {
				if strings.HasPrefix(a, "ssm:") || strings.HasPrefix(a, "dynamodb:") || strings.HasPrefix(a, "sqs:") {
					got = append(got, a)
				}
			}
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) || len(want) < 3 {
			t.Errorf("%s may       %q\namx calls for %q", tt.role, got, want)
		}
	}
}

// resourceless are the actions for which AWS has no resource-level permission.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_ssm.html
var resourceless = []string{"ssm:CancelCommand", "ssm:ListCommands", "ssm:ListCommandInvocations", "ssm:GetCommandInvocation", "ssm:DescribeInstanceInformation"}

func TestEveryResourceIsANamedOneWhereAWSHasNames(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		for id, r := range s.resources {
			switch r.kind {
			case "AWS::IAM::Role", "AWS::IAM::ManagedPolicy":
			default:
				continue
			}
			for _, st := range s.statements(id) {
				for _, a := range st.actions {
					if strings.Contains(a, "*") {
						t.Errorf("%s: action %s", id, a)
					}
					if slices.Contains(st.resources, "*") && !slices.Contains(resourceless, a) {
						t.Errorf("%s: %s on every resource", id, a)
					}
				}
			}
		}
	})
}

// A statement of template.yaml with a * has a comment, at it or in it.
func TestEveryAsteriskIsExplained(t *testing.T) {
	text, err := os.ReadFile(root + "/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file yaml.Node
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	found := 0
	var walk func(n *yaml.Node, commented bool)
	walk = func(n *yaml.Node, commented bool) {
		commented = commented || n.HeadComment != "" || n.LineComment != ""
		if n.Kind == yaml.ScalarNode && (n.Value == "*" || strings.HasSuffix(n.Value, ":*") || strings.HasSuffix(n.Value, "/*")) {
			found++
			if !commented {
				t.Errorf("template.yaml:%d: %s without a comment", n.Line, n.Value)
			}
		}
		for i, c := range n.Content {
			above := false // what is said of a whole resource explains nothing in it
			switch {
			case n.Kind == yaml.MappingNode && i%2 == 1:
				above = n.Content[i-1].HeadComment != "" && n.Content[i-1].Column > 3
				above = above || commented && n.Column > 7
			case n.Kind == yaml.SequenceNode:
				above = commented && n.Column > 7
			}
			walk(c, above)
		}
	}
	walk(&file, false)
	if found < 4 {
		t.Errorf("found only %d", found)
	}
}

// The policies that people copy are JSON, and the stack's own are the same.
func TestExamplePolicies(t *testing.T) {
	entries, err := os.ReadDir(root + "/examples/iam")
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]object{}
	for _, e := range entries {
		text, err := os.ReadFile(root + "/examples/iam/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		var p object
		if err := json.Unmarshal(text, &p); err != nil || p["Version"] != "2012-10-17" || p["Statement"] == nil {
			t.Errorf("%s is no policy (%v)", e.Name(), err)
		}
		policies[e.Name()] = p
	}
	if got := slices.Sorted(maps.Keys(policies)); fmt.Sprint(got) != "[deployer.json doctor.json key.json node-trust.json node.json operator.json topic.json webhook-caller.json widget.json]" {
		t.Errorf("there is %q", got)
	}
	s := deploy(t, choices["AMP"])
	if got, want := s.of("AWS::KMS::Key")["Key"]["KeyPolicy"], policies["key.json"]; !reflect.DeepEqual(got, any(want)) {
		t.Errorf("the key's policy is %v\nexamples/iam/key.json %v", got, want)
	}
	// Who looks at the widget needs its function and the dashboard, and no more.
	wanted := []any{
		object{"Effect": "Allow", "Action": []any{"cloudwatch:ListDashboards", "cloudwatch:GetDashboard"}, "Resource": "*"},
		object{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "arn:aws:lambda:eu-central-1:123456789012:function:amx-WidgetFunction-EXAMPLE"},
	}
	if got := policies["widget.json"]["Statement"]; !reflect.DeepEqual(got, any(wanted)) {
		t.Errorf("examples/iam/widget.json: got %v\nwant %v", got, wanted)
	}
	for _, a := range list(policies["node.json"]["Statement"].([]any)[0].(object)["Action"]) {
		if strings.HasPrefix(a, "ssm:GetParameter") {
			t.Errorf("examples/iam/node.json lets a node read parameters, the tokens among them: %s", a)
		}
	}
}
