package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
)

// grafana sends what Grafana's webhook contact point sends: Alertmanager's data, of
// version 1, with fields of its own in the message and in each alert.
// https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
type grafana struct {
	url  string
	tmpl *template.Template
}

func (g grafana) Notify(ctx context.Context, alerts ...*alert.Alert) notify.NotifyVerdict {
	data := notify.GetTemplateData(ctx, g.tmpl, alerts, promslog.NewNopLogger())
	text, err := json.Marshal(data)
	message := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &message)
	}
	if err != nil {
		return notify.Unrecoverable(err, notify.DefaultReason)
	}
	delete(message, "notification_reason")
	delete(message, "routeLabels")
	state := "ok"
	for _, a := range message["alerts"].([]any) {
		fields := a.(map[string]any)
		if fields["status"] == "firing" {
			state = "alerting"
		}
		fields["values"], fields["valueString"], fields["orgId"] = map[string]any{"A": 41.5, "B": nil}, "[ var='A' value=41.5 ]", 1
		fields["silenceURL"], fields["dashboardURL"], fields["panelURL"], fields["imageURL"] = "https://grafana.example/silence", "", "", "https://grafana.example/a.png"
		fields["fingerprint"] = "57c6d9296de2ad39" // Grafana's own, not computed from the labels
	}
	maps.Copy(message, map[string]any{
		"version": "1", "groupKey": "{}:{}", "truncatedAlerts": 0, "orgId": 1, "title": "[FIRING:1]", "state": state, "message": "**Firing**", "vars": nil,
	})
	body, err := json.Marshal(message)
	if err != nil {
		return notify.Unrecoverable(err, notify.DefaultReason)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(body))
	if err != nil {
		return notify.Unrecoverable(err, notify.DefaultReason)
	}
	request.SetBasicAuth("grafana", token) // or a bearer token, as the user chooses
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return notify.Retry(time.Second, err, notify.DefaultReason)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return notify.Unrecoverable(fmt.Errorf("status %d", answer.StatusCode), notify.DefaultReason)
	}
	return notify.Success()
}

func (g grafana) SendResolved() bool { return true }

// Two alerts of Grafana with one fingerprint are two.
func TestGrafanasFingerprintAloneIsNoIdentity(t *testing.T) {
	f := newFunction(t, "webhook")
	g := grafana{urlOf(f).URL, alertmanager(t)}
	other := "i-0fedcba9876543210"
	for _, id := range []string{node, other} {
		send(t, g, model.Alert{Labels: model.LabelSet{"alertname": "DiskFull", "instance_id": model.LabelValue(id)}, StartsAt: time.Now().Add(-time.Minute)})
	}
	if sent := f.ssm.Commands(); len(sent) != 2 || sent[0].Nodes[0] != node || sent[1].Nodes[0] != other {
		t.Errorf("sent %+v\n%s", sent, &f.log)
	}
}
