package ssmexec

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
)

// storm is a notification of a thousand alerts with twenty labels each.
func storm() amx.Data {
	d := amx.Data{Receiver: "amx", Status: "firing", GroupLabels: amx.KV{"alertname": "Down"}, CommonLabels: amx.KV{}}
	for i := range 1000 {
		a := amx.Alert{
			Status: "firing", Labels: amx.KV{"alertname": "Down"}, Annotations: amx.KV{"summary": fmt.Sprintf("instance %d is down", i)},
			StartsAt: time.Unix(1793872800+int64(i), 0), Fingerprint: fmt.Sprintf("%016x", i*7919),
		}
		for l := range 19 {
			a.Labels[fmt.Sprintf("label_%d", l)] = fmt.Sprintf("value %d of alert %d", l, i)
		}
		d.Alerts = append(d.Alerts, a)
	}
	return d
}

// essay is one alert with an annotation of 200 KB.
func essay() amx.Data {
	d := disk
	a := d.Alerts[0]
	a.Annotations = amx.KV{"summary": "short", "essay": strings.Repeat("It's {{long}}. ", 200<<10/15)}
	d.Alerts, d.CommonAnnotations = amx.Alerts{a}, a.Annotations
	return d
}

// novel is one alert whose annotation gzip cannot make small.
func novel() amx.Data {
	d := essay()
	b := make([]byte, 0, 100<<10)
	for x := uint32(1); len(b) < cap(b); x = x*1664525 + 1013904223 {
		b = append(b, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"[x>>26])
	}
	d.Alerts[0].Annotations = amx.KV{"summary": "short", "essay": string(b)}
	d.CommonAnnotations = d.Alerts[0].Annotations
	return d
}

func renderSize(t testing.TB, data amx.Data, text string) (in *ssm.SendCommandInput, size int, notes []string) {
	t.Helper()
	j := job(command(t, text))
	j.Data = data
	inputs, notes, err := Render(j)
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range inputs[0].Parameters {
		for _, v := range values {
			size += len(v)
		}
	}
	b, err := json.Marshal(inputs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := awstest.CheckSSM("SendCommand", dropNulls(t, b)); err != nil {
		t.Error(err)
	}
	return inputs[0], size, notes
}

// dropNulls leaves out what the SDK's serializer leaves out.
func dropNulls(t testing.TB, b []byte) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for k, v := range m {
		if v == nil || v == "" {
			delete(m, k)
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLargeNotificationsRunWithinTheLimits(t *testing.T) {
	const show = `
cmd: sh
args: [-c, 'echo "$AMX_ALERT_LEN of $AMX_ALERT_TOTAL, ${AMX_ALERT_1_ANNOTATION_summary-none}, ${#AMX_ALERT_1_ANNOTATION_essay}"; env | grep -c "^AMX_ALERT_[0-9]*_FINGERPRINT="']`
	for _, tt := range []struct {
		name, output string
		data         amx.Data
		notes        []string
	}{
		{"an annotation of 200 KB", "1 of 1, short, 0\n1\n", essay(), []string{
			"AMX_ALERT_1_ANNOTATION_essay is left out: 204825 bytes, over the 131071 that one environment variable can have",
			"AMX_ANNOTATION_essay is left out: 204817 bytes, over the 131071 that one environment variable can have",
		}},
		{"an annotation of 100 KB that cannot be packed", "1 of 1, short, 0\n1\n", novel(), []string{
			"AMX_ALERT_1_ANNOTATION_essay is left out: 102400 bytes do not fit",
			"AMX_ANNOTATION_essay is left out: 102400 bytes do not fit",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, _, notes := renderSize(t, tt.data, show)
			if fmt.Sprint(notes) != fmt.Sprint(tt.notes) {
				t.Errorf("notes: %q\nwant %q", notes, tt.notes)
			}
			text := strings.Join(in.Parameters["commands"], "\n") + "\n"
			eachShell(t, func(t *testing.T, n *node) { n.wantRun(t, cmd0, text, tt.output, 0) })
		})
	}
	t.Run("a thousand alerts with twenty labels", func(t *testing.T) {
		in, size, notes := renderSize(t, storm(), show)
		var there int
		if len(notes) != 1 {
			t.Fatal(notes)
		}
		const note = "the variables of %d of 1000 alerts fit; the others are left out"
		if _, err := fmt.Sscanf(notes[0], note, &there); err != nil || notes[0] != fmt.Sprintf(note, there) || there < 400 {
			t.Errorf("%q: %v", notes[0], err)
		}
		if size > maxParameters || size < maxParameters/100*95 {
			t.Errorf("the parameters are %d bytes of %d", size, maxParameters)
		}
		text := strings.Join(in.Parameters["commands"], "\n") + "\n"
		eachShell(t, func(t *testing.T, n *node) {
			n.wantRun(t, cmd0, text, fmt.Sprintf("%d of 1000, instance 0 is down, 0\n%d\n", there, there), 0)
		})
	})
}

func BenchmarkRender(b *testing.B) {
	for _, tt := range []struct {
		name string
		data amx.Data
	}{{"one alert", disk}, {"1000 alerts", storm()}, {"200 KB annotation", essay()}, {"100 KB noise", novel()}} {
		b.Run(tt.name, func(b *testing.B) {
			j := job(command(b, "cmd: 'true'"))
			j.Data = tt.data
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				inputs, _, err := Render(j)
				if err != nil {
					b.Fatal(err)
				}
				size = 0
				for _, v := range inputs[0].Parameters["commands"] {
					size += len(v) + 1
				}
			}
			b.ReportMetric(float64(size), "script-bytes")
		})
	}
}
