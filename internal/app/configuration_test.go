package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/amx"
)

// configStub answers one text or error and counts.
type configStub struct {
	text  string
	err   error
	reads int
}

func (s *configStub) GetParameter(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	s.reads++
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{Value: &s.text}}, s.err
}

const oneCommand = "targets: [{key: tag:a, values: [b]}]\ncommands: [{name: %, cmd: ls}]\n"

func named(name string) string { return strings.Replace(oneCommand, "%", name, 1) }

func TestAConfigurationInParameterStoreIsReadAgainAfterAMinute(t *testing.T) {
	var logged, counted bytes.Buffer
	client := &configStub{text: named("first")}
	c, err := newConfiguration(t.Context(), func(string) string { return "" }, "ssm:/amx/s/config", client,
		slog.New(slog.NewJSONHandler(&logged, nil)), &metrics{out: &counted, function: "amx-webhook"})
	if err != nil {
		t.Fatal(err)
	}
	now := c.tried
	c.now = func() time.Time { return now }
	// after is an invocation that long after the one before: whether the
	// parameter is then read, what counts, what is logged, and how often an
	// error is counted.
	after := func(d time.Duration, reads int, command, message, metric string) {
		t.Helper()
		now, client.reads = now.Add(d), 0
		logged.Reset()
		counted.Reset()
		c.refresh(t.Context())
		if got := c.current().Commands[0].Name; client.reads != reads || got != command {
			t.Errorf("%d readings, %q counts; want %d, %q", client.reads, got, reads, command)
		}
		if got := logged.String(); message == "" && got != "" || !strings.Contains(got, message) {
			t.Errorf("logged %s\nwant %s", got, message)
		}
		var line struct {
			FunctionName, Reason string
			ConfigErrors         int
		}
		if metric == "" && counted.Len() == 0 {
			return
		}
		if err := json.Unmarshal(counted.Bytes(), &line); err != nil || line.Reason != metric || line.ConfigErrors != 1 || line.FunctionName != "amx-webhook" {
			t.Errorf("counted %s (%v), want %q", counted.String(), err, metric)
		}
	}
	after(59*time.Second, 0, "first", "", "")
	after(time.Second, 1, "first", "", "") // the same

	client.text = named("second")
	after(59*time.Second, 0, "first", "", "")
	after(time.Second, 1, "second", `"msg":"a new configuration counts","source":"ssm:/amx/s/config","commands":1`, "")

	client.text = "commands: [{name: third, cmds: ls}]"
	after(time.Minute, 1, "second", `"level":"ERROR","msg":"the configuration is not renewed; the last good one counts"`, "wrong")
	after(time.Second, 0, "second", "", "")
	after(time.Minute, 1, "second", `ssm:/amx/s/config:1: commands[0] \"third\": unknown key \"cmds\": did you mean \"cmd\"?`, "wrong") // and again, while it is wrong

	client.text = "commands: [{name: third, cmd: ls}]"
	after(time.Minute, 1, "second", `no targets`, "wrong")

	client.text = "# commands: later\n"
	after(time.Minute, 1, "second", `"error":"ssm:/amx/s/config: no commands: want a list under \"commands\""`, "wrong")

	client.err = errors.New("connection reset")
	after(time.Minute, 1, "second", `GetParameter \"/amx/s/config\": connection reset`, "unreadable")

	client.text, client.err = named("fourth"), nil
	after(time.Minute, 1, "fourth", `a new configuration counts`, "")

	// Parameter Store takes no template: with one it is packed.
	client.text = amx.Pack([]byte(strings.Replace(named("fifth"), "[b]", "['{{ .Labels.role }}']", 1)))
	after(time.Minute, 1, "fifth", `a new configuration counts`, "")
	after(time.Minute, 1, "fifth", "", "") // the same
	client.text = client.text[:len(client.text)/2]
	after(time.Minute, 1, "fifth", "ssm:/amx/s/config: unpacking the configuration: ", "wrong")
}

func TestAFunctionDoesNotBeginWithAFileThatSaysNothingOfCommands(t *testing.T) {
	for _, text := range []string{"", "# nothing yet\n", "targets: []"} {
		_, err := newConfiguration(t.Context(), func(string) string { return "" }, "ssm:/amx/s/config", &configStub{text: text}, nil, nil)
		if want := `ssm:/amx/s/config: no commands: want a list under "commands"`; err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestAConfigurationInAFileIsReadOnce(t *testing.T) {
	s := newStack(t)
	f, err := NewSNSFunction(t.Context(), s.with(nil), s.logger(), &s.out)
	if err != nil {
		t.Fatal(err)
	}
	f.config.now = func() time.Time { return time.Now().Add(time.Hour) }
	f.config.refresh(t.Context())
	if got := s.wire.Operations(); len(got) != 0 {
		t.Errorf("asked SSM for %q", got)
	}
}

// Within one process: the next invocation after a minute acts by the new version.
func TestFunctionsActByTheNewVersion(t *testing.T) {
	s := newStack(t)
	s.ssm.SetParameter("/amx/s/config", named("old"))
	env := s.with(map[string]string{"AMX_CONFIG": "ssm:/amx/s/config"})
	w, err := NewWebhookFunction(t.Context(), env, s.logger(), &s.out)
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewSNSFunction(t.Context(), env, s.logger(), &s.out)
	if err != nil {
		t.Fatal(err)
	}
	s.ssm.SetParameter("/amx/s/config", named("new"))
	later := func() time.Time { return time.Now().Add(2 * time.Minute) }
	w.config.now, f.config.now = later, later
	if _, err := w.Handle(t.Context(), events.LambdaFunctionURLRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Handle(t.Context(), events.SNSEvent{Records: make([]events.SNSEventRecord, 1)}); err == nil {
		t.Error("the SNS function took what is no message")
	}
	for name, c := range map[string]*configuration{"webhook": w.config, "sns": f.config} {
		if got := c.current().Commands[0].Name; got != "new" {
			t.Errorf("%s: %q counts, want the new version", name, got)
		}
	}
}
