package send

import (
	"strings"
	"testing"
)

func TestATemplateIsTriedBeforeTheFirstReport(t *testing.T) {
	for text, want := range map[string]string{
		"{{ .Title }} {{ .CommonLabels.cluster }} {{ range .FailedNodes }}{{ .Node }}{{ end }} {{ .CancelledBy }}": "",
		"{{ .Labels.instance }}":                         "can't evaluate field Labels",
		"{{ range .FailedNodes }}{{ .Stdout }}{{ end }}": "can't evaluate field Stdout",
	} {
		err := Check(map[string]string{"report": text}, noon)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	if err := Check(nil, noon); err != nil {
		t.Errorf("amx's own: %v", err)
	}
}
