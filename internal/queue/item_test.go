package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)

// item is one that was put off, with n alerts of some bytes each that gzip
// cannot shorten much.
func item(n, bytes int) Item {
	random := rand.New(rand.NewPCG(1, 2))
	m := &amx.Message{
		Data: amx.Data{
			Receiver: "amx", Status: amx.Firing, ExternalURL: "http://alertmanager:9093",
			GroupLabels: amx.KV{"alertname": "DiskFull"}, CommonLabels: amx.KV{"alertname": "DiskFull"}, CommonAnnotations: amx.KV{},
		},
		Version: "4", GroupKey: "{}:{}", TruncatedAlerts: 3,
		SentAt: now.Add(-time.Minute), DedupKey: "d", Ungrouped: true,
	}
	for i := range n {
		text := make([]byte, bytes)
		for j := range text {
			text[j] = byte('!' + random.IntN(90))
		}
		labels := amx.KV{"alertname": "DiskFull", "instance": fmt.Sprint(i)}
		m.Alerts = append(m.Alerts, amx.Alert{
			Status: amx.Firing, Labels: labels, Annotations: amx.KV{"text": string(text)},
			StartsAt: now.Add(-time.Hour), Fingerprint: amx.Fingerprint(labels),
		})
	}
	return Item{
		Version: Version, Kind: Notification, Command: "clean", Message: m, SentAt: now.Add(-time.Minute), Arrived: now,
		Reason: "throttled", Tries: 2, Due: now.Add(20 * time.Second),
		Source: Source{Receiver: "amx", Topic: "arn", Token: "prod", ExternalURL: "http://alertmanager:9093"},
	}
}

func TestAnItemSurvivesItsText(t *testing.T) {
	large := item(50, 1000)
	odd := item(1, 10)
	odd.Message.Alerts[0].Labels["odd"] = "\uffff\u2028\x01"
	for name, it := range map[string]Item{
		"small": item(2, 10), "large": large, "a character that SQS refuses": odd,
		"reminder": {Version: 1, Kind: Reminder, Command: "c", Entry: "e", Run: "r", Due: now, SentAt: now, Arrived: now},
		"report":   {Version: 1, Kind: Report, Report: []byte(`{"state":"failed"}`), Key: "k", SentAt: now, Arrived: now},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := it.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if !sendable(text) {
				t.Errorf("SQS refuses %.80q", text)
			}
			got, err := Decode(text)
			if err != nil || !reflect.DeepEqual(got, it) {
				t.Errorf("got\n%+v, %v, want\n%+v", got, err, it)
			}
		})
	}
	plain, _ := item(2, 10).Encode()
	if plain[0] != '{' {
		t.Errorf("a small item is packed: %.40s", plain)
	}
	packed, _ := large.Encode()
	if packed[0] == '{' {
		t.Errorf("a large item is not packed: %d bytes", len(packed))
	}
}

func TestWhatIsNoItemIsSaidSo(t *testing.T) {
	for text, want := range map[string]string{
		`{"v":2,"kind":5}`: `item of version 2, this release reads 1: written by a newer release of amx`,
		`{}`:               `decoding the item "{}": it has no version`,
		`{"v":1,"kind":5}`: `decoding the item "{\"v\":1,\"kind\":5}": json: cannot unmarshal number into Go struct field Item.kind of type queue.Kind`,
		`hello`:            `unpacking the item "hello": unexpected EOF`,
		`{"v":`:            `decoding the item "{\"v\":": unexpected end of JSON input`,
	} {
		_, err := Decode([]byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v\nwant %s", text, err, want)
		}
		if newer := strings.HasPrefix(text, `{"v":2`); errors.Is(err, ErrNewer) != newer {
			t.Errorf("%s: newer: %v, want %v", text, !newer, newer)
		}
	}
}

func TestAnItemThatIsTooLargeIsSplitByAlerts(t *testing.T) {
	it := item(9, 1000)
	it.Message.Alerts[4].Annotations["text"] = strings.Repeat("x", 500) // packs well
	texts, err := Split(it, 4000)
	if err != nil {
		t.Fatal(err)
	}
	var fingerprints, want []string
	for _, text := range texts {
		if len(text) > 4000 {
			t.Errorf("a part has %d bytes", len(text))
		}
		part, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range part.Message.Alerts {
			fingerprints = append(fingerprints, a.Fingerprint)
		}
		part.Message.Alerts, part.Message.CommonLabels, part.Message.CommonAnnotations = it.Message.Alerts, it.Message.CommonLabels, it.Message.CommonAnnotations
		if !reflect.DeepEqual(part, it) {
			t.Errorf("a part differs in more than its alerts:\n%+v", part)
		}
	}
	for _, a := range it.Message.Alerts {
		want = append(want, a.Fingerprint)
	}
	if len(texts) < 3 || !reflect.DeepEqual(fingerprints, want) {
		t.Errorf("%d parts have %q, want %q", len(texts), fingerprints, want)
	}
}

func TestOnlyTheAlertThatIsTooLargeAloneIsLeftOut(t *testing.T) {
	it := item(4, 300)
	large := item(1, 9000).Message.Alerts[0]
	it.Message.Alerts[2].Annotations = large.Annotations
	texts, err := Split(it, 4000)
	tooLarge, ok := errors.AsType[*TooLargeError](err)
	if !ok || !errors.Is(err, ErrTooLarge) || len(tooLarge.Alerts) != 1 || tooLarge.Alerts[0].Fingerprint != it.Message.Alerts[2].Fingerprint {
		t.Fatalf("got %v", err)
	}
	want := fmt.Sprintf("the notification of command %q, 4 alerts is over 4000 bytes packed: too large for the queue, because of alert %q; shorten its annotations", "clean", it.Message.Alerts[2].Fingerprint)
	if err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	n := 0
	for _, text := range texts {
		part, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		n += len(part.Message.Alerts)
	}
	if n != 3 {
		t.Errorf("the parts have %d alerts, want the other 3", n)
	}
}

func TestWhatHasNoAlertsIsNotSplit(t *testing.T) {
	texts, err := Split(Item{Kind: Report, Key: "run/1", Report: []byte(`"` + strings.Repeat("x", 100) + `"`)}, 100)
	if want := `the report "run/1" is over 100 bytes packed: too large for the queue`; len(texts) > 0 || err == nil || err.Error() != want {
		t.Errorf("got %q, %v", texts, err)
	}
}

func TestBackoff(t *testing.T) {
	for tries, want := range []time.Duration{5, 10, 20, 40, 80, 120, 120, 120} {
		want *= time.Second
		if low, high := Backoff(tries, 0), Backoff(tries, 0.999999999999); low != want/2 || high > want || high < want-time.Millisecond {
			t.Errorf("after %d tries: from %v to %v, want from %v to %v", tries, low, high, want/2, want)
		}
	}
	if got := Backoff(1<<40, 0); got != time.Minute {
		t.Errorf("after very many tries: %v", got)
	}
	if low, high := Held(0), Held(0.5); low != 15*time.Second || high != 22500*time.Millisecond {
		t.Errorf("held: from %v, half way %v", low, high)
	}
}
