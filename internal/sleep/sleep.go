// Package sleep waits for a time, unless what it is for ends first.
package sleep

import (
	"context"
	"time"
)

// For waits for d, or returns ctx's error if that ends first.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
