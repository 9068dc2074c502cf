package main

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awserr"
)

// checkSecrets looks for what `reports` refer to. A report whose secret is not
// there reaches nobody, and nobody else says so.
func (d *doctor) checkSecrets(ctx context.Context) {
	if d.config == nil {
		return
	}
	problems, found := d.problems, 0
	for _, r := range d.config.Reports {
		for _, s := range secretsOf(r) {
			kind, name := s.Source()
			if kind != "ssm" {
				d.wrong("report "+r.Name, "its secret is in %s:%s, which only amx serve has: keep it in Parameter Store, as ssm:%s", kind, name, d.parameterName("reports/"+r.Name))
				continue
			}
			found++
			d.checkSecret(ctx, r.Name, name)
		}
	}
	if found > 0 && d.problems == problems {
		d.ok("reports", "%d %s of %d %s in Parameter Store", found, plural(found, "secret"), len(d.config.Reports), plural(len(d.config.Reports), "report"))
	}
}

func (d *doctor) checkSecret(ctx context.Context, report, name string) {
	out, err := d.parameters.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	switch {
	case awserr.Code(err) == "ParameterNotFound":
		d.wrong("report "+report, "there is no parameter %q: put its secret there, as a SecureString", name)
	case err != nil:
		d.wrong("report "+report, "%q cannot be decrypted: %s", name, said("GetParameter", err))
	case strings.TrimSpace(aws.ToString(out.Parameter.Value)) == "":
		d.wrong("report "+report, "the parameter %q is empty: put its secret there", name)
	case out.Parameter.Type != ssmtypes.ParameterTypeSecureString:
		d.wrong("report "+report, "%q is a %s, which anybody who may read it sees in the clear: make it a SecureString", name, out.Parameter.Type)
	case !strings.HasPrefix(name, d.parameterName("reports/")):
		d.wrong("report "+report, "the worker may not read %q: keep the secret under %s", name, d.parameterName("reports/"))
	}
}

func secretsOf(r *amx.Report) (all []amx.Secret) {
	add := func(s amx.Secret) {
		if s != "" {
			all = append(all, s)
		}
	}
	if r.Slack != nil {
		add(r.Slack.Token)
		add(r.Slack.WebhookURL)
	}
	if r.PagerDuty != nil {
		add(r.PagerDuty.RoutingKey)
	}
	if r.Webhook != nil {
		add(r.Webhook.URLFrom)
		add(r.Webhook.Secret)
	}
	return all
}
