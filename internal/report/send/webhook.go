package send

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
)

// The headers of a webhook's request.
const (
	headerKey       = "Amx-Key"       // of the event: the same event has the same key
	headerTimestamp = "Amx-Timestamp" // seconds since 1970
	headerSignature = "Amx-Signature" // v1= and HMAC-SHA256 over the timestamp, a dot and the body, in hexadecimal
)

// webhookBody is the body that a webhook gets.
type webhookBody struct {
	Version int             `json:"version"`
	Kind    amx.Occasion    `json:"kind"`
	Key     string          `json:"key"`
	Text    string          `json:"text"`
	Record  *history.Record `json:"record,omitempty"`
	Alerts  *amx.Data       `json:"alerts,omitempty"` // of kind alert, in the form of Alertmanager's webhook
}

func (o *outgoing) toWebhook(ctx context.Context) error {
	t, err := o.claim(ctx, o.e.Subject())
	if t == nil || err != nil {
		return err
	}
	return t.settle(ctx, o.e, o.postWebhook(ctx))
}

func (o *outgoing) postWebhook(ctx context.Context) error {
	w := o.d.Webhook
	address, secret := w.URL, ""
	var err error
	if w.URLFrom != "" {
		if address, err = o.s.Secrets.Get(ctx, w.URLFrom); err != nil {
			return err
		}
	}
	if w.Secret != "" {
		if secret, err = o.s.Secrets.Get(ctx, w.Secret); err != nil {
			return err
		}
	}
	body := webhookBody{Version: 1, Kind: o.e.Kind, Key: o.e.Key(), Text: o.whole(), Record: o.e.Record}
	if o.e.Message != nil {
		body.Alerts = &o.e.Message.Data
	}
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding the report %q: %w", o.e.Key(), err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return hiding(fmt.Errorf("the webhook of reports %q: %w", o.d.Name, err), address)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(headerKey, body.Key)
	if secret != "" {
		timestamp := strconv.FormatInt(o.s.Now().Unix(), 10)
		r.Header.Set(headerTimestamp, timestamp)
		r.Header.Set(headerSignature, signature(secret, timestamp, text))
	}
	return hiding(o.s.do("the webhook", r), secret, secretURL(w, address))
}

func secretURL(w *amx.WebhookReport, address string) string {
	if w.URLFrom == "" {
		return ""
	}
	return address
}

func signature(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// whole is the text as it was rendered.
func (o *outgoing) whole() string {
	if o.text == "" {
		return o.title
	}
	return o.title + "\n" + o.text
}

// do sends a request once. It follows no redirect: a signed report goes only to an
// address that the configuration names.
func (s *Sender) do(service string, r *http.Request) error {
	client := *s.Client
	client.Timeout = 10 * time.Second
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(r)
	if err != nil {
		return unreachable(service, err)
	}
	defer response.Body.Close()
	return answered(service, response, s.Now())
}
