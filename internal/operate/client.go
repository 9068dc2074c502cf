package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/amx-lambda/amx/internal/history"
)

// A Client is an [Operator] that asks the [Handler] of a running amx serve.
type Client struct {
	// Base is the URL before [Prefix], such as https://host:8080.
	Base string
	// Token is an operator's token; empty on the socket.
	Token string
	HTTP  *http.Client
}

// Operator returns the client as both interfaces.
func (c *Client) Operator() Operator { return Operator{c, c} }

// Runs lists records.
func (c *Client) Runs(ctx context.Context, q history.Query) (history.Page, error) {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	if !q.Since.IsZero() {
		set("since", q.Since.Format(time.RFC3339Nano))
	}
	set("command", q.Command)
	set("state", string(q.State))
	set("cursor", q.Cursor)
	if q.Limit > 0 {
		set("limit", strconv.Itoa(q.Limit))
	}
	for name, value := range q.Alert {
		v.Add("alert", name+"="+value)
	}
	var page pageBody
	err := c.call(ctx, http.MethodGet, "runs?"+v.Encode(), nil, &page)
	return history.Page{Records: page.Runs, Next: page.Next}, err
}

// Run returns one run with all details.
func (c *Client) Run(ctx context.Context, run string) (d Detail, err error) {
	err = c.call(ctx, http.MethodGet, "runs/"+url.PathEscape(run), nil, &d)
	return d, err
}

// Status returns what holds runs back, and which alerts wait.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	err = c.call(ctx, http.MethodGet, "status", nil, &s)
	return s, err
}

// Cancel stops a run, or all runs of a command.
func (c *Client) Cancel(ctx context.Context, in CancelRequest) (out Cancelled, err error) {
	err = c.call(ctx, http.MethodPost, "cancel", cancelBody{in.Run, in.Command, in.Why}, &out)
	return out, err
}

// Pause holds back new runs.
func (c *Client) Pause(ctx context.Context, in PauseRequest) ([]Pause, error) {
	length := ""
	if in.For != 0 {
		length = in.For.String()
	}
	var out pausedBody
	err := c.call(ctx, http.MethodPost, "pause", pauseBody{in.Command, length, in.Why}, &out)
	return out.Paused, err
}

// Resume lifts a pause.
func (c *Client) Resume(ctx context.Context, in ResumeRequest) ([]Pause, error) {
	var out pausedBody
	err := c.call(ctx, http.MethodPost, "resume", resumeBody{in.Command}, &out)
	return out.Paused, err
}

// A refusedError is a refusal by amx serve, in its words.
type refusedError struct {
	message string
	is      error
}

func (e *refusedError) Error() string { return e.message }
func (e *refusedError) Unwrap() error { return e.is }

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Base, "/")+Prefix+path, body)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := c.HTTP.Do(r)
	if err != nil {
		return unreachable(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return c.refused(response.StatusCode, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s does not answer as amx serve does: is it the address of an amx serve?", c.Base)
	}
	return nil
}

// unreachable is an error of the connection. It leaves out the request's URL, which is no
// help for a socket.
func unreachable(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("%w: amx serve does not run there", err)
	}
	return err
}

func (c *Client) refused(status int, text []byte) error {
	var b errorBody
	if json.Unmarshal(text, &b) != nil || b.Error == "" {
		return fmt.Errorf("%s answers %d without an error of amx: is it the address of an amx serve?", c.Base, status)
	}
	switch status {
	case http.StatusBadRequest:
		return InvalidError(b.Error)
	case http.StatusNotFound:
		return &refusedError{b.Error, history.ErrNotFound}
	case http.StatusConflict:
		return &refusedError{b.Error, ErrNothing}
	}
	return errors.New(b.Error)
}
