package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

const (
	rehearsalAlert = "AmxRehearsal"
	// stepTime bounds each step of a rehearsal. The first event of SNS may meet a
	// cold start, and an agent may poll.
	stepTime = time.Minute
	lookPace = 500 * time.Millisecond
)

// A rehearsal is one alert that fires and resolves.
type rehearsal struct {
	*doctor
	way     string // "webhook" or "SNS"
	command string // the configured name
	node    string
	mark    string // a label's value that only this alert has
	begun   time.Time
	sent    string // SSM's command ID
}

// send plays an alert and its resolve through each front end.
func (d *doctor) send(ctx context.Context, node string) {
	command := d.rehearsalCommand(node)
	if command == "" {
		return
	}
	for _, way := range []string{"webhook", "SNS"} {
		if way == "webhook" && d.stack.outputs["WebhookURL"] == "" || way == "SNS" && d.stack.outputs["TopicArn"] == "" {
			continue
		}
		if way == "webhook" && d.tokens == "" {
			d.skip("rehearsal", "the webhook takes no token, and amx doctor does not sign requests")
			continue
		}
		r := &rehearsal{doctor: d, way: way, command: command, node: node, begun: d.now()}
		r.mark = r.begun.UTC().Format("20060102T150405.000000000Z")
		r.play(ctx)
	}
}

// rehearsalCommand is the one command that the rehearsal's alert would run, and
// no other alert; "": there is none, and that is said.
func (d *doctor) rehearsalCommand(node string) string {
	if d.config == nil {
		d.wrong("rehearsal", "the configuration is not known: name its file with -f")
		return ""
	}
	alert := amx.Alert{Labels: amx.KV{"alertname": rehearsalAlert, "instance_id": node}}
	other := amx.Alert{Labels: amx.KV{"alertname": "No" + rehearsalAlert, "instance_id": node}}
	var found []string
	for _, c := range d.config.Commands {
		switch {
		case !c.Matches(&alert):
		case c.Matches(&other):
			d.wrong("rehearsal", "not sent: command %q runs for every alert, so it would run for this one, too: give it a matcher such as alertname!=%q", c.Name, rehearsalAlert)
			return ""
		default:
			found = append(found, c.Name)
		}
	}
	if len(found) != 1 {
		d.wrong("rehearsal", "not sent: %d commands match alertname=%q, want one: add that of examples/amx-first.yaml", len(found), rehearsalAlert)
		return ""
	}
	return found[0]
}

func (r *rehearsal) play(ctx context.Context) {
	if !r.notify(ctx, amx.Firing) {
		return
	}
	if !r.step(ctx, "SSM has the command", r.find) {
		return
	}
	if !r.step(ctx, "the node runs it", func(ctx context.Context) (string, error) {
		status, err := r.status(ctx)
		if status == "Pending" || status == "Delayed" {
			status = ""
		}
		return status, err
	}) {
		return
	}
	if !r.notify(ctx, amx.Resolved) {
		return
	}
	r.step(ctx, "it is stopped", func(ctx context.Context) (string, error) {
		status, err := r.status(ctx)
		switch status {
		case "Pending", "InProgress", "Delayed", "Cancelling":
			return "", err
		case "Cancelled", "Success": // a short command may have ended before
			return status, err
		}
		return status, fmt.Errorf("it ended %s: look at its output in SSM's console (%s)", status, r.sent)
	})
}

// step looks until there is an answer, and says how long that took.
func (r *rehearsal) step(ctx context.Context, what string, look func(context.Context) (string, error)) bool {
	begun := r.now()
	for {
		answer, err := look(ctx)
		took := r.now().Sub(begun)
		switch {
		case err != nil:
			r.wrong(r.way+" rehearsal", "%s: %v", what, err)
			return false
		case answer != "":
			r.ok(r.way+" rehearsal", "%s after %s: %s", what, seconds(took), answer)
			return true
		case took >= stepTime || !r.pause(ctx, lookPace):
			r.wrong(r.way+" rehearsal", "%s: not within %s: the function's log says why (docs/runbook.md)", what, stepTime)
			return false
		}
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// find looks for the command by the alert's mark, which is in its variables.
func (r *rehearsal) find(ctx context.Context) (string, error) {
	out, err := r.commands.ListCommands(ctx, &ssm.ListCommandsInput{Filters: []ssmtypes.CommandFilter{{
		Key: ssmtypes.CommandFilterKeyInvokedAfter, Value: aws.String(r.begun.Add(-time.Minute).UTC().Format("2006-01-02T15:04:05Z")),
	}}})
	if err != nil {
		return "", fmt.Errorf("%s", said("ListCommands", err))
	}
	for _, c := range out.Commands {
		script := strings.Join(c.Parameters["commands"], "\n")
		if t, ok := ssmexec.ParseToken(aws.ToString(c.Comment)); ok && strings.Contains(script, r.mark) {
			r.sent = aws.ToString(c.CommandId)
			return fmt.Sprintf("run %s of %q", t.Run, r.command), nil
		}
	}
	return "", nil
}

// status answers the command's status on the node; "": SSM does not list it yet.
func (r *rehearsal) status(ctx context.Context) (string, error) {
	out, err := r.commands.ListCommandInvocations(ctx, &ssm.ListCommandInvocationsInput{CommandId: &r.sent})
	if err != nil {
		return "", fmt.Errorf("%s", said("ListCommandInvocations", err))
	}
	for _, i := range out.CommandInvocations {
		if aws.ToString(i.InstanceId) == r.node {
			return string(i.Status), nil
		}
	}
	return "", nil
}

// notify sends the alert, firing or resolved, and says what was answered.
func (r *rehearsal) notify(ctx context.Context, status string) bool {
	body := r.body(status)
	begun := r.now()
	deliver := r.post
	if r.way == "SNS" {
		deliver = r.publish
	}
	answer, err := deliver(ctx, status, body)
	if err != nil {
		r.wrong(r.way+" rehearsal", "%s: %v", status, err)
		return false
	}
	r.ok(r.way+" rehearsal", "%s, answered after %s: %s", status, seconds(r.now().Sub(begun)), answer)
	return true
}

// body is a notification as Alertmanager writes it.
func (r *rehearsal) body(status string) []byte {
	labels := map[string]string{"alertname": rehearsalAlert, "instance_id": r.node, "rehearsal": r.mark}
	annotations := map[string]string{"summary": "amx doctor rehearses: nothing is wrong"}
	alert := map[string]any{"status": status, "labels": labels, "annotations": annotations, "startsAt": r.begun.UTC()}
	if status == amx.Resolved {
		alert["endsAt"] = r.now().UTC()
	}
	text, err := json.Marshal(map[string]any{
		"version": "4", "receiver": "amx-doctor", "status": status, "alerts": []any{alert},
		"groupLabels": labels, "commonLabels": labels, "commonAnnotations": annotations,
	})
	if err != nil { // strings and times always marshal
		panic(err)
	}
	return text
}

func (r *rehearsal) publish(ctx context.Context, status string, body []byte) (string, error) {
	topic, text := r.stack.outputs["TopicArn"], string(body)
	out, err := r.topics.Publish(ctx, &sns.PublishInput{
		TopicArn: &topic, Message: &text, Subject: aws.String(fmt.Sprintf("[%s:1] %s", strings.ToUpper(status), rehearsalAlert)),
	})
	if err != nil {
		return "", fmt.Errorf("%s; you need the right sns:Publish", said("Publish", err))
	}
	return "message " + aws.ToString(out.MessageId), nil
}

// post sends to the webhook. An answer without the wanted action is an error.
func (r *rehearsal) post(ctx context.Context, _ string, body []byte) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.stack.outputs["WebhookURL"], bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+firstToken(r.tokens))
	response, err := r.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var answer struct {
		Error   string
		Results []struct{ Command, Action, Reason string }
	}
	if err := json.Unmarshal(text, &answer); err != nil || response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %.300s: the function's log says why", response.Status, strings.TrimSpace(string(text)))
	}
	i := slices.IndexFunc(answer.Results, func(a struct{ Command, Action, Reason string }) bool { return a.Command == r.command })
	if i < 0 {
		return "", fmt.Errorf("no command matches: the functions have another configuration than amx doctor: deploy it, or name its file with -f")
	}
	a := answer.Results[i]
	if a.Action == "refuse" || a.Action == "skip" {
		return "", fmt.Errorf("%s, %s", a.Action, a.Reason)
	}
	return fmt.Sprintf("%s, %s", a.Action, a.Reason), nil
}

// firstToken is the first of the accepted: a line is the token, or its name and
// the token.
func firstToken(tokens string) string {
	for line := range strings.Lines(tokens) {
		if fields := strings.Fields(line); len(fields) > 0 {
			return fields[min(1, len(fields)-1)]
		}
	}
	return ""
}
