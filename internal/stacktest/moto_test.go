package stacktest

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const iamVersion = "2010-05-08"

// account is moto's server: an AWS that nobody here wrote. It is one for all
// tests of a process, and what one test makes the next one finds.
type account struct {
	*testing.T
	url string
}

func moto(t *testing.T) *account {
	t.Helper()
	endpoint := os.Getenv("AMX_TEST_MOTO_ENDPOINT")
	if endpoint == "" {
		t.Skip("AMX_TEST_MOTO_ENDPOINT does not name moto's server: .ci/moto does")
	}
	a := &account{t, endpoint}
	a.checks(false)
	t.Cleanup(func() { a.checks(false) })
	return a
}

// checks says whether moto looks at signatures and policies from now on.
func (a *account) checks(on bool) {
	a.Helper()
	free := "1e9"
	if on {
		free = "0"
	}
	a.send(http.MethodPost, "/moto-api/reset-auth", "", nil, []byte(free))
}

// send sends a request for a service and answers the body. It is signed by
// nobody, which moto minds only while it checks.
func (a *account) send(method, path, service string, headers map[string]string, body []byte) string {
	a.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(a.Context()), method, a.url+path, bytes.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	if service != "" {
		request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=mock/20261128/eu-central-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	}
	for k, v := range headers {
		request.Header.Set(k, v)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		a.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		a.Fatalf("%s %s of %s: %s, %v\n%s", method, path, service, response.Status, err, text)
	}
	return string(text)
}

// query calls an operation of the query protocol: pairs of names and values.
func (a *account) query(service, version, action string, pairs ...string) string {
	a.Helper()
	form := url.Values{"Action": {action}, "Version": {version}}
	for pair := range slices.Chunk(pairs, 2) {
		form.Set(pair[0], pair[1])
	}
	return a.send(http.MethodPost, "/", service, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form.Encode()))
}

// found is the text of the first element of that name.
func (a *account) found(element, xml string) string {
	a.Helper()
	m := regexp.MustCompile(`<` + element + `>([^<]*)</` + element + `>`).FindStringSubmatch(xml)
	if m == nil {
		a.Fatalf("no %s in %s", element, xml)
	}
	return m[1]
}

// motoLacks are the types of which moto's CloudFormation makes nothing.
var motoLacks = []string{"AWS::Lambda::Url", "AWS::Lambda::EventInvokeConfig", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::Subscription", "AWS::CloudWatch::Alarm"}

// create has moto's CloudFormation make the stack of a choice, as far as it
// goes, and answers the physical IDs. Conditions are evaluated here, because
// moto keeps what AWS::NoValue leaves out. It makes no function URL, so url is
// the output's value; "" leaves it out.
func (a *account) create(s *stack, url string) map[string]string {
	a.Helper()
	body := object{"AWSTemplateFormatVersion": "2010-09-09", "Parameters": parametersOf(s), "Resources": object{}, "Outputs": object{}}
	for name, o := range s.tmpl.Outputs {
		if s.there(o.Condition) && !strings.Contains(string(encoded(a.T, o.Value)), "FunctionUrl") {
			body["Outputs"].(object)[name] = object{"Value": s.chosen(o.Value)}
		}
	}
	if url != "" {
		body["Outputs"].(object)["WebhookURL"] = object{"Value": url}
	}
	for id, r := range s.tmpl.Resources {
		if !s.there(r.Condition) || slices.Contains(motoLacks, r.Type) {
			continue
		}
		properties := s.chosen(r.Properties).(object)
		switch r.Type {
		case "AWS::IAM::Role":
			// moto's CloudFormation leaves them in a form that its checks cannot read.
			delete(properties, "Policies")
			delete(properties, "ManagedPolicyArns")
		case "AWS::IAM::ManagedPolicy":
			properties["PolicyDocument"] = s.document(id)
		}
		body["Resources"].(object)[id] = object{"Type": r.Type, "Properties": properties}
	}
	// A zip like the one that sam package uploads. moto does not run it.
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	if _, err := z.Create("bootstrap"); err != nil || z.Close() != nil {
		a.Fatal(err)
	}
	a.send(http.MethodPut, "/bucket", "s3", nil, []byte(`<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>`))
	a.send(http.MethodPut, "/bucket/key", "s3", nil, zipped.Bytes())
	a.Cleanup(func() {
		a.send(http.MethodDelete, "/bucket/key", "s3", nil, nil)
		a.send(http.MethodDelete, "/bucket", "s3", nil, nil)
	})

	const version = "2010-05-15"
	a.query("cloudformation", version, "CreateStack", "StackName", "amx", "TemplateBody", string(encoded(a.T, body)), "Capabilities.member.1", "CAPABILITY_IAM")
	a.Cleanup(func() { a.query("cloudformation", version, "DeleteStack", "StackName", "amx") })
	ids := map[string]string{}
	resource := regexp.MustCompile(`(?s)<LogicalResourceId>([^<]*)</LogicalResourceId>\s*<PhysicalResourceId>([^<]*)</PhysicalResourceId>`)
	for _, m := range resource.FindAllStringSubmatch(a.query("cloudformation", version, "DescribeStackResources", "StackName", "amx"), -1) {
		ids[m[1]] = m[2]
	}
	for id := range body["Resources"].(object) {
		// It makes permissions, and gives them no ID.
		if ids[id] == "" && s.tmpl.Resources[id].Type != "AWS::Lambda::Permission" {
			a.Errorf("moto made no %s", id)
		}
		if s.tmpl.Resources[id].Type == "AWS::IAM::Role" {
			for name, document := range s.policies(id) {
				a.putPolicy(ids[id], name, document)
			}
		}
	}
	return ids
}

func (a *account) putPolicy(role, name string, document any) {
	a.Helper()
	text := encoded(a.T, document)
	a.query("iam", iamVersion, "PutRolePolicy", "RoleName", role, "PolicyName", name, "PolicyDocument", string(text))
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parametersOf are the template's parameters with the values of this stack.
func parametersOf(s *stack) object {
	all := object{}
	for name, p := range s.tmpl.Parameters {
		all[name] = object{"Type": p.Type, "Default": fmt.Sprint(s.parameters[name])}
	}
	return all
}

// chosen leaves a value as the template has it, but for what its conditions
// decide.
func (s *stack) chosen(v any) any {
	switch v := v.(type) {
	case []any:
		all := []any{}
		for _, e := range v {
			if e = s.chosen(e); e != (absent{}) {
				all = append(all, e)
			}
		}
		return all
	case object:
		if branches, ok := v["Fn::If"].([]any); ok {
			if s.there(branches[0].(string)) {
				return s.chosen(branches[1])
			}
			return s.chosen(branches[2])
		}
		if v["Ref"] == "AWS::NoValue" {
			return absent{}
		}
		all := object{}
		for k, e := range v {
			if e = s.chosen(e); e != (absent{}) {
				all[k] = e
			}
		}
		return all
	}
	return v
}

// policies are those of a role, attached ones too, by their names, as moto can
// check them: it asks whether an action is allowed on "*", and takes a condition
// that it does not know for a refusal. Resources and conditions are for the tests
// in iam_test.go.
func (s *stack) policies(role string) map[string]any {
	properties := s.chosen(s.tmpl.Resources[role].Properties).(object)
	all := map[string]any{}
	inline, _ := properties["Policies"].([]any)
	for _, p := range inline {
		all[p.(object)["PolicyName"].(string)] = p.(object)["PolicyDocument"]
	}
	attached, _ := properties["ManagedPolicyArns"].([]any)
	for _, p := range attached {
		name := p.(object)["Ref"].(string)
		all[name] = s.document(name)
	}
	widen(all)
	return all
}

// document is the document of a managed policy, also if the template has it as text.
func (s *stack) document(policy string) (document any) {
	document = s.chosen(s.tmpl.Resources[policy].Properties).(object)["PolicyDocument"]
	if text, ok := s.value(document).(string); ok {
		if err := json.Unmarshal([]byte(text), &document); err != nil {
			s.t.Fatal(err)
		}
	}
	return document
}

// widen lets each statement of a policy hold everywhere.
func widen(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			widen(e)
		}
	case map[string]any:
		if v["Effect"] != nil {
			v["Resource"] = "*"
			delete(v, "Condition")
		}
		for _, e := range v {
			widen(e)
		}
	}
}
