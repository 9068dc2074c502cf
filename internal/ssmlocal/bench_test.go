package ssmlocal

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
)

// BenchmarkTrue measures whole commands, from the SDK's SendCommand to their
// end, with 8 clients. b.N/s is commands a second.
func BenchmarkTrue(b *testing.B) {
	for _, withOutput := range []bool{false, true} {
		name := "quiet"
		if withOutput {
			name = "followed"
		}
		b.Run(name, func(b *testing.B) {
			ended := make([]chan struct{}, 8)
			var who [8]atomic.Value
			w := start(b, func(o *Options) {
				if !withOutput {
					o.Output = nil
				}
				o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
				o.Ended = func(id string) {
					for {
						for i := range who {
							if who[i].Load() == id {
								ended[i] <- struct{}{}
								return
							}
						}
					}
				}
			})
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			b.ResetTimer()
			for i := range ended {
				ended[i] = make(chan struct{})
				go func() {
					defer func() { done <- struct{}{} }()
					for left.Add(-1) >= 0 {
						out, err := w.client.SendCommand(context.Background(), script("#!/bin/sh", "exec /bin/true"))
						if err != nil {
							b.Error(err)
							return
						}
						who[i].Store(*out.Command.CommandId)
						<-ended[i]
					}
				}()
			}
			for range ended {
				<-done
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
		})
	}
}
