package conformance

import (
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/template"

	"github.com/amx-lambda/amx/internal/amx"
)

// templates use every function and method; those that cannot be rendered must
// fail in both.
var templates = []string{
	`{{ .Labels }}`, `{{ .Receiver }} {{ .Status }} {{ .ExternalURL }}`, `{{ len .Alerts }}`,
	`{{ .CommonLabels.foo }}`, `{{ .CommonLabels.SortedPairs }}`, `{{ .CommonLabels }}`, `{{ .GroupLabels.Values.Join "|" }}`,
	`{{ range .Alerts.Firing }}{{ .Labels.alertname }},{{ end }}`, `{{ range .Alerts.Resolved }}{{ .Annotations }};{{ end }}`,
	`{{ range .Alerts }}{{ .StartsAt }} {{ .EndsAt.Unix }} {{ .Fingerprint }} {{ .GeneratorURL }}{{ end }}`,
	`{{ .CommonLabels.Names | join ", " }}`, `{{ join "-" (stringSlice "a" "b" .Receiver) }}`, `{{ (.CommonLabels.Remove (stringSlice "foo" "alertname")).Values }}`,
	`{{ .Receiver | toUpper }}`, `{{ .Receiver | toLower }}`, `{{ safeHtml .Receiver }}`,
	`{{ match "^[a-z]+$" .Receiver }}`, `{{ match "(" .Receiver }}`, `{{ match .Receiver .Receiver }}`,
	`{{ reReplaceAll "[aeiou]" "<$0>" .Receiver }}`, `{{ reReplaceAll .Receiver "x" "abc" }}`, `{{ reReplaceAll "(a)(b)?" "$2${1}z" .Receiver }}`,
	`{{ index .Alerts 1 }}`, `{{ .NoSuchField }}`, `{{ .CommonLabels.a.b }}`, `{{ printf "%q" .Receiver }}`, `{{ html .Receiver }}{{ urlquery .Receiver }}{{ js .Receiver }}`,
	`{{ define "x" }}[{{ . }}]{{ end }}{{ template "x" .Status }}`, `{{ with .CommonLabels.foo }}has {{ . }}{{ else }}none{{ end }}`,
	`{{ if eq .Status "firing" }}on{{ else }}off{{ end }}`, `{{ slice .Receiver 0 1 }}`, `{{ trimSpace .Receiver }}`, `{{ safeUrl .Receiver }}`, `{{ urlUnescape .Receiver }}`,
	`{{ base64encode .Receiver }}`, `{{ base64decode .Receiver }}`, `{{ toJson .CommonLabels }}`, `{{ toJson (list .Receiver 1 true) }}`,
	`{{ dict "a" .Receiver "b" (list) | toJson }}`, `{{ dict "a" }}`, `{{ dict 1 2 }}`, `{{ append (list 1) .Receiver | toJson }}`,
	`{{ range .Alerts }}{{ .StartsAt | tz "Europe/Paris" | date "2006-01-02 15:04 MST" }};{{ end }}`, `{{ tz .Receiver (index .Alerts 0).EndsAt }}`,
	`{{ toDate "2006-01-02" .Receiver }}`, `{{ mustToDate "2006-01-02" .Receiver }}`, `{{ humanizeDuration .Receiver }}`,
	`{{ humanizeDuration 0 }} {{ humanizeDuration 1.5 }} {{ humanizeDuration 90061 }} {{ humanizeDuration -3700 }} {{ humanizeDuration 0.00012 }} {{ humanizeDuration "Inf" }}`,
	`{{ nosuchfunction . }}`, `{{`, `plain`, ``,
}

func TestTemplatesRenderAsInAlertmanager(t *testing.T) {
	real, err := template.New()
	if err != nil {
		t.Fatal(err)
	}
	real.ExternalURL = &url.URL{}
	r := rand.New(rand.NewPCG(5, 5))
	for i := range 20000 {
		tmpl := templates[i%len(templates)]
		ours := data(r)
		want, wantErr := real.ExecuteTextString(tmpl, theirs(t, ours))
		got, gotErr := (&amx.Command{Args: []string{tmpl}}).ExpandArgs(ours)
		// The one refusal of amx's own: a label that is printed has to be there.
		if lacks := (*amx.MissingError)(nil); errors.As(gotErr, &lacks) {
			if !strings.Contains(tmpl, "{{ "+lacks.Field+" }}") {
				t.Fatalf("%s on %+v: %v", tmpl, ours, gotErr)
			}
			continue
		}
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("%s on %+v: Alertmanager says %v, amx says %v", tmpl, ours, wantErr, gotErr)
		}
		// The one difference: in JSON, {{ is written so that SSM does not take it for its own.
		if wantErr == nil && got[0] != want && strings.ReplaceAll(got[0], `{\u007b`, "{{") != want {
			t.Fatalf("%s on %+v:\namx          %q\nAlertmanager %q", tmpl, ours, got[0], want)
		}
	}
}

func TestTitleAgreesWithAlertmanagerOnEuropeanLetters(t *testing.T) {
	real := template.DefaultFuncs["title"].(func(string) string)
	for c := rune(1); c < 0x10000; c++ {
		if !unicode.In(c, unicode.Latin, unicode.Greek, unicode.Cyrillic) {
			continue
		}
		if alone, after := real(string(c)), real("a"+string(c)); utf8.RuneCountInString(alone) > 1 || utf8.RuneCountInString(after) > 2 {
			continue // a letter that changes into several: amx leaves it as it is
		}
		for _, s := range []string{string(c) + "aB", "ab" + string(c) + "cD e", "aB" + string(c) + string(c) + "cD", "3" + string(c) + "dE"} {
			if got, want := title(t, s), real(s); got != want {
				t.Errorf("title(%q) (%U) = %q, Alertmanager has %q", s, c, got, want)
			}
		}
	}
}

func TestTitleAgreesWithAlertmanagerOnASCII(t *testing.T) {
	real := template.DefaultFuncs["title"].(func(string) string)
	r := rand.New(rand.NewPCG(6, 6))
	for range 50000 {
		b := make([]byte, r.IntN(12))
		for i := range b {
			b[i] = "aAbBzZ019 _'.:-,;/\n\"$^`"[r.IntN(23)]
		}
		if got, want := title(t, string(b)), real(string(b)); got != want {
			t.Fatalf("title(%q) = %q, Alertmanager has %q", b, got, want)
		}
	}
}

func title(t *testing.T, s string) string {
	t.Helper()
	got, err := (&amx.Command{Args: []string{"{{ title .Receiver }}"}}).ExpandArgs(amx.Data{Receiver: s})
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func data(r *rand.Rand) amx.Data {
	d := amx.Data{
		Receiver: text(r, 4), Status: pick(r, "firing", "resolved"), ExternalURL: text(r, 3),
		GroupLabels: labels(r, 3), CommonLabels: labels(r, 3), CommonAnnotations: labels(r, 3),
		Alerts: amx.Alerts{},
	}
	for range r.IntN(4) {
		d.Alerts = append(d.Alerts, amx.Alert{
			Status: pick(r, "firing", "resolved"), Labels: labels(r, 3), Annotations: labels(r, 3),
			StartsAt: instant(r), EndsAt: instant(r), GeneratorURL: text(r, 3), Fingerprint: text(r, 2),
		})
	}
	return d
}

// theirs is the same data as Alertmanager has it.
func theirs(t *testing.T, d amx.Data) template.Data {
	t.Helper()
	same := template.Data{
		Receiver: d.Receiver, Status: d.Status, ExternalURL: d.ExternalURL,
		GroupLabels: template.KV(d.GroupLabels), CommonLabels: template.KV(d.CommonLabels), CommonAnnotations: template.KV(d.CommonAnnotations),
		Alerts: template.Alerts{},
	}
	for _, a := range d.Alerts {
		same.Alerts = append(same.Alerts, template.Alert{
			Status: a.Status, Labels: template.KV(a.Labels), Annotations: template.KV(a.Annotations),
			StartsAt: a.StartsAt, EndsAt: a.EndsAt, GeneratorURL: a.GeneratorURL, Fingerprint: a.Fingerprint,
		})
	}
	return same
}
