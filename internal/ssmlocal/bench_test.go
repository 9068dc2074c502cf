package ssmlocal

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkTrue measures whole commands, from the SDK's SendCommand to their
// end, with 8 clients.
func BenchmarkTrue(b *testing.B) {
	b.Run("quiet", func(b *testing.B) { benchmarkTrue(b, nil) })
	b.Run("followed", func(b *testing.B) { benchmarkTrue(b, func(OutputLine) {}) })
}

func benchmarkTrue(b *testing.B, output func(OutputLine)) {
	var ends sync.Map // :: command ID → chan struct{}, closed at its end
	end := func(id string) chan struct{} {
		c, _ := ends.LoadOrStore(id, make(chan struct{}))
		return c.(chan struct{})
	}
	w := start(b, func(o *Options) {
		o.Output, o.Log = output, slog.New(slog.DiscardHandler)
		o.Ended = func(id string) { close(end(id)) }
	})
	var sent atomic.Int64
	var clients sync.WaitGroup
	b.ResetTimer()
	for range 8 {
		clients.Go(func() {
			for sent.Add(1) <= int64(b.N) {
				out, err := w.client.SendCommand(context.Background(), script("#!/bin/sh", "exec /bin/true"))
				if err != nil {
					b.Error(err)
					return
				}
				<-end(*out.Command.CommandId)
			}
		})
	}
	clients.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}
