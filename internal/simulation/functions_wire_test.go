package simulation

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/runner"
)

// serve is AWS for the process that the path names.
func (q *quick) serve(out http.ResponseWriter, in *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(in.URL.Path, "/"), "/")
	q.lock.Lock()
	p := q.alive[name]
	q.lock.Unlock()
	_, operation, _ := strings.Cut(in.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(in.Body)
	if p == nil || err != nil {
		panic(http.ErrAbortHandler)
	}
	if operation != "BatchGetItem" && operation != "PutItem" && operation != "SendMessage" {
		if err := awstest.CheckSSM(operation, body); err != nil {
			q.violation("%s %s: %v", operation, body, err)
		}
	}
	in.Body = io.NopCloser(bytes.NewReader(body))
	defer func() {
		if p.Dead() {
			p.Function.Kill()
		}
	}()
	p.ServeHTTP(out, in)
}

// wireData is the message as both ways carry it.
func wireData(m *amx.Message) []byte {
	var alerts []any
	for _, a := range m.Alerts {
		alerts = append(alerts, map[string]any{
			"status": a.Status, "labels": a.Labels, "annotations": a.Annotations, "startsAt": a.StartsAt, "endsAt": a.EndsAt, "fingerprint": a.Fingerprint,
		})
	}
	return mustJSON(map[string]any{"version": "4", "receiver": m.Receiver, "status": m.Status, "groupLabels": m.GroupLabels, "alerts": alerts})
}

func urlEvent(m *amx.Message) []byte {
	return mustJSON(map[string]any{
		"version": "2.0", "headers": map[string]string{}, "isBase64Encoded": false, "body": string(wireData(m)),
		"requestContext": map[string]any{"http": map[string]string{"method": "POST", "path": "/"}},
	})
}

func snsEvent(name string, m *amx.Message) []byte {
	sent := m.SentAt
	if sent.IsZero() {
		sent = time.Now()
	}
	return mustJSON(map[string]any{"Records": []any{map[string]any{"EventSource": "aws:sns", "Sns": map[string]any{
		"Type": "Notification", "MessageId": name, "TopicArn": quickTopic, "Message": string(wireData(m)),
		"Timestamp": sent.UTC().Format("2006-01-02T15:04:05.000Z"), "MessageAttributes": map[string]any{},
	}}}})
}

func webhookAnswer(body []byte) (a runner.Answer) {
	var url struct {
		StatusCode int
		Body       string
	}
	var answer struct {
		Results []runner.Result
		Error   string
	}
	if err := errors.Join(json.Unmarshal(body, &url), json.Unmarshal([]byte(url.Body), &answer)); err != nil {
		return runner.Answer{Err: err}
	}
	a.Results = answer.Results
	if url.StatusCode != http.StatusOK {
		a.Err = errors.New(answer.Error)
	}
	return a
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
