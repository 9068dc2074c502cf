package send

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/slack-go/slack"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/report/graph"
)

// forGraph is how long a picture may take. The message is there without it.
const forGraph = 8 * time.Second

func (o *outgoing) toSlack(ctx context.Context) error {
	t, err := o.claim(ctx, o.e.Subject())
	if t == nil || err != nil {
		return err
	}
	if o.d.Slack.WebhookURL != "" {
		return t.settle(ctx, o.e, o.postIncoming(ctx))
	}
	token, err := o.s.Secrets.Get(ctx, o.d.Slack.Token)
	if err != nil {
		return t.settle(ctx, o.e, err)
	}
	c := slackClient{o: o, t: t, url: cmp.Or(o.s.SlackURL, slack.APIURL)}
	c.api = slack.New(token, slack.OptionHTTPClient(o.s.slackHTTP()), slack.OptionAPIURL(c.url))
	return t.settle(ctx, o.e, hiding(c.tell(ctx), token))
}

// slackHTTP is the client with a limit on the time of each call.
func (s *Sender) slackHTTP() *http.Client {
	client := *s.Client
	client.Timeout = 10 * time.Second
	return &client
}

// slackClient brings one event to one channel.
type slackClient struct {
	o   *outgoing
	t   *subject
	api *slack.Client
	url string
}

// tell posts the message, or updates the existing one. t.Slack notes how far it
// came. If a later step fails, the next try continues there.
func (c *slackClient) tell(ctx context.Context) error {
	if err := c.find(ctx); err != nil {
		return err
	}
	if c.t.Slack == nil && (!slices.Contains(c.o.d.On, c.o.e.Kind) || c.o.view.Retrying) {
		return nil // only a message that is there is updated
	}
	if err := c.message(ctx); err != nil {
		return err
	}
	c.graph(ctx)
	return c.thread(ctx)
}

// find looks for the message that the event belongs to. A retry is a run of its own, but
// it updates the message of the run before it. An alert that fires again after a resolve
// gets a new message.
func (c *slackClient) find(ctx context.Context) error {
	if m := c.o.e.Message; m != nil && c.t.Status == amx.Resolved && m.Status == amx.Firing {
		c.t.Slack = nil
	}
	if c.t.Slack != nil || c.o.view.RetryOf == "" {
		return nil
	}
	before := &subject{s: c.o.s, key: c.o.s.key(c.o.d, "run/"+c.o.view.RetryOf)}
	if err := before.read(ctx); err != nil {
		return err
	}
	if c.t.Slack = before.Slack; c.t.Slack != nil {
		c.t.Slack.Thread = false // that run's outputs; this one has its own
	}
	return nil
}

func (c *slackClient) message(ctx context.Context) error {
	text := slack.MsgOptionText(fits(c.o.headline(), maxText, escaped), false)
	if m := c.t.Slack; m != nil {
		_, _, _, err := c.api.UpdateMessageContext(ctx, m.Channel, m.TS, text, slack.MsgOptionBlocks(c.o.blocks(m)...))
		if isSlack(err, "invalid_blocks", "invalid_blocks_format") && m.File != "" && !m.Shown {
			c.o.s.Log.WarnContext(ctx, "Slack does not take the graph", "report", c.o.e.Key(), "destination", c.o.d.Name, "error", err.Error())
			m.File = ""
			_, _, _, err = c.api.UpdateMessageContext(ctx, m.Channel, m.TS, text, slack.MsgOptionBlocks(c.o.blocks(m)...))
		}
		if !isSlack(err, "message_not_found", "cant_update_message", "edit_window_closed") {
			return judged(err)
		}
		// Somebody deleted it, or it is too old to be changed.
		c.t.Slack = nil
	}
	channel, ts, err := c.post(ctx, c.o.d.Slack.Channel, "message", text, slack.MsgOptionBlocks(c.o.blocks(nil)...))
	if err != nil {
		return judged(err)
	}
	c.t.Slack = &message{Channel: channel, TS: ts}
	return nil
}

// post sends a message with an ID that is the same for each try: of two messages with
// one ID, Slack keeps one. Slack documents the errors of client_msg_id, but not the
// parameter. So after such an error post sends the message without it.
func (c *slackClient) post(ctx context.Context, channel, part string, options ...slack.MsgOption) (string, string, error) {
	id := messageID(c.t.key + "/" + c.o.e.Key() + "/" + part)
	options = append(options, slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl())
	withID := slack.UnsafeMsgOptionEndpoint(c.url+"chat.postMessage", func(v url.Values) { v.Set("client_msg_id", id) })
	at, ts, err := c.api.PostMessageContext(ctx, channel, append(options, withID)...)
	if isSlack(err, "duplicate_message_not_found", "duplicate_channel_not_found") {
		at, ts, err = c.api.PostMessageContext(ctx, channel, options...)
	}
	return at, ts, err
}

// messageID is a UUID made of a text.
func messageID(text string) string {
	h := digest(text)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// graph draws the alert's metric and puts it into the message. After an error it logs
// that, and the message stays as it is.
func (c *slackClient) graph(ctx context.Context) {
	m := c.t.Slack
	p := c.o.s.prometheus(c.o.c)
	if p == nil || m.Drawn || c.o.e.Message != nil && c.o.view.Firing == 0 {
		return
	}
	m.Drawn = true
	ctx, cancel := context.WithTimeout(ctx, forGraph)
	defer cancel()
	if err := c.upload(ctx, p); err != nil {
		c.o.s.Log.WarnContext(ctx, "report without a graph", "report", c.o.e.Key(), "destination", c.o.d.Name, "error", err.Error())
	}
}

func (c *slackClient) upload(ctx context.Context, p *graph.Prometheus) error {
	a := c.o.graphed()
	if a == nil {
		return nil
	}
	g, err := graph.Of(ctx, p, a, c.o.s.Now())
	if g == nil || err != nil {
		return err
	}
	picture, err := g.PNG()
	if err != nil {
		return err
	}
	m := c.t.Slack
	file, err := c.api.UploadFileContext(ctx, slack.UploadFileParameters{
		Reader: bytes.NewReader(picture), FileSize: len(picture), Filename: "graph.png",
		Title: cut(g.Title, maxHeader), AltTxt: cut(g.AltText(), maxAltText),
	})
	if err != nil {
		return fmt.Errorf("uploading the graph: %w", judged(err))
	}
	m.File, m.AltText = file.ID, g.AltText()
	return c.show(ctx)
}

// show updates the message with its picture. Slack takes a moment to process a file, and
// refuses a message with a file that it has not processed yet.
func (c *slackClient) show(ctx context.Context) error {
	m := c.t.Slack
	text := slack.MsgOptionText(fits(c.o.headline(), maxText, escaped), false)
	var err error
	for _, pause := range []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second} {
		if pause > 0 {
			if err := c.o.s.wait(ctx, pause); err != nil {
				return err
			}
		}
		_, _, _, err = c.api.UpdateMessageContext(ctx, m.Channel, m.TS, text, slack.MsgOptionBlocks(c.o.blocks(m)...))
		if err == nil {
			m.Shown = true
			return nil
		}
	}
	return fmt.Errorf("showing the graph: %w", judged(err)) // the next update of the message tries once more
}

// graphed returns the alert whose metric is drawn: the first firing one that has an
// expression.
func (o *outgoing) graphed() *amx.Alert {
	for i, a := range o.view.Alerts {
		if o.e.Message != nil && o.e.Message.Alerts[i].Status == amx.Resolved {
			continue
		}
		found := amx.Alert{Labels: a.Labels, Annotations: a.Annotations, StartsAt: a.StartsAt, GeneratorURL: a.GeneratorURL}
		if graph.ExpressionOf(&found) != "" {
			return &found
		}
	}
	return nil
}

// thread adds the output of the failed nodes.
func (c *slackClient) thread(ctx context.Context) error {
	m := c.t.Slack
	if c.o.e.Kind != amx.OnFailed || m.Thread {
		return nil
	}
	blocks := c.o.outputs(maxMessage - maxShort)
	if blocks == nil {
		return nil
	}
	_, _, err := c.post(ctx, m.Channel, "outputs", slack.MsgOptionTS(m.TS),
		slack.MsgOptionText("Output of the nodes that failed", false), slack.MsgOptionBlocks(blocks...))
	m.Thread = err == nil
	return judged(err)
}

// postIncoming sends to an incoming webhook. Its answer names no message, so a later
// event cannot update the message.
func (o *outgoing) postIncoming(ctx context.Context) error {
	address, err := o.s.Secrets.Get(ctx, o.d.Slack.WebhookURL)
	if err != nil {
		return err
	}
	blocks := o.blocks(nil)
	if o.e.Kind == amx.OnFailed {
		text, err := json.Marshal(blocks) // longer than what people see of it
		if err != nil {
			return fmt.Errorf("encoding the report %q: %w", o.e.Key(), err)
		}
		blocks = slices.Concat(blocks, o.outputs(max(0, maxMessage-maxShort-len(text))))
	}
	unfurl := false
	err = slack.PostWebhookCustomHTTPContext(ctx, address, o.s.slackHTTP(), &slack.WebhookMessage{
		Text: fits(o.headline(), maxText, escaped), Blocks: &slack.Blocks{BlockSet: blocks}, UnfurlLinks: &unfurl, UnfurlMedia: &unfurl,
	})
	return hiding(judged(err), address)
}

func isSlack(err error, codes ...string) bool {
	e, ok := errors.AsType[slack.SlackErrorResponse](err)
	return ok && slices.Contains(codes, e.Err)
}

// remedies say what to do about Slack's common errors.
var remedies = map[string]string{
	"not_in_channel":    "invite the app to the channel: /invite @amx",
	"channel_not_found": "check the channel's name; a private channel needs the app invited",
	"is_archived":       "name a channel that is not archived",
	"invalid_auth":      "the token is not valid: copy the bot token (xoxb-…) again",
	"token_revoked":     "the token was revoked: install the app again and copy its bot token",
	"account_inactive":  "the app was removed from the workspace: install it again",
	"missing_scope":     "the app lacks a right: it needs chat:write and files:write",
}

// judged adds to an error of slack-go whether it is temporary, and what to do.
func judged(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return &temporary{after: min(max(0, e.RetryAfter), maxAfter), err: errors.New("the rate of messages is limited by Slack")}
	}
	if e, ok := errors.AsType[slack.StatusCodeError](err); ok {
		answer := fmt.Errorf("answer of Slack: %s", e.Status)
		if e.Code >= 500 || e.Code == http.StatusTooManyRequests || e.Code == http.StatusRequestTimeout {
			return &temporary{err: answer}
		}
		return answer
	}
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		answer := fmt.Errorf("answer of Slack: %q", e.Err)
		switch {
		case slices.Contains([]string{"internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited", "rate_limited", "team_added_to_org", "accesslimited"}, e.Err):
			return &temporary{err: answer}
		case remedies[e.Err] != "":
			return fmt.Errorf("%w: %s", answer, remedies[e.Err])
		case len(e.ResponseMetadata.Messages) > 0:
			return fmt.Errorf("%w: %s", answer, cut(fmt.Sprint(e.ResponseMetadata.Messages), 500))
		}
		return answer
	}
	return unreachable("Slack", err)
}
