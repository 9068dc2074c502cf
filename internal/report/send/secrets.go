package send

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// freshFor is how long a secret is used before it is read again.
const freshFor = time.Minute

// Secrets reads secrets by reference, and keeps each for a minute.
type Secrets struct {
	// Read reads one: kind is "ssm", "file" or "env". Its errors do not show
	// the secret.
	Read func(ctx context.Context, kind, name string) (string, error)
	Now  func() time.Time

	mu    sync.Mutex
	known map[amx.Secret]known
}

type known struct {
	value string
	read  time.Time
}

// Get returns a secret without the white space around it. An empty secret is an error.
// If the secret cannot be read again, Get returns the one that it read before.
func (s *Secrets) Get(ctx context.Context, ref amx.Secret) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[ref]
	if ok && s.Now().Sub(k.read) < freshFor {
		return k.value, nil
	}
	kind, name := ref.Source()
	value, err := s.Read(ctx, kind, name)
	if value = strings.TrimSpace(value); err == nil && value == "" {
		err = errors.New("it is empty")
	}
	switch {
	case err == nil:
		if s.known == nil {
			s.known = map[amx.Secret]known{}
		}
		s.known[ref] = known{value, s.Now()}
		return value, nil
	case ok:
		return k.value, nil
	}
	return "", &temporary{err: fmt.Errorf("reading the secret %q: %w", ref, err)}
}
