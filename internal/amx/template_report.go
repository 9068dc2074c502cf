package amx

import (
	"fmt"
	"text/template"
	"time"
)

// reportName is the name, under `templates`, of the one that writes the text
// of every report.
const reportName = "report"

// defaultReport writes a title, and below it what a person wants to know next.
const defaultReport = `{{ .Title }}
{{ with .Reason }}{{ . }}
{{ end }}{{ with .CommonAnnotations.summary }}{{ . }}
{{ end }}{{ with .CommonAnnotations.description }}{{ . }}
{{ end }}`

// RenderReport writes the text of a report: with the template `report` of
// templates, which may call the others, or with amx's own.
func RenderReport(templates map[string]string, now time.Time, dot any) (string, error) {
	t, err := reportTemplate(templates)
	var text string
	if err == nil {
		text, err = render(t, now, dot)
	}
	if err != nil {
		return "", fmt.Errorf("rendering the template %q of templates: %w", reportName, err)
	}
	return text, nil
}

// reportTemplate parses the text of reports with what it may call.
func reportTemplate(templates map[string]string) (*template.Template, error) {
	text, ok := templates[reportName]
	if !ok {
		text = defaultReport
	}
	return parseTemplate(text, templates)
}
