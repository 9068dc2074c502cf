package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

const (
	// configLives is how long a configuration from Parameter Store counts before
	// it is read again.
	configLives = time.Minute
	// readPatience bounds that reading, and the tokens', which keeps a
	// notification waiting.
	readPatience = 2 * time.Second
)

// configuration is the one that counts. One from a file stays as it is; one from
// Parameter Store is read again by the first invocation after a minute. A new
// version that is wrong, or that cannot be read, changes nothing: the last good
// one goes on, until the next minute.
type configuration struct {
	source  string
	client  parameters
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time

	mu    sync.Mutex
	text  string // of current
	good  *amx.Config
	tried time.Time // when it was last asked for
}

// newConfiguration reads the configuration for the first time: what is wrong
// with it is an error, and the function does not begin.
func newConfiguration(ctx context.Context, env Getenv, source string, client parameters, log *slog.Logger, m *metrics) (*configuration, error) {
	c := &configuration{source: source, client: client, log: log, metrics: m, now: time.Now}
	name, text, err := readSource(ctx, env, source, client)
	if err != nil {
		return nil, fmt.Errorf("AMX_CONFIG %q: %w", source, err)
	}
	if c.good, err = parseConfig(name, text); err != nil {
		return nil, err
	}
	c.text, c.tried = string(text), c.now()
	return c, nil
}

// parseConfig reads and checks a configuration for Lambda, packed or plain. An
// error says which it is.
func parseConfig(name string, text []byte) (*amx.Config, error) {
	text, err := amx.Unpack(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	config, err := amx.ParseConfig(name, text)
	if err != nil {
		return nil, err
	}
	return config, config.ForLambda()
}

func (c *configuration) current() *amx.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.good
}

// refresh is called before a notification is handled, so that all of it is
// decided by one version.
func (c *configuration) refresh(ctx context.Context) {
	parameter, ok := strings.CutPrefix(c.source, "ssm:")
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.tried) < configLives {
		return
	}
	c.tried = now
	text, err := readParameter(beforeTheEnd(ctx, readPatience), c.client, parameter)
	if err != nil {
		c.keep(ctx, now, "unreadable", err)
		return
	}
	if text == c.text {
		return
	}
	config, err := parseConfig(c.source, []byte(text))
	if err != nil {
		c.keep(ctx, now, "wrong", err)
		return
	}
	c.text, c.good = text, config
	c.log.InfoContext(ctx, "a new configuration counts", "source", c.source, "commands", len(config.Commands))
}

// keep says why the last good version goes on.
func (c *configuration) keep(ctx context.Context, now time.Time, why string, err error) {
	c.log.ErrorContext(ctx, "the configuration is not renewed; the last good one counts", "source", c.source, "error", err.Error())
	c.metrics.count(ctx, c.log, configErrors, why, now)
}

// beforeTheEnd ends after that long, and in any case before the invocation's
// calls do. It has no earlier end: net/http may take one for the end of the
// request, and close the connection that the first SendCommand could use.
func beforeTheEnd(ctx context.Context, patience time.Duration) context.Context {
	end := time.Now().Add(patience)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-callsEnd).Before(end) {
		end = deadline.Add(-callsEnd)
	}
	inTime, cancel := context.WithDeadline(ctx, end)
	context.AfterFunc(ctx, cancel)
	return inTime
}
