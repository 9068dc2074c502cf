package main

import (
	"fmt"
	"strings"

	"github.com/amx-lambda/amx/examples/amp"
)

type templateCmd struct {
	AMP ampCmd `cmd:"" name:"amp" help:"Print an alert manager definition for Amazon Managed Service for Prometheus."`
}

type ampCmd struct {
	TopicARN string `required:"" placeholder:"ARN" help:"The SNS topic that the sns function reads."`
	Region   string `help:"The topic's region (default: the one in its ARN)."`
	Short    bool   `help:"Leave out the annotations of each alert, for large groups. Common annotations stay."`
}

// Help is how the definition reaches a workspace.
func (*ampCmd) Help() string {
	return `To give the definition to a workspace:

  amx template amp --topic-arn ARN --region REGION > definition.yaml
  aws amp put-alert-manager-definition --workspace-id ws-… --data fileb://definition.yaml

If the workspace has no definition yet, use create-alert-manager-definition instead. fileb:// matters: AMP takes base64, and the AWS command line makes it from such a file.`
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
