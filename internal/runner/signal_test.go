package runner

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

type sends struct {
	ssmexec.Client
	inputs  []*ssm.SendCommandInput
	refuses bool // what is sent to a tag
}

func (s *sends) SendCommand(_ context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	if s.inputs = append(s.inputs, in); s.refuses && len(in.Targets) > 0 {
		return nil, &types.InvalidInstanceId{}
	}
	return &ssm.SendCommandOutput{Command: &types.Command{CommandId: aws.String("s")}}, nil
}

// Of the nodes of a tag SSM lists those that max_concurrency has let begin. A
// signal keeps the others from beginning.
func TestTheSignalGoesToATag(t *testing.T) {
	for name, refuses := range map[string]bool{"taken": false, "refused, as the tag is nobody's any more": true} {
		t.Run(name, func(t *testing.T) {
			config, err := amx.ParseConfig("amx.yaml", []byte("commands:\n- {name: hold, cmd: sleep, resolved_signal: TERM, max_concurrency: '1', targets: [{key: 'tag:role', values: [web]}]}\n"))
			if err != nil {
				t.Fatal(err)
			}
			client := &sends{refuses: refuses}
			task := &task{delivery: &delivery{Runner: &Runner{Exec: &ssmexec.Executor{Client: client}}}, command: config.Commands[0], entry: "3f2a9c0d1e2b4a5c"}
			r := &ledger.Run{
				ID: "01JD8Z5T3M6Q9W2X4Y7B0C1D2E", Targets: []ledger.Target{{Key: "tag:role", Values: []string{"web"}}},
				Chunks: []ledger.Chunk{{Commands: []ledger.SSMCommand{{ID: "c0"}}}},
			}
			err = task.signal(t.Context(), r, &ssmexec.State{Invocations: []ssmexec.Invocation{
				{CommandID: "c0", Node: "i-00000001", Status: "InProgress"}, {CommandID: "c0", Node: "i-00000002", Status: "Success"},
			}})
			if err != nil || len(client.inputs) != 2 {
				t.Fatalf("%d sends, %v", len(client.inputs), err)
			}
			if nodes := client.inputs[0].InstanceIds; len(nodes) != 1 || nodes[0] != "i-00000001" {
				t.Errorf("it goes to %v", nodes)
			}
			if to := client.inputs[1].Targets; len(to) != 1 || aws.ToString(to[0].Key) != "tag:role" {
				t.Errorf("and to %v", to)
			}
		})
	}
}
