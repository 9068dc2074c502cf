package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/page"
)

// newPage is the page of this process: for operators' tokens, or without tokens
// for who has the key.
func (h *host) newPage(accepts func(context.Context, string) (*app.Token, error)) *page.Page {
	name, _ := os.Hostname() // the page is as good without it
	o := page.Options{
		Operator: h.operator, Place: name, Version: version, Log: h.log, Now: time.Now,
		Config: func(context.Context) (page.Configuration, error) {
			c := page.Configuration{Config: h.current.Load()}
			if t := h.loaded.Load(); t != nil {
				c.Since = *t
			}
			return c, nil
		},
		Explain: func(_ context.Context, body []byte, subject string) ([]page.Explained, error) {
			return explainTo(h.current.Load(), body, subject, time.Now())
		},
		Sent: sentBy(localClient(h.ssm)),
	}
	if accepts == nil {
		o.Key, o.Who = newKey(), userName(os.Getuid())
	} else {
		o.Login = operatorOf(accepts)
	}
	return page.New(o)
}

// newKey is a key that nobody guesses.
func newKey() string {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	return hex.EncodeToString(key[:])
}

// operatorOf lets in operators' tokens.
func operatorOf(accepts func(context.Context, string) (*app.Token, error)) func(context.Context, string) (string, error) {
	return func(ctx context.Context, given string) (string, error) {
		token, err := accepts(ctx, given)
		switch {
		case err != nil:
			return "", err
		case token == nil:
			return "", errors.New("this token is not accepted")
		case !token.Operator:
			return "", errors.New(noOperator(token.Name))
		}
		return token.Name, nil
	}
}

// printPage says where the page is, and opens it without tokens.
func printPage(out io.Writer, p *page.Page, scheme string, at net.Addr) {
	if p == nil || p.Key == "" {
		return
	}
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return // it is no address of a port
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	} else if !ip.IsLoopback() {
		return // nobody on this machine reaches it through loopback
	}
	fmt.Fprintf(out, "page: %s://%s/?key=%s\n", scheme, net.JoinHostPort(host, port), url.QueryEscape(p.Key))
}

// pairLine is a label of an alert, as `amx explain` takes it.
var pairLine = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)=(.*)$`)

// pageLabels are those of a text that has a label=value on each line.
func pageLabels(body []byte) (map[string]string, bool) {
	labels := map[string]string{}
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		m := pairLine.FindStringSubmatch(line)
		if m == nil {
			return nil, false
		}
		labels[m[1]] = m[2]
	}
	return labels, len(labels) > 0
}

// explainTo says what a notification would do, as `amx explain` does.
func explainTo(cfg *amx.Config, body []byte, subject string, now time.Time) ([]page.Explained, error) {
	var messages []*amx.Message
	var err error
	if labels, ok := pageLabels(body); ok {
		var m *amx.Message
		m, err = firingAlert(labels, now)
		messages = []*amx.Message{m}
	} else {
		messages, err = (&explainCmd{Subject: subject, Payload: []string{"-"}}).messages(bytes.NewReader(body), now)
	}
	if err != nil {
		return nil, err
	}
	var out []page.Explained
	for _, cmd := range cfg.Commands {
		one := page.Explained{Command: cmd.Name}
		var text strings.Builder
		for _, m := range messages {
			e := explanation{out: &text, message: m, command: cmd, script: true}
			one.Matches = e.write() || one.Matches
		}
		one.Text = text.String()
		out = append(out, one)
	}
	return out, nil
}

// sentBy asks SSM what it sent under a command ID.
func sentBy(client ssm.ListCommandsAPIClient) func(context.Context, string) (page.Sent, error) {
	return func(ctx context.Context, commandID string) (page.Sent, error) {
		out, err := client.ListCommands(ctx, &ssm.ListCommandsInput{CommandId: &commandID})
		if err != nil {
			return page.Sent{}, fmt.Errorf("ListCommands: %w", err)
		}
		if len(out.Commands) == 0 {
			return page.Sent{}, errors.New("SSM does not keep it any more")
		}
		c := out.Commands[0]
		sent := page.Sent{Document: aws.ToString(c.DocumentName)}
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
			if name == "commands" {
				sent.Script = strings.Join(c.Parameters[name], "\n")
				continue
			}
			lines = append(lines, fmt.Sprintf("%s = %q", name, c.Parameters[name]))
		}
		sent.Parameters = strings.Join(lines, "\n")
		return sent, nil
	}
}
