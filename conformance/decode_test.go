package conformance

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/notify/webhook"
	"github.com/prometheus/alertmanager/template"

	"github.com/amx-lambda/amx/internal/amx"
)

func TestWhatTheWebhookMarshalsIsDecodedWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 5000 {
		d := data(r)
		sent := theirs(t, d)
		sent.NotificationReason = text(r, 2)
		sent.RouteLabels = sent.GroupLabels
		body, err := json.Marshal(&webhook.Message{
			Data: &sent, Version: "4", GroupKey: text(r, 5), TruncatedAlerts: r.Uint64(),
		})
		if err != nil {
			t.Fatal(err)
		}
		var want webhook.Message
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatal(err)
		}
		got, err := amx.Decode(body, time.Time{})
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		compareMessages(t, got, &want)
	}
}

// compareMessages fails unless both have the same of every field that amx keeps.
func compareMessages(t *testing.T, got *amx.Message, want *webhook.Message) {
	t.Helper()
	for i := range want.Alerts {
		if want.Alerts[i].Fingerprint == "" {
			got.Alerts[i].Fingerprint = ""
		}
	}
	kept := theirs(t, got.Data)
	kept.NotificationReason, kept.RouteLabels = want.NotificationReason, want.RouteLabels
	same := webhook.Message{Data: &kept, Version: got.Version, GroupKey: got.GroupKey, TruncatedAlerts: got.TruncatedAlerts}
	if !reflect.DeepEqual(&same, want) {
		t.Fatalf("decoded\n%+v\nsent\n%+v", *same.Data, *want.Data)
	}
}

// If Alertmanager's own types take a body, amx takes it with the same content,
// provided that the alerts are a list and have statuses that Alertmanager knows.
// (amx takes more: a field that it does not read may have any type.)
func FuzzDecodeTakesWhatAlertmanagerTakes(f *testing.F) {
	f.Add([]byte(`{"version":"4","alerts":[{"status":"firing","labels":{"a":"b"},"startsAt":"2016-04-07T10:08:52-06:00"}]}`))
	f.Add([]byte(`{"alerts":[],"receiver":"a\\.b"}`))
	f.Add([]byte(`{"Alerts":[{"status":"resolved","labels":null}],"version":"1"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var want struct {
			webhook.Message
			Alerts *template.Alerts `json:"alerts"`
		}
		if json.Unmarshal(body, &want) != nil || want.Alerts == nil || slices.ContainsFunc(*want.Alerts, func(a template.Alert) bool {
			return a.Status != amx.Firing && a.Status != amx.Resolved
		}) {
			return
		}
		got, err := amx.Decode(body, time.Time{})
		if err != nil {
			t.Fatalf("Alertmanager takes %s, amx says %v", body, err)
		}
		if len(*want.Alerts) != len(got.Alerts) {
			t.Fatalf("amx and Alertmanager hold different messages of %s", body)
		}
		for i, a := range *want.Alerts {
			if g := got.Alerts[i]; g.Status != a.Status || !maps.Equal(map[string]string(g.Labels), map[string]string(a.Labels)) {
				t.Fatalf("alerts[%d] of %s: amx has %v, Alertmanager %v", i, body, g, a)
			}
		}
	})
}
