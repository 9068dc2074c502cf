package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// examples are the calls that the help and the manual show for each command.
var examples = map[string][]example{ // :: path below amx → calls
	"serve": {
		{"amx serve -f amx.yaml", "for an Alertmanager on this machine"},
		{"amx serve -f amx.yaml -l :8080 --token-file tokens", "for an Alertmanager on another machine"},
		{"amx serve ./restart.sh", "one script for every alert"},
	},
	"check": {
		{"amx check amx.yaml", "is it right?"},
		{"amx check --lambda amx.yaml", "and for the Lambda functions?"},
	},
	"explain": {
		{"amx explain -f amx.yaml notification.json", "what would this run?"},
		{"amx explain -f amx.yaml alertname=NginxDown instance=web-1", "and an alert with these labels?"},
	},
	"config": {
		{"amx config amx.yaml", "show all defaults"},
		{"amx config --pack amx.yaml > amx.packed", "for Parameter Store"},
	},
	"doctor": {
		{"amx doctor --stack amx -f amx.yaml", "look only"},
		{"amx doctor --stack amx --send --node i-0123456789abcdef0", "rehearse an alert"},
	},
	"runs": {
		{"amx runs --since 1h", "the last hour"},
		{"amx runs --state failed --alert alertname=NginxDown", "failed runs for this alert"},
		{"amx runs --stack amx --watch", "runs of a stack, until you stop it"},
	},
	"show": {{"amx show 01KB5ZQ3G0ABCDEFGHJKMNPQRS", "all of one run"}},
	"cancel": {
		{"amx cancel 01KB5ZQ3G0ABCDEFGHJKMNPQRS --why 'wrong host'", "one run"},
		{"amx cancel --command restart-nginx --why 'wrong fix'", "all runs of a command"},
	},
	"pause": {
		{"amx pause --why 'incident 4711'", "everything, for 24 hours"},
		{"amx pause --command restart-nginx --for 8h --why 'until the morning'", "one command"},
	},
	"resume": {
		{"amx resume", "end the pause of everything"},
		{"amx resume --command restart-nginx", "end the pause of a command"},
	},
	"status": {{"amx status --url https://amx.example.com --token-file token", "of an amx serve on another machine"}},
	"page":   {{"amx page --stack amx --profile ops", "the page of a stack, on this machine"}},
	"template amp": {
		{"amx template amp --topic-arn arn:aws:sns:eu-central-1:123456789012:amx > definition.yaml", "for put-alert-manager-definition"},
	},
	"help":       {{"amx help cancel", "the same as amx cancel --help"}},
	"completion": completionExamples,
	"man":        {{"amx man > /usr/local/share/man/man1/amx.1", "then: man amx"}},
}

var completionExamples = []example{
	{"amx completion bash > /etc/bash_completion.d/amx", "bash"},
	{`amx completion zsh > "${fpath[1]}/_amx"`, "zsh"},
	{"amx completion fish > ~/.config/fish/completions/amx.fish", "fish"},
}

type example struct{ call, does string }

// addExamples puts them behind what the command says of itself. Lines that are
// indented keep their form.
func addExamples(k *kong.Kong) error {
	for _, leaf := range k.Model.Leaves(true) {
		all := examples[pathOf(leaf)]
		if len(all) == 0 {
			continue
		}
		var text strings.Builder
		text.WriteString(leaf.Detail + "\n\nExamples:\n")
		for _, e := range all {
			text.WriteString("\n  # " + e.does + "\n  " + e.call)
		}
		leaf.Detail = strings.TrimSpace(text.String())
	}
	return nil
}

// pathOf is the command as it is typed after amx.
func pathOf(n *kong.Node) string {
	if n.Parent == nil {
		return ""
	}
	return strings.TrimSpace(pathOf(n.Parent) + " " + n.Name)
}
