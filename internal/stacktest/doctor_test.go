package stacktest

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// amx doctor as people run it, on a stack that moto made: AWS's protocols as
// somebody else reads and writes them. moto knows neither alarms of a stack nor
// managed nodes, which is what the doctor then finds.
func TestOnMotoTheDoctorReadsAStack(t *testing.T) {
	m := &onMoto{account: moto(t), stack: deploy(t, map[string]any{"WorkspaceArn": workspace})}
	m.ids = m.create(m.stack)
	m.json("ssm", "AmazonSSM.PutParameter", `{"Name": "/amx/amx/tokens", "Type": "SecureString", "Value": "example-token", "Overwrite": true}`)
	const version = "2010-03-31"
	policy := m.stack.of("AWS::SNS::TopicPolicy")["TopicPolicy"]["PolicyDocument"]
	m.query("sns", version, "SetTopicAttributes", "TopicArn", m.ids["Topic"], "AttributeName", "Policy", "AttributeValue", string(encoded(t, policy)))
	m.query("sns", version, "Subscribe", "TopicArn", m.ids["Topic"], "Protocol", "lambda",
		"Endpoint", "arn:aws:lambda:eu-central-1:123456789012:function:"+m.ids["SNSFunction"])

	amx := filepath.Join(t.TempDir(), "amx")
	if out, err := exec.Command("go", "build", "-o", amx, root+"/cmd/amx").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	doctor := exec.Command(amx, "doctor", "--stack", "amx", "--region", "eu-central-1")
	doctor.Env = []string{
		"AWS_ENDPOINT_URL=" + m.url, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-secret",
		"HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1",
	}
	var out, errs bytes.Buffer
	doctor.Stdout, doctor.Stderr = &out, &errs
	err := doctor.Run()
	t.Logf("%v\n%s%s", err, &out, &errs)
	for _, want := range []string{
		"ok     stack: amx is CREATE_COMPLETE\n",
		"ok     token: 1 accepted, in the SecureString /amx/amx/tokens\n",
		"ok     topic: " + workspace + " may publish to " + m.ids["Topic"] + ", and the function is subscribed\n",
		"ok     dead-letter queue: nothing waits\n",
		"ok     work queue: nothing waits\n",
		"wrong  alarms: the stack has none: deploy it again\n",
		"wrong  nodes: DescribeInstanceInformation: ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s\nlacks %s", &out, want)
		}
	}
	if doctor.ProcessState.ExitCode() != 1 || errs.Len() > 0 {
		t.Errorf("exit %d, %s", doctor.ProcessState.ExitCode(), &errs)
	}
}
