package send

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/reporttest"
)

const webhookConfig = `
templates: {report: '{{ .Command }} {{ template "how" . }}', how: 'is {{ .State }}, on {{ index .CommonLabels "instance" }}'}
reports:
  - {name: hook, webhook: {url: "RECEIVER_URL", secret: "env:SECRET"}, on: [failed, alert]}
commands: [{name: restart-nginx, cmd: systemctl}]
`

func TestAWebhookGetsTheRecordSigned(t *testing.T) {
	w := newWorld(t, webhookConfig)
	w.record(run(1, history.Failed))
	w.deliver()
	requests := w.receiver.Requests()
	if len(requests) != 1 {
		t.Fatalf("%d requests\n%s", len(requests), w.log.String())
	}
	r := requests[0]
	var body struct {
		Version         int
		Kind, Key, Text string
		Record          history.Record
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Version != 1 || body.Kind != "failed" || body.Record.Run != run(1, "").Run || len(body.Record.Nodes) != 2 {
		t.Errorf("got %s", r.Body)
	}
	if body.Text != "restart-nginx is failed, on web-1" {
		t.Errorf("the text is %q", body.Text)
	}
	if body.Key != "failed/"+body.Record.Run || r.Header.Get("Amx-Key") != body.Key || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("key %q, headers %v", body.Key, r.Header)
	}
	if r.Header.Get("Amx-Timestamp") != "1795867200" || r.Header.Get("Amx-Signature") != signature("s1gn1ng-s3cr3t", "1795867200", r.Body) {
		t.Errorf("headers %v", r.Header)
	}
}

func TestAWebhookGetsAnAlertInAlertmanagersForm(t *testing.T) {
	w := newWorld(t, webhookConfig)
	w.message(notification("firing", alert()))
	w.deliver()
	var body struct{ Alerts amx.Data }
	if err := json.Unmarshal(w.receiver.Requests()[0].Body, &body); err != nil || body.Alerts.Alerts[0].Fingerprint != highCPU.Fingerprint {
		t.Errorf("%v: got %s", err, w.receiver.Requests()[0].Body)
	}
}

func TestADestinationThatIsDownDelaysNothingAndLosesNothing(t *testing.T) {
	w := newWorld(t, webhookConfig)
	w.config = parse(t, strings.ReplaceAll(`
reports:
  - {name: slow, webhook: {url: "RECEIVER_URL"}, on: failed}
  - {name: page, pagerduty: {routing_key: "env:KEY"}, on: failed}
commands: [{name: restart-nginx, cmd: systemctl}]
`, "RECEIVER_URL", w.receiver.URL))
	var down []reporttest.Fault
	for range 100 {
		down = append(down, reporttest.Fault{Down: true})
	}
	w.receiver.Add("/reports", down...)
	w.record(run(1, history.Failed))
	it := w.items[0]
	w.items = nil
	if err := w.sender().HandleItem(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if len(w.pagerDuty.Events()) != 1 || len(w.items) != 1 {
		t.Fatalf("PagerDuty has %d events, %d items are put off", len(w.pagerDuty.Events()), len(w.items))
	}
	w.deliver()
	if len(w.receiver.Requests()) != 1 || len(w.pagerDuty.Events()) != 1 || len(w.lost) != 0 {
		t.Errorf("%d requests, %d events, lost %q", len(w.receiver.Requests()), len(w.pagerDuty.Events()), w.lost)
	}
}

func TestAfterSixHoursAReportIsGivenUp(t *testing.T) {
	w := newWorld(t, webhookConfig)
	var down []reporttest.Fault
	for range 3000 {
		down = append(down, reporttest.Fault{Status: 503})
	}
	w.receiver.Add("/reports", down...)
	w.record(run(1, history.Failed))
	w.deliver()
	if passed := w.time().Sub(noon); len(w.lost) == 0 || passed < giveUp || passed > giveUp+5*time.Minute {
		t.Errorf("lost %q after %s", w.lost, passed)
	}
	if !strings.Contains(w.log.String(), "report given up") {
		t.Error("nothing in the log")
	}
}

func TestAnAddressThatIsASecretIsInNoLog(t *testing.T) {
	w := newWorld(t, `
reports: [{name: hook, webhook: {url: "env:PRIVATE"}, on: failed}]
commands: [{name: restart-nginx, cmd: systemctl}]
`)
	w.secrets["env:PRIVATE"] = "http://127.0.0.1:1/t0ps3cr3t"
	w.record(run(1, history.Failed))
	it := w.items[0]
	w.items = nil
	if err := w.sender().HandleItem(t.Context(), it); err != nil || len(w.items) != 1 {
		t.Fatal(err)
	}
	if text := w.log.String() + w.items[0].Reason; strings.Contains(text, "t0ps3cr3t") || !strings.Contains(text, "the webhook cannot be reached") {
		t.Errorf("log and reason: %s", text)
	}
}

func TestTwoDeliveriesAtATimeSendOnce(t *testing.T) {
	w := newWorld(t, webhookConfig)
	w.store.puts = make(chan string, 10)
	hold := make(chan struct{})
	w.receiver.Add("/reports", reporttest.Fault{Hold: hold})
	w.record(run(1, history.Failed))
	it := w.items[0]
	w.items = nil
	first := make(chan error)
	go func() { first <- w.sender().HandleItem(context.Background(), it) }()
	<-w.store.puts // the first has its claim
	if err := w.sender().HandleItem(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if late := w.items[0].Due.Sub(w.now); late > max(soonAgain, queue.Backoff(0, 1)) {
		t.Errorf("the second comes again after %v, and the first is mostly done by then", late)
	}
	close(hold)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	w.deliver()
	if n := len(w.receiver.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestTheStoreFails(t *testing.T) {
	for _, failure := range []error{ledger.ErrConflict, errors.New("table on fire")} {
		w := newWorld(t, webhookConfig)
		w.store.fail = failure
		w.record(run(1, history.Failed))
		w.deliver()
		if n := len(w.receiver.Requests()); n != 1 {
			t.Errorf("%v: %d requests", failure, n)
		}
	}
}

func TestASecretIsReadAgainAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		value, reads := "one", 0
		var failure error
		s := &Secrets{Now: time.Now, Read: func(_ context.Context, kind, name string) (string, error) {
			if kind != "ssm" || name != "/amx/a:b" {
				t.Errorf("asked for %q %q", kind, name)
			}
			reads++
			return value, failure
		}}
		get := func(want string) {
			t.Helper()
			if got, err := s.Get(t.Context(), "ssm:/amx/a:b"); got != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
		get("one")
		value = " two\n"
		get("one")
		time.Sleep(time.Minute)
		get("two")
		time.Sleep(time.Minute)
		failure = errors.New("throttled") // the last one goes on
		get("two")
		if reads != 3 {
			t.Errorf("%d reads", reads)
		}
	})
	empty := &Secrets{Now: time.Now, Read: func(context.Context, string, string) (string, error) { return " ", nil }}
	if _, err := empty.Get(t.Context(), "env:A"); err == nil || err.Error() != `reading the secret "env:A": it is empty` {
		t.Errorf("got %v", err)
	}
}

func TestATemplateThatFailsDoesNotKeepTheReport(t *testing.T) {
	w := newWorld(t, strings.Replace(webhookConfig, "{{ .Command }}", "{{ slice .Command 99 }}", 1))
	w.record(run(1, history.Failed))
	w.deliver()
	if r := w.receiver.Requests(); len(r) != 1 || !strings.Contains(string(r[0].Body), "restart-nginx failed on 1 of 2 nodes") {
		t.Errorf("got %+v\n%s", r, w.log.String())
	}
}
