package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// BenchmarkServe is requests over HTTP on loopback, 8 clients, each with its
// connection, the ledger durable. prometheus-am-executor on two cores answers
// 2,100 to 2,300 requests a second that run /bin/true, and 24,600 that match
// nothing (50 clients). "starting /bin/true" is the least that any program can do
// for an alert that it runs it for, and remembers nothing.
func BenchmarkServe(b *testing.B) {
	b.Run("starting /bin/true", func(b *testing.B) {
		body := notification("amx", firing("a", 0))
		benchHandler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			if err == nil {
				_, err = amx.Decode(text, time.Now())
			}
			if err == nil {
				err = exec.Command("/bin/true").Run()
			}
			if err != nil {
				b.Error(err)
			}
		}), func(int64) string { return body })
	})
	config := "commands: [{name: t, cmd: /bin/true, match_labels: {alertname: A}}]"
	b.Run("distinct", func(b *testing.B) {
		benchServe(b, config, func(n int64) string { return group(fmt.Sprint(n), notification("amx", firing("a", 0))) })
	})
	b.Run("duplicates", func(b *testing.B) {
		body := notification("amx", firing("a", 0))
		benchServe(b, config, func(int64) string { return body })
	})
	b.Run("unmatched", func(b *testing.B) {
		body := strings.ReplaceAll(notification("amx", firing("a", 0)), `"alertname":"A"`, `"alertname":"B"`)
		benchServe(b, config, func(int64) string { return body })
	})
}

func benchServe(b *testing.B, config string, body func(int64) string) {
	cfg, err := amx.ParseConfig("amx.yaml", []byte(config))
	if err != nil {
		b.Fatal(err)
	}
	h, err := newHost(cfg, filepath.Join(b.TempDir(), "ledger.db"), os.Environ(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		b.Fatal(err)
	}
	defer h.close()
	benchHandler(b, newServer(h, nil).Handler, body)
}

func benchHandler(b *testing.B, handler http.Handler, body func(int64) string) {
	server := httptest.NewServer(handler)
	defer server.Close()
	var n atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 8 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			for {
				i := n.Add(1)
				if i > int64(b.N) {
					return
				}
				r, err := client.Post(server.URL, "application/json", strings.NewReader(body(i)))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				r.Body.Close()
				if r.StatusCode != http.StatusOK {
					b.Errorf("answer %d", r.StatusCode)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}
