package conformance

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/matcher/compat"
	real "github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"

	"github.com/amx-lambda/amx/internal/amx"
)

// parse is how Alertmanager reads an element of `matchers` by default.
var parse = compat.FallbackMatchersParser(promslog.NewNopLogger())

func FuzzMatchersAgreeWithAlertmanager(f *testing.F) {
	for _, s := range matcherTexts {
		f.Add(s, uint64(len(s)))
	}
	f.Fuzz(compareMatchers)
}

func TestMatchersAgreeWithAlertmanagerOnRandomTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for i := range 100000 {
		var s string
		switch i % 3 {
		case 0: // anything
			s = text(r, 10)
		case 1: // nearly a matcher
			s = text(r, 1) + "foo" + pick(r, "=", "!=", "=~", "!~") + pick(r, `"`, "") + text(r, 3) + pick(r, `"`, "")
		case 2: // nearly a list of them
			s = pick(r, "{", "") + `a="b"` + pick(r, ",", " ", ", ") + text(r, 1) + `c!~"` + text(r, 2) + `"` + pick(r, "}", "", ",", ",}")
		}
		compareMatchers(t, s, r.Uint64())
	}
}

// compareMatchers fails if amx and Alertmanager do not both refuse s, or do not
// both match the same labels with it.
func compareMatchers(t *testing.T, s string, seed uint64) {
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) || strings.ContainsAny(s, "\ufeff\ufffe\uffff") {
		return // no configuration file can have it
	}
	theirs, err := parse(s, "test")
	cmd, ourErr := command(s)
	if err == nil && len(theirs) == 0 {
		if ourErr == nil || !strings.Contains(ourErr.Error(), "no matcher in it") {
			t.Fatalf("amx must refuse %q, which Alertmanager takes for no matcher: %v", s, ourErr)
		}
		return
	}
	if (err == nil) != (ourErr == nil) {
		t.Fatalf("%q: Alertmanager says %v, amx says %v", s, err, ourErr)
	}
	if err != nil {
		return
	}
	r := rand.New(rand.NewPCG(seed, 4))
	for range 20 {
		kv := labelsFor(r, theirs)
		set := model.LabelSet{}
		for name, value := range kv {
			set[model.LabelName(name)] = model.LabelValue(value)
		}
		if got, want := cmd.Matches(&amx.Alert{Labels: kv}), theirs.Matches(set); got != want {
			t.Fatalf("%q on %q: amx says %t, Alertmanager %t", s, kv, got, want)
		}
	}
}

// labelsFor makes labels that have a fair chance to match.
func labelsFor(r *rand.Rand, matchers real.Matchers) amx.KV {
	kv := labels(r, 2)
	for _, m := range matchers {
		switch r.IntN(4) {
		case 0, 1:
			kv[m.Name] = m.Value
		case 2:
			kv[m.Name] = text(r, 3)
		case 3:
			kv[m.Name] = strings.NewReplacer(".*", "x", ".+", "x", `\.`, ".", "|", "").Replace(m.Value)
		}
	}
	return maps.Clone(kv)
}

func command(matchers string) (*amx.Command, error) {
	quoted, err := json.Marshal([]string{matchers})
	if err != nil {
		return nil, err
	}
	// JSON leaves DEL and C1 as they are, YAML wants them escaped.
	var yaml strings.Builder
	for _, c := range string(quoted) {
		if 0x7f <= c && c < 0xa0 {
			yaml.WriteString(`\x` + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]))
			continue
		}
		yaml.WriteRune(c)
	}
	config, err := amx.ParseConfig("amx.yaml", []byte("commands: [{cmd: x, matchers: "+yaml.String()+"}]"))
	if err != nil {
		return nil, err
	}
	return config.Commands[0], nil
}

func pick(r *rand.Rand, texts ...string) string { return texts[r.IntN(len(texts))] }

var matcherTexts = []string{
	``, `{}`, `{`, `}`, `,`, `{,}`, `foo`, `foo=`, `foo=bar`, `foo = bar`, ` foo="bar" `, `foo="bar",`, `{foo="bar",}`, `foo="bar",,`,
	`foo=~"bar|baz"`, `foo!~"bar.*"`, `foo!="bar"`, `foo==bar`, `foo=!bar`, `foo=~bar=~baz`, `foo="bar" baz="qux"`,
	`"foo bar"="baz"`, `"föö"=x`, `föö=bar`, `föö="bar"`, `🙂=🙂`, `foo.bar=baz`, `foo-bar!=baz`, `1foo=bar`,
	`foo="a\.b"`, `foo=~"a\.b"`, `foo=~"a\\.b"`, `foo=~"\d+"`, `foo="a\nb"`, `foo="a\tb"`, `foo="\u00e9"`, `foo="\x41"`, `foo="\377"`,
	`foo="bar`, `foo=bar"`, `foo="b"ar"`, `foo="b\"ar"`, `foo=b\"ar`, `foo="bar\"`, `foo="bar\\"`, `foo=bar\`, `foo=~"("`, `foo=~")("`, `foo=~"a)(b"`,
	`foo=bar baz`, `foo=bar,baz=qux`, `{foo=bar,baz=qux}`, `{foo=bar,baz=qux`, `foo=bar}`, `{{foo=bar}}`, `foo={bar}`, `foo="{bar}"`,
	`foo=~`, `foo=~""`, `foo!~""`, `foo!=""`, `foo=""`, `""="x"`, `"foo"`, `foo='bar'`, "foo=`bar`", `foo="bar"baz`, "foo=\"a\nb\"", "foo=\"a,b\"", `foo=a\,b`,
	`foo=,bar=`, `foo="a",bar=`, "foo\u00a0=\u00a0bar", "foo=bar\u00a0,baz=qux\u00a0", `{ foo = "bar" , baz =~ "qux" , }`, `severity=~"page|critical"`, `__name__="x"`, `a:b="c"`,
	`foo=(?i)x`, `foo=~(?i)x`, `foo=~"(?i)X"`, `foo=~"^a$"`, `foo=~"a|b$"`,
}
