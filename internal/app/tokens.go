package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

const (
	// tokensLive is how long tokens count before they are read again.
	tokensLive = time.Minute
	// tokensPause is the least time between two readings of which the first
	// failed.
	tokensPause = time.Second
	// firstPatience bounds the first reading where the invocation itself has no
	// end.
	firstPatience = 30 * time.Second
)

// tokenParameter is the accepted tokens, in Parameter Store. They are read at
// the first request, and again after a minute. An unknown token may force one
// reading earlier, so that a new one counts at once; it is one a minute, so that
// nobody can make amx call SSM for each request.
type tokenParameter struct {
	client parameters
	name   string
	log    *slog.Logger
	// metrics counts readings that failed.
	metrics *metrics
	now     func() time.Time

	mu     sync.Mutex
	tokens Tokens
	read   time.Time // when tokens were read, zero: never
	tried  time.Time // when they were last asked for
	failed error     // of the last try
	forced bool      // an unknown token has had its reading since
}

// find is the accepted token that was sent, nil if it is none of them. An error
// says that none is known.
func (p *tokenParameter) find(ctx context.Context, token string) (*Token, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.due(now) {
		p.forced = false
		p.refresh(ctx, now)
	}
	if t := p.tokens.Find(token); t != nil {
		return t, nil
	}
	if p.failed == nil && !p.forced && !p.tried.Equal(now) {
		p.forced = true
		p.refresh(ctx, now)
	}
	if len(p.tokens) == 0 {
		return nil, p.failed
	}
	return p.tokens.Find(token), nil
}

func (p *tokenParameter) due(now time.Time) bool {
	if p.failed != nil {
		return now.Sub(p.tried) >= tokensPause
	}
	return p.tried.IsZero() || now.Sub(p.read) >= tokensLive
}

// refresh reads the tokens. Where SSM does not answer, those read before go on
// counting, and are waited for no longer than a configuration is; without any
// there is nothing else to do in the time that there is. Where SSM answers that
// there are none, none count.
func (p *tokenParameter) refresh(ctx context.Context, now time.Time) {
	patience := readPatience
	if len(p.tokens) == 0 {
		patience = firstPatience
	}
	text, err := readParameter(beforeTheEnd(ctx, patience), p.client, p.name)
	var tokens Tokens
	if err == nil {
		if tokens, err = ParseTokens(text); err != nil {
			err = fmt.Errorf("parameter %q: %w", p.name, err)
		}
	}
	p.tried, p.failed = now, err
	switch {
	case err == nil:
		p.tokens, p.read = tokens, now
		if len(p.tokens) == 0 {
			p.failed = fmt.Errorf("parameter %q has no token: write one a line", p.name)
		}
	case errors.As(err, new(*types.ParameterNotFound)):
		p.tokens = nil
	}
	if p.failed == nil {
		return
	}
	p.metrics.count(ctx, p.log, configErrors, "tokens", now)
	if len(p.tokens) > 0 {
		p.log.WarnContext(ctx, "the accepted tokens cannot be read again; those read before count", "error", p.failed.Error())
	}
}
