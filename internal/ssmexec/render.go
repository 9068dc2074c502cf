package ssmexec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
)

const (
	// The documents that run their parameter `commands`, with sh and with
	// Windows PowerShell.
	shellDocument      = "AWS-RunShellScript"
	powershellDocument = "AWS-RunPowerShellScript"

	platformWindows = "windows"

	// maxParameters is the size, in bytes of JSON, that the parameters may
	// have: SSM's limit of 64 KB is on them and the document together, and the
	// document is under 4 KB. The size of a user's own document is not
	// known; SSM has the last word there.
	maxParameters = 60 << 10
	maxDocument   = 64 << 10

	// KeyInstanceIDs is the key of a target that names nodes by their ID.
	KeyInstanceIDs = amx.KeyInstanceIDs
)

// A Job is a run to be rendered.
type Job struct {
	Command *amx.Command
	Entry   ledger.ID
	Run     string
	Prev    string       // the run that came before it for these alerts, if any: it may go on on a node although SSM calls it over
	Data    amx.Data     // narrowed to the run's alerts
	Targets []amx.Target // rendered
}

// Render answers the requests of a run, one for each part, and notes on what
// the variables leave out, for the log. An error refuses the run: nothing of it
// can be sent, now or later.
func Render(j Job) (inputs []*ssm.SendCommandInput, notes []string, err error) {
	if err := checkTargets(j.Targets); err != nil {
		return nil, nil, err
	}
	chunks := ledger.Parts(j.Targets)
	token := Token{Entry: j.Entry, Run: j.Run, Chunks: len(chunks), Command: j.Command.Name}
	r, err := render(j, token)
	if err != nil {
		return nil, nil, err
	}
	for i, targets := range chunks {
		token.Chunk = i
		inputs = append(inputs, input(j.Command, token.String(), targets, r.parameters(token)))
	}
	return inputs, r.Notes, nil
}

// A Request is what a run sends, for people to look at.
type Request struct {
	Document   string
	Parameters map[string][]string // of the first part
	Size       int                 // of Parameters, in bytes of JSON
	Args       []string            // of cmd or script
	Variables  amx.Pairs           // those that the request carries; none of a document
	Packed     bool                // the variables are gzipped
	Notes      []string            // on what the variables leave out

	parameters func(Token) map[string][]string
	isPacked   func() (bool, error)
}

// Explain answers what Render would send, or why it would refuse to.
func Explain(j Job) (*Request, error) {
	if err := checkTargets(j.Targets); err != nil {
		return nil, err
	}
	token := Token{Entry: j.Entry, Run: j.Run, Chunks: len(ledger.Parts(j.Targets)), Command: j.Command.Name}
	r, err := render(j, token)
	if err != nil {
		return nil, err
	}
	r.Document = cmp.Or(j.Command.Document, scriptDocument(j.Command))
	r.Parameters = r.parameters(token)
	if r.Size, err = size(r.Parameters); err == nil && r.isPacked != nil {
		r.Packed, err = r.isPacked()
	}
	return r, err
}

func render(j Job, token Token) (*Request, error) {
	if j.Command.Document != "" {
		parameters, err := documentParameters(j)
		return &Request{parameters: parameters}, err
	}
	return scriptParameters(j, token)
}

// scriptParameters are those of the documents that run a script.
func scriptParameters(j Job, token Token) (*Request, error) {
	c := j.Command
	var in language = sh{}
	if c.Platform == platformWindows {
		in = powershell{}
	}
	args, err := c.ExpandArgs(j.Data)
	if err != nil {
		return nil, err
	}
	execution, err := in.execution(c, args)
	if err != nil {
		return nil, err
	}
	if j.Prev != "" {
		execution = in.after(j.Prev) + execution
	}
	variables, err := fitter{job: j, in: in, size: func(variables string) (int, error) {
		return size(scriptOf(c, in.script(token, variables, execution)))
	}}.fit()
	if err != nil {
		return nil, err
	}
	return &Request{
		Args: args, Variables: variables.vars, Notes: variables.notes,
		parameters: func(t Token) map[string][]string {
			return scriptOf(c, in.script(t, variables.text, execution))
		},
		isPacked: func() (bool, error) {
			plain, _, err := in.assign(variables.vars)
			return plain != variables.text, err
		},
	}, nil
}

// documentParameters are those of a configured document. Nothing can be quoted
// in them, so what SSM would change is refused.
func documentParameters(j Job) (func(Token) map[string][]string, error) {
	parameters, err := j.Command.ExpandParameters(j.Data)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		for i, v := range parameters[name] {
			switch {
			case strings.Contains(v, "{{"):
				return nil, fmt.Errorf("parameters: %s[%d]: its value has {{, which SSM would resolve on the node: toJson writes text without it", name, i)
			case strings.ContainsRune(v, 0):
				return nil, fmt.Errorf("parameters: %s[%d]: its value has a NUL byte, which no program takes", name, i)
			}
		}
	}
	n, err := size(parameters)
	if err == nil && n > maxDocument {
		err = fmt.Errorf("parameters: %d bytes, over the %d that SSM takes of a document with its parameters", n, maxDocument)
	}
	return func(Token) map[string][]string { return parameters }, err
}

// input is the request of one part.
func input(c *amx.Command, comment string, targets []amx.Target, parameters map[string][]string) *ssm.SendCommandInput {
	in := &ssm.SendCommandInput{
		DocumentName:   aws.String(cmp.Or(c.Document, scriptDocument(c))),
		Comment:        aws.String(comment),
		Parameters:     parameters,
		TimeoutSeconds: aws.Int32(int32(c.DeliveryTimeout.Seconds())),
		MaxConcurrency: aws.String(c.MaxConcurrency),
		MaxErrors:      aws.String(c.MaxErrors),
	}
	if c.DocumentVersion != "" {
		in.DocumentVersion = aws.String(c.DocumentVersion)
	}
	if o := c.Output; o.S3Bucket != "" {
		in.OutputS3BucketName = aws.String(o.S3Bucket)
		if o.S3Prefix != "" {
			in.OutputS3KeyPrefix = aws.String(o.S3Prefix)
		}
	}
	if o := c.Output; o.CloudWatchLogGroup != "" {
		in.CloudWatchOutputConfig = &types.CloudWatchOutputConfig{
			CloudWatchLogGroupName: aws.String(o.CloudWatchLogGroup), CloudWatchOutputEnabled: true,
		}
	}
	if len(c.StopAlarm) > 0 {
		in.AlarmConfiguration = &types.AlarmConfiguration{}
		for _, name := range c.StopAlarm {
			in.AlarmConfiguration.Alarms = append(in.AlarmConfiguration.Alarms, types.Alarm{Name: aws.String(name)})
		}
	}
	address(in, targets)
	return in
}

func scriptDocument(c *amx.Command) string {
	if c.Platform == platformWindows {
		return powershellDocument
	}
	return shellDocument
}

func address(in *ssm.SendCommandInput, targets []amx.Target) {
	if ledger.ByInstance(targets) {
		in.InstanceIds = targets[0].Values
		return
	}
	for _, t := range targets {
		in.Targets = append(in.Targets, types.Target{Key: aws.String(t.Key), Values: t.Values})
	}
}

// scriptOf is the parameters with which a document runs a script.
func scriptOf(c *amx.Command, text string) map[string][]string {
	p := map[string][]string{
		"commands":         strings.Split(strings.TrimSuffix(text, "\n"), "\n"),
		"executionTimeout": {strconv.Itoa(int(c.Timeout.Seconds()))},
	}
	if c.WorkingDirectory != "" {
		p["workingDirectory"] = []string{c.WorkingDirectory}
	}
	return p
}

func size(parameters map[string][]string) (int, error) {
	b, err := json.Marshal(parameters)
	if err != nil {
		return 0, fmt.Errorf("encoding the parameters: %w", err)
	}
	return len(b), nil
}
