package send

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// temporary is an error after which amx should send again.
type temporary struct {
	after time.Duration // not before; 0: the queue's back-off
	err   error
}

func (t *temporary) Error() string { return t.err.Error() }
func (t *temporary) Unwrap() error { return t.err }

// maxAfter bounds a Retry-After: it may be nonsense.
const maxAfter = 15 * time.Minute

// answered returns an error for a service's answer. For every service, 429 and 5xx mean
// to try again later; after any other 4xx the service will never accept the request.
func answered(service string, r *http.Response, now time.Time) error {
	if r.StatusCode/100 == 2 {
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<10))
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 300))
	err := fmt.Errorf("%s answers %s: %q", service, r.Status, strings.TrimSpace(string(body)))
	switch {
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode == http.StatusRequestTimeout, r.StatusCode >= 500:
		return &temporary{after: retryAfter(r.Header.Get("Retry-After"), now), err: err}
	}
	return err
}

// retryAfter reads either form of the header: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		return min(max(0, time.Duration(seconds)*time.Second), maxAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, at.Sub(now)), maxAfter)
	}
	return 0
}

// unreachable is the error of a request without an answer. It leaves out the URL, which
// may be a secret.
func unreachable(service string, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return &temporary{err: fmt.Errorf("%s cannot be reached: %w", service, err)}
}

// hiding replaces secrets in the text of an error.
func hiding(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "(secret)")
		}
	}
	if text == err.Error() {
		return err
	}
	if t, ok := errors.AsType[*temporary](err); ok {
		return &temporary{after: t.after, err: errors.New(text)}
	}
	return errors.New(text)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// cut shortens text to at most n characters, the last of them an ellipsis.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	runes := []rune(text)
	return strings.TrimRight(string(runes[:n-1]), " \n") + "…"
}
