package amx

import (
	"testing"
	"time"
)

func TestTheTextOfAReport(t *testing.T) {
	dot := struct {
		Title, Reason     string
		CommonAnnotations KV
	}{"a failed", "because", KV{"summary": "s <&>", "description": "d"}}
	for _, tt := range []struct {
		name      string
		templates map[string]string
		want, err string
	}{
		{"amx's own", nil, "a failed\nbecause\ns <&>\nd\n", ""},
		{"another one, which calls a third", map[string]string{"report": `{{ template "x" . }}!`, "x": "{{ .Title | toUpper }}"}, "A FAILED!", ""},
		{"others alone change nothing", map[string]string{"x": "y"}, "a failed\nbecause\ns <&>\nd\n", ""},
		{"a field that is not there", map[string]string{"report": "{{ .Labels }}"}, "", `rendering the template "report" of templates: 1:3: at <.Labels>: can't evaluate field Labels in type struct { Title string; Reason string; CommonAnnotations amx.KV }`},
	} {
		got, err := RenderReport(tt.templates, time.Time{}, dot)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("%s: got %q, %v", tt.name, got, err)
		}
	}
}

func TestTemplatesThatCallWhatIsNotThere(t *testing.T) {
	for yaml, want := range map[string]string{
		"templates: {report: '{{ template \"x\" . }}'}\ncommands: []":          `amx.yaml:1: templates: 1: template "x" not defined: want its {{ define }} in the same value`,
		"templates:\n  report: '{{ .Title'\ncommands: []":                      `amx.yaml:2: templates: report: "{{ .Title": 1: unclosed action`,
		"templates: {report: '{{ template \"x\" }}', x: 'y'}\ncommands: []":    "",
		"templates: {x: '{{ define \"y\" }}z{{ end }}{{ template \"y\" }}'}\n": "",
	} {
		_, err := ParseConfig("amx.yaml", []byte(yaml))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", yaml, got, want)
		}
	}
}
