package main

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/ssmlocal"
)

const webNode, dbNode = "i-0123456789abcdef0", "i-01234567"

func TestParseNodes(t *testing.T) {
	local := ssmlocal.Node{ID: ssmlocal.LocalNode, Name: "here"}
	for _, tt := range []struct {
		name  string
		specs []string
		want  []ssmlocal.Node
		err   string
	}{
		{"none is the local node", nil, []ssmlocal.Node{local}, ""},
		{"an ID alone", []string{dbNode}, []ssmlocal.Node{local, {ID: dbNode, Name: "here", Tags: map[string]string{}}}, ""},
		{
			"two, with all that a node may have",
			[]string{webNode + ",tag:Role=web,tag:Note=a=b,ip=10.0.0.7,host=web-1", dbNode + ",tag:Role="},
			[]ssmlocal.Node{
				local,
				{ID: webNode, Name: "web-1", Address: "10.0.0.7", Tags: map[string]string{"Role": "web", "Note": "a=b"}},
				{ID: dbNode, Name: "here", Tags: map[string]string{"Role": ""}},
			},
			"",
		},
		{
			"tags for the local node",
			[]string{ssmlocal.LocalNode + ",tag:Role=web"},
			[]ssmlocal.Node{{ID: ssmlocal.LocalNode, Name: "here", Tags: map[string]string{"Role": "web"}}},
			"",
		},
		{"a name for an ID", []string{"web-1"}, nil, `--node "web-1": "web-1" is not an instance ID: write i-0123456789abcdef0,tag:Role=web`},
		{"a tag without its prefix", []string{dbNode + ",Role=web"}, nil, `--node "i-01234567,Role=web": "Role=web" is not tag:NAME=VALUE, ip=ADDRESS or host=NAME`},
		{"a tag without a value", []string{dbNode + ",tag:Role"}, nil, `--node "i-01234567,tag:Role": "tag:Role" is not tag:NAME=VALUE, ip=ADDRESS or host=NAME`},
		{"an address that is none", []string{dbNode + ",ip=web-1"}, nil, `--node "i-01234567,ip=web-1": "ip=web-1" is not tag:NAME=VALUE, ip=ADDRESS or host=NAME`},
		{"a comma at the end", []string{dbNode + ",tag:a=b,"}, nil, `--node "i-01234567,tag:a=b,": "" is not tag:NAME=VALUE, ip=ADDRESS or host=NAME`},
		{"one twice", []string{dbNode, dbNode + ",tag:a=b"}, nil, `--node "i-01234567,tag:a=b": i-01234567 is named twice: give it all its tags at once`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseNodes(tt.specs, "here")
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v, error %v\nwant %s", got, err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, error %v\nwant %+v", got, err, tt.want)
			}
		})
	}
}

func TestWhatServeRefusesOfSSM(t *testing.T) {
	for _, tt := range []struct{ name, flag, value, err string }{
		{"all interfaces", "--ssm-listen", ":4100", `--ssm-listen ":4100" can be reached from other machines: write 127.0.0.1:PORT`},
		{"another machine's name", "--ssm-listen", "example.com:4100", `--ssm-listen "example.com:4100" can be reached from other machines: write 127.0.0.1:PORT`},
		{"any address", "--ssm-listen", "0.0.0.0:4100", `--ssm-listen "0.0.0.0:4100" can be reached from other machines: write 127.0.0.1:PORT`},
		{"no port", "--ssm-listen", "127.0.0.1", `--ssm-listen "127.0.0.1": address 127.0.0.1: missing port in address; write 127.0.0.1:PORT`},
		{"no instance ID", "--node", "web", `--node "web": "web" is not an instance ID`},
	} {
		code, _, errs := amxRun(t, "", "serve", tt.flag, tt.value, "true")
		if code != 2 || !strings.Contains(errs, tt.err) {
			t.Errorf("%s: exit %d, %s", tt.name, code, errs)
		}
	}
}

// A command's targets select among the nodes of --node; a command without runs
// on this machine as it always did.
func TestCommandsWithTargetsRunOnTheNamedNodes(t *testing.T) {
	dir := t.TempDir()
	p := startAMX(t, dir, `commands:
  - name: web
    script: echo "$AWS_SSM_INSTANCE_ID" >> @DIR@/web
    targets: [{key: "tag:Role", values: [web]}, {key: "tag:Name", values: ['{{ .Labels.name }}', b]}]
  - name: db
    script: echo "$AWS_SSM_INSTANCE_ID" >> @DIR@/db
    targets: [{key: InstanceIds, values: [`+dbNode+`]}]
  - name: local
    script: echo "$AWS_SSM_INSTANCE_ID" >> @DIR@/local
  - name: nobody
    script: echo "$AWS_SSM_INSTANCE_ID" >> @DIR@/nobody
    targets: [{key: "tag:Role", values: [other]}]
`, "--node", webNode+",tag:Role=web,tag:Name=a", "--node", "i-0123456789abcdef1,tag:Role=web,tag:Name=b",
		"--node", dbNode+",tag:Role=db,tag:Name=a")
	m := &machine{t: t, dir: dir}
	a := p.post(notification("amx", firing("a", 0)))
	want := map[string][]string{
		"web": {webNode, "i-0123456789abcdef1"}, "db": {dbNode}, "local": {ssmlocal.LocalNode},
	}
	for name, nodes := range want {
		m.eventually("command "+name+" has run", func() bool {
			got := m.lines(name)
			slices.Sort(got)
			return slices.Equal(got, nodes)
		})
	}
	if got := m.lines("nobody"); len(got) != 0 || a.Status != 500 || !strings.HasSuffix(a.Error, "ended NoInstancesInTag") {
		t.Errorf("nobody: %v; the answer is %+v", got, a)
	}
	for _, guard := range []string{"runs", webNode + "/runs", "i-0123456789abcdef1/runs", dbNode + "/runs"} {
		if entries, err := os.ReadDir(filepath.Join(dir, "ledger.state", guard)); err != nil || len(entries) == 0 {
			t.Errorf("the guards in %s: %v, error %v", guard, entries, err)
		}
	}
}

// printed finds what amx serve tells the users of --ssm-listen.
var printed = regexp.MustCompile(`(?m)^export AWS_ACCESS_KEY_ID=(AMXL[A-Z2-7]{16}) AWS_SECRET_ACCESS_KEY=([A-Z2-7]{40})\nexport AWS_ENDPOINT_URL_SSM=(http://127\.0\.0\.1:\d+) AWS_DEFAULT_REGION=(local)$`)

func TestOtherProgramsUseRunCommandHere(t *testing.T) {
	var log logs
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dir := t.TempDir()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{
			"serve", "-l", "127.0.0.1:0", "--ssm-listen", "127.0.0.1:0", "--ledger", filepath.Join(dir, "ledger.db"),
			"--node", webNode + ",tag:Role=web", "true",
		}, stdio{in: strings.NewReader(""), out: &log, err: &log, env: os.Environ()})
	}()
	m := &machine{t: t, dir: dir}
	m.eventually("it listens", func() bool { return strings.Contains(log.String(), "listening on http://") })
	said := printed.FindStringSubmatch(log.String())
	if said == nil {
		t.Fatalf("it says\n%s", log.String())
	}
	client := ssm.New(ssm.Options{
		Region: said[4], BaseEndpoint: &said[3],
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: said[1], SecretAccessKey: said[2]}, nil
		}),
	})
	sent, err := client.SendCommand(ctx, &ssm.SendCommandInput{
		DocumentName: aws.String("AWS-RunShellScript"), Parameters: map[string][]string{"commands": {"echo $AWS_SSM_INSTANCE_ID"}},
		Targets: []types.Target{{Key: aws.String("tag:Role"), Values: []string{"web"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.eventually("the command has run", func() bool {
		got, err := client.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{CommandId: sent.Command.CommandId, InstanceId: aws.String(webNode)})
		return err == nil && got.Status == "Success" && *got.StandardOutputContent == webNode+"\n"
	})
	if !strings.Contains(log.String(), `msg="ssm request" operation=SendCommand status=200`) || strings.Contains(log.String(), "operation=GetCommandInvocation") {
		t.Errorf("the log is\n%s", log.String())
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d\n%s", code, log.String())
	}
	if _, err := client.ListCommands(context.Background(), &ssm.ListCommandsInput{}, func(o *ssm.Options) { o.Retryer = aws.NopRetryer{} }); err == nil {
		t.Error("it answers after its end")
	}
}
