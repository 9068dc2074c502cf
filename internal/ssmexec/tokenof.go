package ssmexec

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/awserr"
)

// TokenOf reads the token in a command's comment; false where it has none. A
// command that SSM's list does not have yet is an error.
func (x *Executor) TokenOf(ctx context.Context, commandID string) (Token, bool, error) {
	out, err := x.Client.ListCommands(ctx, &ssm.ListCommandsInput{CommandId: &commandID})
	if err != nil {
		return Token{}, false, fmt.Errorf("ListCommands %q: %w", commandID, awserr.Plain(err))
	}
	if len(out.Commands) == 0 {
		return Token{}, false, fmt.Errorf("ListCommands %q: SSM does not list the command", commandID)
	}
	t, ok := ParseToken(aws.ToString(out.Commands[0].Comment))
	return t, ok, nil
}
