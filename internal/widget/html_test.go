package widget

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/storetest"
	"github.com/amx-lambda/amx/internal/operate"
)

// Where AWS shows what a widget's HTML may have. Most tags are supported, it says,
// and names two that are removed, with scripts: so the widget keeps to what it shows.
const (
	styling  = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_about.html"
	clicking = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_interactivity.html"
	removed  = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_security.html"
	query    = "https://github.com/aws-samples/cloudwatch-custom-widgets-samples/blob/main/samples/logsInsightsQuery/logsInsightsQuery.js"
	// HTML's own, without a style of CloudWatch's: most tags are supported.
	most = styling
)

// documented is the tags that the widget may have, the attributes of each, and the
// page that shows them. title and class are for any element there.
var documented = map[string]struct {
	source     string
	attributes []string
}{
	"style": {styling, nil}, "div": {styling, nil}, "a": {styling, nil}, "table": {styling, nil}, "select": {styling, []string{"name"}},
	"h2": {styling, nil}, "h3": {styling, nil}, "pre": {styling, nil}, "textarea": {styling, []string{"name", "rows", "cols"}},
	"b":           {clicking, nil},
	"cwdb-action": {clicking, []string{"action", "confirmation", "display", "endpoint", "event"}},
	"form":        {query, nil}, "thead": {query, nil}, "tbody": {query, nil}, "tr": {query, nil}, "td": {query, nil}, "th": {query, nil}, "p": {query, nil},
	"label": {most, nil}, "span": {most, nil}, "br": {most, nil}, "option": {most, []string{"value", "selected"}},
}

// values are what AWS documents for the attributes of cwdb-action.
var values = map[string][]string{"action": {"call", "html"}, "display": {"popup", "widget"}, "event": {"click", "dblclick", "mouseenter"}}

// An action is a cwdb-action, and the element that it makes a button of.
type action struct {
	before     string // the tag of the element before it
	attributes map[string]string
	text       string
}

func (a action) parameters(t *testing.T) (p map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.text), &p); err != nil {
		t.Errorf("cwdb-action has %q: %v", a.text, err)
	}
	return p
}

// check reads HTML as strictly as XML, and holds it to what is documented. It
// answers the actions, and how many elements there are of each tag.
func check(t *testing.T, html string) (all []action, count map[string]int) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader("<root>" + html + "</root>"))
	count = map[string]int{}
	var open []string // the tags around
	before := ""      // the element that ended last
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all, count
		} else if err != nil {
			t.Fatalf("the HTML is not well formed: %v\n%s", err, html)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			open = append(open, name)
			if name == "root" {
				continue
			}
			count[name]++
			tag, ok := documented[name]
			if !ok {
				t.Errorf("<%s> is not among the tags that AWS shows (%s; removed: %s)", name, styling, removed)
			}
			attributes := map[string]string{}
			for _, a := range token.Attr {
				attributes[a.Name.Local] = a.Value
				if a.Name.Local != "class" && a.Name.Local != "title" && !slices.Contains(tag.attributes, a.Name.Local) {
					t.Errorf("<%s %s> is not among the attributes of %s", name, a.Name.Local, tag.source)
				}
			}
			if name == "cwdb-action" {
				for attribute, want := range values {
					if v, ok := attributes[attribute]; ok && !slices.Contains(want, v) {
						t.Errorf("cwdb-action has %s=%q, want one of %q", attribute, v, want)
					}
				}
				if attributes["action"] != "call" || attributes["endpoint"] != arn {
					t.Errorf("cwdb-action calls %q", attributes)
				}
				all = append(all, action{before: before, attributes: attributes})
			}
			before = ""
		case xml.EndElement:
			open = open[:len(open)-1]
			before = token.Name.Local
		case xml.CharData:
			text := string(token)
			switch open[len(open)-1] {
			case "cwdb-action":
				all[len(all)-1].text += text
			case "style":
				if strings.ContainsAny(text, "<&@\\") || strings.Contains(text, "url(") {
					t.Errorf("the style has more than colours and distances: %s", text)
				}
			}
		default:
			t.Errorf("there is %T %v", token, token)
		}
	}
}

func actions(t *testing.T, html string) []action {
	t.Helper()
	all, _ := check(t, html)
	return all
}

// answers is each kind of answer with HTML.
func answers(s *seen) map[string]string {
	typed := map[string]any{"why": "x"}
	all := map[string]string{
		"now": s.call(nil, nil), "nobody's run": s.call(map[string]any{"run": "01NOBODY"}, nil),
		"paused": s.call(map[string]any{"do": "pause", "command": s.records[0].Command}, typed), "no reason": s.call(map[string]any{"do": "cancel", "run": "01"}, nil),
		"dark": s.call(nil, nil, func(about map[string]any) { about["theme"] = "dark" }),
	}
	for _, r := range s.records {
		all["run "+string(r.State)] = s.call(map[string]any{"run": r.Run}, nil)
	}
	return all
}

func TestTheHTMLIsWhatCloudWatchDocuments(t *testing.T) {
	for _, control := range []bool{false, true} {
		s := open(t, busy(), control)
		for name, text := range answers(s) {
			all, _ := check(t, text)
			for _, a := range all {
				if a.before != "a" {
					t.Errorf("%s: a cwdb-action is after <%s>: it makes a button of the element right before it", name, a.before)
				}
				a.parameters(t)
			}
		}
		if n := len(actions(t, s.call(nil, nil))); control && n < 10 || !control && n != 4 {
			t.Errorf("control %v: %d actions", control, n)
		}
	}
}

// Whatever CloudWatch removes, the widget says the same: no style hides or makes
// text.
func TestNothingDependsOnTheStyle(t *testing.T) {
	s := open(t, busy(), true)
	for name, text := range answers(s) {
		for _, bad := range []string{"display:", "visibility", "content:", "position", "font-size: 0", " style="} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: the style has %q", name, bad)
			}
		}
	}
	for _, state := range history.States {
		r := storetest.Sample(noon.Add(-time.Minute), 1)
		if r.State = state; state == history.Waiting {
			r.Run = history.WaitingID(r.Entry)
		}
		s.records = []history.Record{r}
		s.shows(s.call(map[string]any{"run": r.Run}, nil), ">"+string(state)+"</b>")
	}
}

// hostile is text that tries to be markup, script, an action, a terminal's code, or
// to turn around what follows it.
const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}&amp;` + "\x00\x1b[31m\u202e\r\u009b\xff" +
	`javascript:alert(3)//--></style></textarea></pre></cwdb-action><a class="btn">Pause</a><cwdb-action action="call" endpoint="evil">{"do":"pause"}</cwdb-action>`

// worst is hostile, and a megabyte of what takes most room as HTML.
var worst = hostile + strings.Repeat(`"`, 1<<20)

func hostileOperator(text string) *operator {
	until := noon.Add(time.Hour)
	r := storetest.Sample(noon.Add(-time.Minute), 7)
	r.Command, r.Reason, r.Status, r.State, r.Attempt, r.RetryOf = text, text, text, history.Failed, 2, text
	r.Source = history.Source{Receiver: text, Topic: text, Token: text, ExternalURL: "javascript:alert(1)"}
	r.CancelledBy = &history.CancelledBy{Who: text, Why: text}
	r.Targets, r.Nodes, r.Alerts = nil, nil, nil
	labels := amx.KV{"alertname": text}
	for i := range 50 {
		labels[fmt.Sprintf("%02d%s", i, text)] = text
	}
	for range 50 {
		r.Targets = append(r.Targets, history.Target{Key: text, Values: []string{text}})
		r.Nodes = append(r.Nodes, history.Node{Node: text, Status: text, Output: text})
		r.Alerts = append(r.Alerts, history.Alert{Fingerprint: text, Labels: labels, Annotations: amx.KV{text: text}, GeneratorURL: "javascript:alert(1)"})
	}
	live := r
	live.Run, live.State, live.Ended, live.CancelledBy = storetest.RunID(noon, 8), history.Running, time.Time{}, nil
	o := &operator{records: []history.Record{live, r}}
	for range 50 {
		o.status.Paused = append(o.status.Paused, operate.Pause{Command: text, Who: text, Why: text, Until: until})
		o.status.Commands = append(o.status.Commands, operate.Command{Command: text, Breaker: &until}, operate.Command{Command: text, Max: 1})
		o.status.Waiting = append(o.status.Waiting, operate.Waiting{Command: text, Count: 1, Reason: text})
	}
	return o
}

func TestNoTextBecomesMarkup(t *testing.T) {
	s := open(t, hostileOperator(hostile), true)
	harmless := open(t, hostileOperator("harmless"), true)
	same := answers(harmless)
	for name, text := range answers(s) {
		for _, bad := range []string{"<script", "<img", "\x00", "\x1b", "\u202e", "\r", "\u009b", "javascript:alert(1)"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
		_, got := check(t, text)
		if _, want := check(t, same[name]); !maps.Equal(got, want) {
			t.Errorf("%s: hostile text makes elements: %v, and harmless text %v", name, got, want)
		}
	}
	s.shows(s.call(nil, nil), "&lt;script&gt;alert(1)", "␛[31m")
}

// A button hands back exactly the name that it is about, whatever is in it.
func TestAButtonsNameComesBackAsItWas(t *testing.T) {
	for _, name := range []string{"restart", "é \u202e\x1b\x7f<b>&amp;\u2028😀", `"}</cwdb-action>`} {
		s := open(t, &operator{status: operate.Status{Paused: []operate.Pause{{Command: name}}}}, true)
		for _, a := range actions(t, s.call(nil, nil)) {
			if strings.ContainsFunc(a.text, func(r rune) bool { return r < ' ' || r > '~' || r == '<' || r == '&' }) {
				t.Errorf("the parameters are %q", a.text)
			}
			if p := a.parameters(t); p["do"] == "resume" {
				s.call(p, nil)
			}
		}
		if len(s.did) != 1 || s.did[0] != any(operate.ResumeRequest{Command: name, Who: Who}) {
			t.Errorf("%q: did %+v", name, s.did)
		}
	}
}

// Lambda takes 6 MB as an answer; nobody reads a fraction of it.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
func TestAMegabyteOfTextIsCut(t *testing.T) {
	s := open(t, hostileOperator(worst), true)
	s.records[1].Run = storetest.RunID(noon.Add(-time.Minute), 7)
	for name, text := range answers(s) {
		answer, err := json.Marshal(text) // as Lambda sends it
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d KB", name, len(answer)>>10)
		if len(answer) > 1<<20 {
			t.Errorf("%s has %d bytes", name, len(answer))
		}
		check(t, text)
	}
}
