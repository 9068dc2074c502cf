package main

import (
	"fmt"
	"strings"

	"github.com/amx-lambda/amx/examples/amp"
)

type templateCmd struct {
	AMP ampCmd `cmd:"" name:"amp" help:"The alert manager definition for Amazon Managed Service for Prometheus."`
}

type ampCmd struct {
	TopicARN string `required:"" placeholder:"ARN" help:"SNS topic that the SNS function is subscribed to."`
	Region   string `help:"The topic's region; default: the one in its ARN."`
	Short    bool   `help:"Leave out the annotations of each alert, for large groups; those that the alerts have in common stay."`
}

// Help is how the definition reaches a workspace.
func (*ampCmd) Help() string {
	return `AMP takes the definition in base64, which the AWS CLI makes of a file named with fileb://

  amx template amp --topic-arn ARN --region REGION > definition.yaml
  aws amp put-alert-manager-definition --workspace-id ws-… --data fileb://definition.yaml

A workspace that has none yet takes create-alert-manager-definition.`
}

// Run prints the definition.
func (c *ampCmd) Run(io stdio) error {
	region := c.Region
	if parts := strings.Split(c.TopicARN, ":"); region == "" && len(parts) > 3 {
		region = parts[3]
	}
	text, err := amp.For(c.TopicARN, region, c.Short)
	if err != nil {
		return usageError{err}
	}
	_, err = fmt.Fprint(io.out, text)
	return err
}
