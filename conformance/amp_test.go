package conformance

import (
	"flag"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/template"
	"gopkg.in/yaml.v3"

	"github.com/amx-lambda/amx/examples/amp"
	"github.com/amx-lambda/amx/internal/amx"
)

var cases = flag.Int("cases", 2000, "random cases of each test of what SNS carries")

// definition is the project's own alert manager definition, taken apart as AMP
// does it.
func definition(t testing.TB) (files map[string]string, config string) {
	t.Helper()
	var d struct {
		Templates map[string]string `yaml:"template_files"`
		Config    string            `yaml:"alertmanager_config"`
	}
	if err := yaml.Unmarshal([]byte(amp.Definition), &d); err != nil {
		t.Fatal(err)
	}
	return d.Templates, d.Config
}

// alertmanager is Alertmanager's templates, its defaults and the given ones.
func alertmanager(t testing.TB, files ...string) *template.Template {
	t.Helper()
	tmpl, err := template.FromGlobs(nil)
	if err != nil {
		t.Fatal(err)
	}
	tmpl.ExternalURL = &url.URL{Scheme: "https", Host: "am.example"}
	for _, text := range files {
		if err := tmpl.Parse(strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	return tmpl
}

func TestAlertmanagerTakesTheDefinition(t *testing.T) {
	files, text := definition(t)
	c, err := config.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Templates) != 1 || files[c.Templates[0]] == "" {
		t.Errorf("it loads %q of %d template files", c.Templates, len(files))
	}
	if sns := c.Receivers[0].SNSConfigs[0]; !sns.SendResolved() || sns.APIUrl != "" {
		t.Errorf("send_resolved is %t; AMP refuses an api_url, and it has %q", sns.SendResolved(), sns.APIUrl)
	}
}

func TestTheDefinitionCarriesTheWholeData(t *testing.T) {
	files, _ := definition(t)
	tmpl := alertmanager(t, files["amx"])
	r := rand.New(rand.NewPCG(8, uint64(*cases)))
	for i := range *cases {
		d := hostile(r, i)
		for _, name := range []string{"amx", "amx.short"} {
			body, err := tmpl.ExecuteTextString(`{{ template "`+name+`" . }}`, theirs(t, d))
			if err != nil {
				t.Fatal(err)
			}
			got, err := amx.DecodeSNS(amx.SNS{Body: body, SentAt: sent})
			if err != nil {
				t.Fatalf("case %d, %s: %v\n%s", i, name, err, body)
			}
			want := amx.Message{Data: d, Version: "4", SentAt: sent}
			if name == "amx.short" {
				want.Alerts = slices.Clone(d.Alerts)
				for i := range want.Alerts {
					want.Alerts[i].Annotations = d.CommonAnnotations
				}
			}
			same(t, got, &want, body)
		}
	}
}

// sent is later than any time of these tests, so that none is bounded by it.
var sent = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// same compares messages. A time is the same in any zone.
func same(t *testing.T, got, want *amx.Message, body string) {
	t.Helper()
	for _, m := range []*amx.Message{got, want} {
		m.Alerts = slices.Clone(m.Alerts)
		for i := range m.Alerts {
			a := &m.Alerts[i]
			a.StartsAt, a.EndsAt = a.StartsAt.UTC(), a.EndsAt.UTC()
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v\nfrom\n%s", got, want, body)
	}
}

// hostile is what Prometheus can send at worst: any UTF-8 in names and values.
// Every hundredth case has many alerts.
func hostile(r *rand.Rand, i int) amx.Data {
	d := amx.Data{
		Receiver: utf8Text(r, 4), Status: pick(r, "firing", "resolved"), ExternalURL: utf8Text(r, 3),
		GroupLabels: utf8Labels(r, 3), CommonLabels: utf8Labels(r, 3), CommonAnnotations: utf8Labels(r, 3),
	}
	n := 1 + r.IntN(5)
	if i%100 == 99 {
		n = 200
	}
	for range n {
		a := amx.Alert{
			Status: pick(r, "firing", "resolved"), Labels: utf8Labels(r, 4), Annotations: utf8Labels(r, 3),
			StartsAt: instant(r), EndsAt: instant(r), GeneratorURL: utf8Text(r, 3),
		}
		a.Fingerprint = amx.Fingerprint(a.Labels)
		d.Alerts = append(d.Alerts, a)
	}
	return d
}

// structure is what the forms are made of.
var structure = []string{
	"\n - a = b", " - z = y", "\nLabels:", "\nAnnotations:\n", "\nSource: x", "Alerts Firing:\n", "\nAlerts Resolved:\nLabels:\n",
	"\n---\n", "\n...\n", "\n- ", "\n  ", "# ", ": ", "&a ", "*a", "!!str ", "%YAML 1.2\n", "|\n", ">-\n", "? ", "~", "null", "{}", "[]", "<<",
	`","x":"`, `"}]`, `\'`, "\u0085", "\u2029", "\ufeff", "\U0001f468\u200d\U0001f469", "\U000e0001", "\u202e", "\x01", "\x1b[31m", "\b", "\f", "\v",
}

func utf8Text(r *rand.Rand, most int) string {
	var b strings.Builder
	b.WriteString(text(r, most))
	for range r.IntN(most + 1) {
		b.WriteString(structure[r.IntN(len(structure))])
		b.WriteString(text(r, 1))
	}
	return strings.ToValidUTF8(b.String(), "\ufffd")
}

func utf8Labels(r *rand.Rand, most int) amx.KV {
	kv := amx.KV{}
	for range r.IntN(most + 1) {
		kv[utf8Text(r, 2)] = utf8Text(r, 4)
	}
	return kv
}
