package conformance

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/alertmanager/notify/webhook"

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
		got, err := amx.Decode(body)
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

// What amx takes, Alertmanager's own types take, and they hold the same. (amx
// refuses more: an unknown status, a version, a message without alerts.)
func FuzzDecodeTakesNothingThatAlertmanagerDoesNot(f *testing.F) {
	f.Add([]byte(`{"version":"4","alerts":[{"status":"firing","labels":{"a":"b"},"startsAt":"2016-04-07T10:08:52-06:00"}]}`))
	f.Add([]byte(`{"alerts":[],"receiver":"a\\.b"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := amx.Decode(body)
		if err != nil {
			return
		}
		var want struct {
			webhook.Message
		}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("amx takes %s, Alertmanager says %v", body, err)
		}
		if len(want.Alerts) != len(got.Alerts) || want.Receiver != got.Receiver {
			t.Fatalf("amx and Alertmanager hold different messages of %s", body)
		}
		if strings.TrimSpace(string(body)) == "" {
			t.Fatal("amx takes an empty body")
		}
	})
}
