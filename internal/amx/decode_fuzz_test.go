package amx

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// writers are the forms that carry all of Data, as their senders write them.
var writers = map[string]func(Data) string{
	"JSON":             func(d Data) string { return asJSON(d, "") },
	"JSON, indented":   func(d Data) string { return asJSON(d, "\t") },
	"JSON with a mark": func(d Data) string { return "\ufeff" + asJSON(d, "") + "\r\n" },
	"JSON, indented, a comma too many": func(d Data) string {
		text := asJSON(d, "\t")
		return text[:len(text)-1] + ",}"
	},
	"JSON, a comma too many": func(d Data) string {
		text := asJSON(d, "")
		return text[:len(text)-1] + ",}"
	},
	"YAML":                     func(d Data) string { return asYAML(d, "", "2006-01-02T15:04:05.999999999Z07:00") },
	"YAML, indented":           func(d Data) string { return asYAML(d, "      ", time.RFC3339Nano) },
	"YAML, all but its first":  func(d Data) string { return strings.TrimLeft(asYAML(d, "  ", time.RFC3339Nano), " ") },
	"YAML, Go's times, CRLF":   func(d Data) string { return strings.ReplaceAll(asYAML(d, "", goTime+" UTC"), "\n", "\r\n") },
	"YAML with Windows's mark": func(d Data) string { return "\ufeff" + asYAML(d, "", time.RFC3339Nano) },
}

func asJSON(d Data, indent string) string {
	text, err := json.MarshalIndent(d, "", indent)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// asYAML is what the definition for AMP writes.
func asYAML(d Data, indentation, layout string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, indentation+format+"\n", args...) }
	set := func(name string, kv KV, deeper string) {
		line("%s%s:", deeper, name)
		for _, p := range kv.SortedPairs() {
			line("%s  %q: %q", deeper, p.Name, p.Value)
		}
	}
	line("receiver: %q", d.Receiver)
	line("status: %q", d.Status)
	line("externalURL: %q", d.ExternalURL)
	set("groupLabels", d.GroupLabels, "")
	set("commonLabels", d.CommonLabels, "")
	set("commonAnnotations", d.CommonAnnotations, "")
	line("alerts:")
	for _, a := range d.Alerts {
		line("- status: %q", a.Status)
		set("labels", a.Labels, "  ")
		set("annotations", a.Annotations, "  ")
		line("  startsAt: %q", a.StartsAt.Format(layout))
		line("  endsAt: %q", a.EndsAt.Format(layout))
		line("  generatorURL: %q", a.GeneratorURL)
		line("  fingerprint: %q", a.Fingerprint)
	}
	return b.String()
}

// The same alerts decode to equal messages, whichever form carries them.
func FuzzFormsAgree(f *testing.F) {
	f.Add("alertname", "DiskFull", "93 % of /srv: \"full\"\n# not a comment", "00c0ffee00c0ff0a", int64(1_700_000_000), int64(0), uint8(0))
	f.Add("a.b", "\u2028\u00a0 \U0001f525\ttab", "- status: firing\nalerts: []", "", int64(1_700_000_000), int64(1_700_000_300), uint8(3))
	f.Add("on", "*ops", "&a !b {{ssm:x}}\r\n", "x", int64(9e9), int64(9e9), uint8(7))
	f.Add("Status", "null", "~", "", int64(-1), int64(3600), uint8(1))
	f.Fuzz(func(t *testing.T, name, value, text, fingerprint string, start, end int64, kind uint8) {
		for _, s := range []string{name, value, text, fingerprint} {
			if !utf8.ValidString(s) {
				return // no sender's JSON carries it
			}
		}
		const least, most = -62135596800, 253402300799 // the years 1 to 9999
		if start < least || start > most || end < least || end > most {
			return
		}
		statuses := []string{Firing, Resolved}
		first := Alert{
			Status: statuses[kind&1], Labels: KV{name: value, "instance": "a"}, Annotations: KV{"summary": text},
			StartsAt: time.Unix(start, int64(kind)).UTC(), EndsAt: time.Unix(end, 0).UTC(), GeneratorURL: text, Fingerprint: fingerprint,
		}
		second := Alert{Status: statuses[kind>>1&1], Labels: KV{name: value}, Annotations: KV{}, StartsAt: first.StartsAt}
		d := Data{
			Receiver: text, Status: Alerts{first, second}.status(), Alerts: Alerts{first, second}, ExternalURL: value,
			GroupLabels: KV{name: value}, CommonLabels: KV{name: value}, CommonAnnotations: KV{},
		}
		want, err := DecodeSNS(SNS{Body: asJSON(d, ""), SentAt: arrived})
		if err != nil {
			t.Fatalf("JSON: %v\n%s", err, asJSON(d, ""))
		}
		if a := want.Alerts[0]; a.Status != first.Status || !reflect.DeepEqual(a.Labels, first.Labels) || !reflect.DeepEqual(a.Annotations, first.Annotations) || a.GeneratorURL != text || want.Receiver != text {
			t.Fatalf("JSON carries\n%+v, want\n%+v", a, first)
		}
		for form, write := range writers {
			body := write(d)
			if bad, _ := badText([]byte(body)); strings.Contains(form, "too many") && bad >= 0 {
				continue // it is read as YAML, which has no such characters
			}
			got, err := DecodeSNS(SNS{Body: body, SentAt: arrived})
			if err != nil {
				t.Fatalf("%s: %v\n%s", form, err, body)
			}
			if !reflect.DeepEqual(inUTC(got), inUTC(want)) {
				t.Fatalf("%s: got\n%+v\nwant\n%+v\nfrom\n%s", form, got, want, body)
			}
			posted, err := Decode([]byte(body), arrived)
			if err != nil {
				t.Fatalf("%s as a webhook's body: %v\n%s", form, err, body)
			}
			posted.SentAt = arrived
			if !reflect.DeepEqual(inUTC(posted), inUTC(want)) {
				t.Fatalf("%s as a webhook's body: got\n%+v\nwant\n%+v", form, posted, want)
			}
		}
		kept(t, want)
	})
}

// The block has one alert's labels and annotations, quoted or not.
func FuzzBlocksAgree(f *testing.F) {
	f.Add("DiskFilling", "Disk is filling: /srv at 93%")
	f.Add("a #4", `"/var" is full`)
	f.Add("*x", "&y !z | > %")
	f.Add("{a: b", "[c]")
	f.Fuzz(func(t *testing.T, label, text string) {
		if !utf8.ValidString(label) || !utf8.ValidString(text) {
			return
		}
		decode := func(write func(string) string) *Message {
			body := "dedup_key: k\ndescription: " + write(text) + "\ndetails:\n  name: " + write(label) + "\n  z: 1\n"
			m, err := DecodeSNS(SNS{Subject: "[FIRING:1]", Body: body, SentAt: arrived})
			if err != nil {
				return nil
			}
			return m
		}
		quoted := decode(func(s string) string { return fmt.Sprintf("%q", s) })
		if quoted == nil || quoted.Alerts[0].Labels["name"] != label || quoted.Alerts[0].Annotations["description"] != text {
			t.Fatalf("quoted, %q and %q become %+v", label, text, quoted)
		}
		kept(t, quoted)
		if plain := func(s string) bool {
			return s != "" && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) &&
				!strings.ContainsRune("\"'{[|>~", rune(s[0])) && !strings.EqualFold(s, "null")
		}; !plain(label) || !plain(text) {
			return
		}
		if bare := decode(func(s string) string { return s }); bare == nil || bare.Alerts[0].Labels["name"] != label || bare.Alerts[0].Annotations["description"] != text {
			t.Fatalf("unquoted, %q and %q become %+v", label, text, bare)
		}
	})
}

// Whatever is decoded can be kept, and is the same when it is read again.
func FuzzWhatIsDecodedCanBeKept(f *testing.F) {
	for _, b := range readBodies(f) {
		f.Add(b.Subject, string(b.text(f)))
	}
	f.Fuzz(func(t *testing.T, subject, text string) {
		if m, err := Decode([]byte(text), arrived); err == nil {
			kept(t, m)
		}
		if !utf8.ValidString(text) {
			return // SNS has no other
		}
		if m, err := DecodeSNS(SNS{Subject: subject, Body: text, SentAt: arrived}); err == nil {
			kept(t, m)
		}
		_ = ForeignEvent([]byte(text))
	})
}

func kept(t *testing.T, m *Message) {
	t.Helper()
	m.RoutingKey = "" // it is a secret, and not kept
	written, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("%+v cannot be kept: %v", m, err)
	}
	var again Message
	if err := json.Unmarshal(written, &again); err != nil || !reflect.DeepEqual(inUTC(&again), inUTC(m)) {
		t.Fatalf("it is another when it is read again: %v\n%+v\nwant\n%+v", err, &again, m)
	}
	for i := range m.Alerts {
		a := &m.Alerts[i]
		if a.Status != Firing && a.Status != Resolved || a.Labels == nil || a.Annotations == nil || a.Fingerprint == "" || len(a.Identity) > 33 {
			t.Fatalf("alerts[%d] is %+v", i, a)
		}
		if a.StartsAt.After(arrived.Add(skew)) || a.Status == Resolved && a.EndsAt.After(arrived.Add(skew)) {
			t.Fatalf("alerts[%d] begins or ends after it was sent: %v, %v", i, a.StartsAt, a.EndsAt)
		}
	}
}
