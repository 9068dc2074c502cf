package page

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/storetest"
)

// stream is a recorder that can be read while it is written.
type stream struct {
	*httptest.ResponseRecorder
	mu sync.Mutex
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ResponseRecorder.Write(p)
}

// took is what was sent since it was last asked for.
func (s *stream) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.Body.String()
	s.Body.Reset()
	return text
}

func TestAnOpenPageIsToldOfNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := in(t)
		b.page.Now = time.Now
		b.page.sessions.now = time.Now
		b.get("/?key=k3y", http.StatusSeeOther)
		text := b.get("/runs", http.StatusOK)
		_, seen, _ := strings.Cut(text, `data-seen="`)
		seen, _, _ = strings.Cut(seen, `"`)
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080/-/page/events?"+url.Values{"of": {"/runs"}, "seen": {seen}}.Encode(), nil)
		r.RemoteAddr = b.remote
		for name, value := range b.cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		s := &stream{ResponseRecorder: httptest.NewRecorder()}
		done := make(chan struct{})
		go func() { b.page.ServeHTTP(s, r.WithContext(ctx)); close(done) }()
		wait := func(d time.Duration) string {
			time.Sleep(d)
			synctest.Wait()
			return s.took()
		}
		if got := wait(10 * time.Second); got != "retry: 5000\n\n" {
			t.Errorf("without news: %q", got)
		}
		if got := wait(10 * time.Second); got != ": still here\n\n" {
			t.Errorf("after silence: %q", got)
		}
		b.mu.Lock()
		b.records = []history.Record{storetest.Sample(noon.Add(-time.Minute), 1)}
		b.records[0].Run = storetest.RunID(time.Now(), 1)
		b.mu.Unlock()
		if got := wait(2 * time.Second); !strings.HasPrefix(got, "event: changed\ndata: ") {
			t.Errorf("with news: %q", got)
		}
		if got := wait(2 * time.Second); got != "" {
			t.Errorf("the same news again: %q", got)
		}
		cancel()
		<-done
	})
}

func TestStreamsEndWithTheServerAndTheSession(t *testing.T) {
	for _, how := range []string{"close", "session"} {
		synctest.Test(t, func(t *testing.T) {
			b := in(t)
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080/-/page/events?of=/", nil)
			r.RemoteAddr = b.remote
			for name, value := range b.cookies {
				r.AddCookie(&http.Cookie{Name: name, Value: value})
			}
			done := make(chan struct{})
			go func() { b.page.ServeHTTP(&stream{ResponseRecorder: httptest.NewRecorder()}, r); close(done) }()
			synctest.Wait()
			if how == "close" {
				b.page.Close()
			} else {
				b.page.sessions.mu.Lock()
				clear(b.page.sessions.all)
				b.page.sessions.mu.Unlock()
			}
			<-done
		})
	}
}

func TestOnlyViewsHaveStreams(t *testing.T) {
	b := in(t)
	for _, of := range []string{"", "/try", "/none", "%zz"} {
		r := b.do(http.MethodGet, "/-/page/events?"+url.Values{"of": {of}}.Encode(), nil, nil)
		if r.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %d", of, r.StatusCode)
		}
	}
}
