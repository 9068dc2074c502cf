package amx

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// one decodes a message of one alert, which is given as JSON.
func one(t *testing.T, alert string) Alert {
	t.Helper()
	m, err := Decode([]byte(`{"status":"firing","alerts":[`+alert+`]}`), arrived)
	if err != nil {
		t.Fatalf("%s: %v", alert, err)
	}
	return m.Alerts[0]
}

func TestAnAlertIsItsLabelsAndTheFingerprintThatCame(t *testing.T) {
	a := one(t, `{"labels":{"a":"b"}}`)
	if a.ID() != a.Fingerprint || a.ID() != Fingerprint(KV{"a": "b"}) {
		t.Errorf("without a fingerprint it is %q", a.ID())
	}
	if same := one(t, `{"labels":{"a":"b"},"fingerprint":"`+a.Fingerprint+`"}`); same.ID() != a.ID() {
		t.Errorf("with its own it is %q, want %q", same.ID(), a.ID())
	}
	grafana := one(t, `{"labels":{"a":"b"},"fingerprint":"00c0ffee00c0ff0a"}`)
	if grafana.Fingerprint != "00c0ffee00c0ff0a" || !strings.HasPrefix(grafana.ID(), a.ID()+"-") || len(grafana.ID()) != 33 {
		t.Errorf("with another it is %q, shown as %q", grafana.ID(), grafana.Fingerprint)
	}
	for _, other := range []string{
		`{"labels":{"a":"c"},"fingerprint":"00c0ffee00c0ff0a"}`,
		`{"labels":{"a":"b"},"fingerprint":"00c0ffee00c0ff0b"}`,
		`{"labels":{"a":"b"}}`,
		`{"labels":{"a":"b"},"fingerprint":"` + strings.Repeat("x", 100_000) + `"}`,
	} {
		if b := one(t, other); b.ID() == grafana.ID() || len(b.ID()) > 33 {
			t.Errorf("%.60s is %q too", other, b.ID())
		}
	}
	if again := one(t, `{"annotations":{"x":"y"},"fingerprint":"00c0ffee00c0ff0a","labels":{"a":"b"},"status":"resolved"}`); again.ID() != grafana.ID() {
		t.Errorf("in another message it is %q, want %q", again.ID(), grafana.ID())
	}
}

func TestTimesAreBounded(t *testing.T) {
	in := func(d time.Duration) string { return arrived.Add(d).Format(time.RFC3339Nano) }
	for _, tt := range []struct {
		name, sent   string
		judged, seen time.Time // StartsAt, SentStart
	}{
		{"before", in(-time.Hour), arrived.Add(-time.Hour), arrived.Add(-time.Hour)},
		{"as far ahead as clocks differ", in(time.Minute), arrived.Add(time.Minute), arrived.Add(time.Minute)},
		{"further ahead", in(61 * time.Second), arrived, arrived.Add(61 * time.Second)},
		{"as late as can be", "9999-12-31T23:59:59.999999999Z", arrived, time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)},
		{"later in UTC than can be", "9999-12-31T23:59:59-12:00", time.Time{}, time.Time{}},
		{"a year of five digits", "10000-01-01T00:00:00Z", time.Time{}, time.Time{}},
		{"a year before Christ", "-0001-01-01T00:00:00Z", time.Time{}, time.Time{}},
		{"a zone of a day", "2026-11-28T09:30:00+24:00", time.Time{}, time.Time{}},
		{"a zone of many days", "2026-11-28T09:30:00.5+99:99", time.Time{}, time.Time{}},
		{"a zone of a day, as Go prints it", "2026-11-28 09:30:00 +2400 X", time.Time{}, time.Time{}},
		{"Unix time 0", "1970-01-01T00:00:00Z", time.Time{}, time.Time{}},
		{"the year 0", "0000-01-01T00:00:00Z", time.Time{}, time.Time{}},
		{"the zero time", "0001-01-01T00:00:00Z", time.Time{}, time.Time{}},
		{"the zero time, as Go prints it", "0001-01-01 00:00:00 +0000 UTC", time.Time{}, time.Time{}},
		{"nothing", "", time.Time{}, time.Time{}},
		{"a space for the T", "2026-11-28 09:30:00+01:00", arrived.Add(-210 * time.Minute), arrived.Add(-210 * time.Minute)},
	} {
		for _, name := range []string{"startsAt", "endsAt"} {
			a := one(t, fmt.Sprintf(`{"status":"resolved",%q:%q}`, name, tt.sent))
			judged, seen := a.StartsAt, a.SentStart()
			if name == "endsAt" {
				judged, seen = a.EndsAt, a.SentEnd()
			}
			if !judged.Equal(tt.judged) || !seen.Equal(tt.seen) {
				t.Errorf("%s, %s: judged as %v, seen as %v; want %v and %v", tt.name, name, judged, seen, tt.judged, tt.seen)
			}
			if _, err := json.Marshal(a); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	}
	if a := one(t, `{"status":"firing","endsAt":"`+in(4*time.Minute)+`"}`); !a.EndsAt.Equal(arrived.Add(4 * time.Minute)) {
		t.Errorf("the end of an alert that fires became %v", a.EndsAt)
	}
	if m, err := Decode([]byte(`{"alerts":[{"status":"resolved","endsAt":"9999-12-31T00:00:00Z"}]}`), time.Time{}); err != nil || m.Alerts[0].EndsAt.Year() != 9999 {
		t.Errorf("without an arrival: %v, %v", m, err)
	}
}

func TestTheStatusThatAnAlertLacks(t *testing.T) {
	past, future := arrived.Add(-time.Second).Format(time.RFC3339), arrived.Add(time.Hour).Format(time.RFC3339)
	for _, tt := range []struct{ name, message, alert, want string }{
		{"of a message that fires", `"firing"`, `{}`, Firing},
		{"the same in capitals", `"FIRING "`, `{"status":""}`, Firing},
		{"with an end that is to come", `"firing"`, `{"endsAt":"` + future + `"}`, Firing},
		{"with no end that can be", `"firing"`, `{"endsAt":"1970-01-01T00:00:00Z"}`, Firing},
		{"with an end that is past", `"firing"`, `{"endsAt":"` + past + `"}`, Resolved},
		{"of a resolved message", `"resolved"`, `{"endsAt":"` + future + `"}`, Resolved},
		{"of a message without one, with an end", `""`, `{"endsAt":"` + past + `"}`, Resolved},
		{"its own counts", `"resolved"`, `{"status":"Firing"}`, Firing},
	} {
		m, err := Decode([]byte(`{"status":`+tt.message+`,"alerts":[`+tt.alert+`]}`), arrived)
		if err != nil || m.Alerts[0].Status != tt.want {
			t.Errorf("%s: got %v, %v, want %s", tt.name, m, err, tt.want)
		}
	}
	const want = `decoding Alertmanager message: alerts[0]: status is missing, and so is the message's: want "firing" or "resolved"`
	if _, err := Decode([]byte(`{"alerts":[{"endsAt":"`+future+`"}]}`), arrived); err == nil || err.Error() != want {
		t.Errorf("without any: %v", err)
	}
}

func TestAMessageIsWholeAsJSON(t *testing.T) {
	block, err := DecodeSNS(SNS{Subject: "[FIRING:1]", Body: pagerDutyBlock, SentAt: sent})
	if err != nil {
		t.Fatal(err)
	}
	text, err := DecodeSNS(SNS{Body: defaultTextBody, SentAt: sent})
	if err != nil {
		t.Fatal(err)
	}
	grafana, err := Decode([]byte(`{"version":"1","groupKey":"k","truncatedAlerts":3,"status":"resolved","receiver":"r","externalURL":"u","groupLabels":{"a":"b"},`+
		`"alerts":[{"fingerprint":"x","startsAt":"2027-01-01T00:00:00.000000001Z","endsAt":"2028-01-01T00:00:00Z","labels":{"é\"\u0000":"\u2028<"}}]}`), arrived)
	if err != nil {
		t.Fatal(err)
	}
	if a := grafana.Alerts[0]; a.Identity == "" || a.StartsSent.IsZero() || a.EndsSent.IsZero() {
		t.Fatalf("the test has not all of it: %#v", a)
	}
	block.RoutingKey = "" // a secret, which the queue does not get with the message
	for _, m := range []*Message{block, text, grafana, {}, {Data: Data{Alerts: Alerts{}}}} {
		written, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var again Message
		if err := json.Unmarshal(written, &again); err != nil || !reflect.DeepEqual(&again, m) {
			t.Errorf("decoded again: %v\n%+v\nwant\n%+v\nfrom %s", err, again, m, written)
		}
	}
	if shown := asShown(t, grafana.Data); strings.Contains(shown, "identity") || strings.Contains(shown, "Sent") {
		t.Errorf("templates see more than Alertmanager's fields: %s", shown)
	}
}

func asShown(t *testing.T, d Data) string {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
