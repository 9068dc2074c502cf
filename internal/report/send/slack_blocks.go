package send

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
)

// Slack's limits, in characters: https://docs.slack.dev/reference/block-kit/blocks
const (
	maxHeader  = 150
	maxSection = 3000
	maxField   = 2000
	maxAltText = 1000
	maxText    = 4000 // of the notification's text: beyond it Slack cuts
)

// Limits of amx, so that people can read a message at a glance. Slack also limits the
// whole text of a message, which it does not document: it answers msg_blocks_too_long
// from some 11,000 characters on. https://github.com/slackapi/bolt-js/issues/2867
const (
	maxMessage     = 10000
	maxBody        = 2000 // of the text below the title
	maxLabels      = 1500
	maxNodes       = 1000
	maxAlerts      = 2000
	maxShort       = 500 // of any other field, and of the picture's text
	maxNodesShown  = 10
	maxAlertsShown = 10
	maxOutputs     = 5   // nodes whose output goes into the thread
	minOutput      = 500 // characters of one
	maxLines       = 20  // of each
)

// escaped makes Slack show a text as it is, without links, mentions and entities. https://docs.slack.dev/messaging/formatting-message-text#escaping
var escaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace

// mrkdwn is a text object of at most n characters. It cuts the text before it escapes
// it, so that no entity is cut, and cuts more if escaping makes it too long.
func mrkdwn(text string, n int) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, fits(text, n, escaped), false, false)
}

// fits cuts text until it is at most n characters long after rewriting.
func fits(text string, n int, rewrite func(string) string) string {
	for room := n; ; {
		out := rewrite(cut(text, room))
		over := len([]rune(out)) - n
		if over <= 0 {
			return out
		}
		room = max(1, room-max(over/4, 1))
	}
}

var emoji = map[amx.Occasion]string{
	amx.OnStarted: "⏳", amx.OnSucceeded: "✅", amx.OnFailed: "❌", amx.OnCancelled: "⏹️",
	amx.OnRefused: "🚫", amx.OnExpired: "⌛", amx.OnBreaker: "🛑", amx.OnAlert: "🔥",
}

func (o *outgoing) emoji() string {
	switch {
	case o.e.Message != nil && o.view.Firing == 0:
		return "✅"
	case o.view.Retrying:
		return "🔁"
	}
	return emoji[o.e.Kind]
}

// headline is the title as a notification and a header show it.
func (o *outgoing) headline() string { return o.emoji() + " " + o.title }

// blocks are the message, with its picture if there is one.
func (o *outgoing) blocks(m *message) []slack.Block {
	header := slack.NewTextBlockObject(slack.PlainTextType, cut(o.headline(), maxHeader), false, false)
	blocks := []slack.Block{slack.NewHeaderBlock(header)}
	if o.text != "" {
		blocks = append(blocks, slack.NewSectionBlock(mrkdwn(o.text, maxBody), nil, nil))
	}
	if fields := o.fields(); len(fields) > 0 {
		blocks = append(blocks, slack.NewSectionBlock(nil, fields, nil))
	}
	if o.e.Message != nil && len(o.view.Alerts) > 1 {
		blocks = append(blocks, slack.NewSectionBlock(mrkdwn(o.alertList(), maxAlerts), nil, nil))
	}
	if m != nil && m.File != "" {
		blocks = append(blocks, slack.NewImageBlockSlackFile(&slack.SlackFileObject{ID: m.File}, cut(m.AltText, maxShort), "", nil))
	}
	return append(blocks, slack.NewContextBlock("", slack.NewTextBlockObject(slack.MarkdownType, o.footer(), false, false)))
}

func (o *outgoing) fields() []*slack.TextBlockObject {
	v := o.view
	var fields []*slack.TextBlockObject
	add := func(name, text string, n int) {
		if text != "" {
			fields = append(fields, mrkdwn("*"+name+"*\n"+text, n))
		}
	}
	add("Labels", labelsText(v.CommonLabels), maxLabels)
	add("Nodes", nodesText(v), maxNodes)
	if took, ok := v.Took(); ok {
		add("Took", took.Round(time.Second).String(), maxShort)
	}
	if v.Attempt > 1 {
		add("Attempt", fmt.Sprint(v.Attempt), maxShort)
	}
	if v.CancelledBy != nil {
		by := v.CancelledBy.Who
		if v.CancelledBy.Why != "" {
			by += ": " + v.CancelledBy.Why
		}
		add("Cancelled by", by, maxShort)
	}
	return fields
}

// nodesText lists the nodes, those that failed first.
func nodesText(v *View) string {
	failed := v.FailedNodes()
	listed := failed
	for _, n := range v.Nodes {
		if n.Status == "Success" {
			listed = append(listed, n)
		}
	}
	var lines []string
	for i, n := range listed[:min(len(listed), maxNodesShown)] {
		mark := "✅ "
		if i < len(failed) {
			mark = "❌ "
		}
		lines = append(lines, mark+nodeText(n))
	}
	if more := v.nodes() - len(lines); more > 0 && len(lines) > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

func nodeText(n history.Node) string {
	text := n.Node
	if n.Status != "Success" && n.Status != "Failed" && n.Status != "" {
		text += " " + n.Status
	}
	if n.ExitCode != nil && *n.ExitCode != 0 {
		text += fmt.Sprintf(" (exit code %d)", *n.ExitCode)
	}
	return text
}

func (o *outgoing) alertList() string {
	var lines []string
	for i, a := range o.e.Message.Alerts {
		if i == maxAlertsShown {
			lines = append(lines, fmt.Sprintf("and %d more", len(o.e.Message.Alerts)-i))
			break
		}
		mark := "🔥"
		if a.Status == amx.Resolved {
			mark = "✅"
		}
		own := amx.KV{}
		for name, value := range a.Labels {
			if _, common := o.view.CommonLabels[name]; !common {
				own[name] = value
			}
		}
		line := mark + " " + cut(strings.ReplaceAll(labelsText(own), "\n", ", "), 200)
		if summary := a.Annotations["summary"]; summary != "" && o.view.CommonAnnotations["summary"] == "" {
			line += " · " + cut(summary, 200)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// footer has the links, the run and the time, in one line.
func (o *outgoing) footer() string {
	var parts []string
	length := 0
	for _, l := range o.links() {
		// In a link, | and > end the address. A URL never needs them unencoded.
		address := strings.NewReplacer("&", "&amp;", "|", "%7C", "<", "%3C", ">", "%3E").Replace(l.url)
		part := "<" + address + "|" + l.text + ">"
		if length+len(part) < maxField {
			length += len(part)
			parts = append(parts, part)
		}
	}
	if history.IsRun(o.view.Run) && o.runURL() == "" {
		parts = append(parts, "run `"+o.view.Run+"`")
	}
	at := o.e.At.UTC()
	parts = append(parts, fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>", at.Unix(), at.Format(time.DateTime+" UTC")))
	return strings.Join(parts, " · ")
}

// outputs has the first lines of the failed nodes' output, as a reply in the message's
// thread. The nodes share the room, in characters. It is nil if there is no output.
func (o *outgoing) outputs(room int) []slack.Block {
	var blocks []slack.Block
	wrote := slices.DeleteFunc(o.view.FailedNodes(), func(n history.Node) bool { return n.Output == "" })
	shown := min(len(wrote), maxOutputs, room/minOutput)
	for _, n := range wrote[:shown] {
		head := "*" + escaped(cut(nodeText(n), 200)) + "*\n"
		most := min(maxSection, room/shown) - utf8.RuneCountInString(head)
		blocks = append(blocks, slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, head+code(firstLines(n.Output), most), false, false), nil, nil))
	}
	if more := len(wrote) - shown; more > 0 {
		blocks = append(blocks, slack.NewContextBlock("", mrkdwn(fmt.Sprintf("and the output of %d more", more), maxField)))
	}
	return blocks
}

// code puts text between Slack's fences, so that nothing in the text can close them.
func code(text string, n int) string {
	const fence = "```"
	inner := strings.NewReplacer(fence, "'''").Replace(text)
	return fence + "\n" + fits(inner, n-2*len(fence)-2, escaped) + "\n" + fence
}

func firstLines(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > maxLines {
		lines = append(lines[:maxLines], "…")
	}
	return strings.Join(lines, "\n")
}
