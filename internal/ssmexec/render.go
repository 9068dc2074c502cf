package ssmexec

import (
	"encoding/json"
	"fmt"
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
	// shellDocument runs its parameter `commands` with sh.
	shellDocument = "AWS-RunShellScript"
	// maxInstances is how many InstanceIds one SendCommand takes.
	maxInstances = 50
	// maxParameters is the size, in bytes of JSON, that the parameters may
	// have: SSM's limit of 64 KB is on them and the document together, and the
	// document is under 4 KB.
	maxParameters = 60 << 10

	// KeyInstanceIDs is the key of a target that names nodes by their ID.
	KeyInstanceIDs = "InstanceIds"
)

// A Job is a run to be rendered.
type Job struct {
	Command *amx.Command
	Entry   ledger.ID
	Run     string
	Data    amx.Data        // narrowed to the run's alerts
	Targets []ledger.Target // rendered
}

// ChunkNodes is how many nodes each chunk is sent to; 0 where only SSM knows.
func ChunkNodes(targets []ledger.Target) []int {
	var nodes []int
	for _, chunk := range split(targets) {
		if byInstance(chunk) {
			nodes = append(nodes, len(chunk[0].Values))
		} else {
			nodes = append(nodes, 0)
		}
	}
	return nodes
}

// split cuts instance IDs into what one SendCommand takes; other targets are
// one chunk.
func split(targets []ledger.Target) [][]ledger.Target {
	if !byInstance(targets) {
		return [][]ledger.Target{targets}
	}
	var chunks [][]ledger.Target
	for ids := range slices.Chunk(targets[0].Values, maxInstances) {
		chunks = append(chunks, []ledger.Target{{Key: KeyInstanceIDs, Values: ids}})
	}
	return chunks
}

func byInstance(targets []ledger.Target) bool {
	return len(targets) == 1 && targets[0].Key == KeyInstanceIDs
}

// Render answers the requests of a run, one for each chunk, and notes on what
// the variables leave out, for the log. An error refuses the run: nothing of it
// can be sent, now or later.
func Render(j Job) (inputs []*ssm.SendCommandInput, notes []string, err error) {
	c := j.Command
	args, err := c.ExpandArgs(j.Data)
	if err != nil {
		return nil, nil, err
	}
	execute, err := execution(c, args)
	if err != nil {
		return nil, nil, err
	}
	chunks := split(j.Targets)
	token := Token{Entry: j.Entry, Run: j.Run, Chunks: len(chunks), Command: c.Name}
	variables, notes, err := fitter{job: j, in: sh{}, size: func(variables string) (int, error) {
		return parametersSize(c, script(token, variables, execute))
	}}.fit()
	if err != nil {
		return nil, nil, err
	}
	for i, targets := range chunks {
		token.Chunk = i
		inputs = append(inputs, input(c, token, targets, script(token, variables, execute)))
	}
	return inputs, notes, nil
}

// input is the request of one chunk.
func input(c *amx.Command, token Token, targets []ledger.Target, text string) *ssm.SendCommandInput {
	in := &ssm.SendCommandInput{
		DocumentName:   aws.String(shellDocument),
		Comment:        aws.String(token.String()),
		Parameters:     parameters(c, text),
		TimeoutSeconds: aws.Int32(int32(c.DeliveryTimeout.Seconds())),
		MaxConcurrency: aws.String(c.MaxConcurrency),
		MaxErrors:      aws.String(c.MaxErrors),
	}
	address(in, targets)
	return in
}

func address(in *ssm.SendCommandInput, targets []ledger.Target) {
	if byInstance(targets) {
		in.InstanceIds = targets[0].Values
		return
	}
	for _, t := range targets {
		in.Targets = append(in.Targets, types.Target{Key: aws.String(t.Key), Values: t.Values})
	}
}

func parameters(c *amx.Command, text string) map[string][]string {
	p := map[string][]string{
		"commands":         strings.Split(strings.TrimSuffix(text, "\n"), "\n"),
		"executionTimeout": {strconv.Itoa(int(c.Timeout.Seconds()))},
	}
	if c.WorkingDirectory != "" {
		p["workingDirectory"] = []string{c.WorkingDirectory}
	}
	return p
}

func parametersSize(c *amx.Command, text string) (int, error) {
	b, err := json.Marshal(parameters(c, text))
	if err != nil {
		return 0, fmt.Errorf("encoding the parameters: %w", err)
	}
	return len(b), nil
}
