package ssmexec

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

const (
	// listedOutput is how many characters of a command's output the lists show,
	// standard output first.
	listedOutput = 2500
	// errorsFollow stands between standard output and standard error there.
	errorsFollow = "----------ERROR-------\n"
)

// Written is what a command on a node wrote to standard error, or else to
// standard output, as far as SSM shows it. Only where standard output alone
// fills what is listed is SSM asked for more.
func (x *Executor) Written(ctx context.Context, i Invocation) string {
	_, stderr, there := strings.Cut(i.Output, errorsFollow)
	if strings.TrimSpace(stderr) != "" {
		return stderr
	}
	if !there && x.Outputs != nil && len(i.Output) >= listedOutput-len(errorsFollow) {
		// For a document of several steps SSM would have to be asked step by step. The
		// listed output has to do then, as after an error.
		out, err := x.Outputs.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{CommandId: &i.CommandID, InstanceId: &i.Node})
		if err == nil && strings.TrimSpace(aws.ToString(out.StandardErrorContent)) != "" {
			return *out.StandardErrorContent
		}
	}
	return i.Output
}
