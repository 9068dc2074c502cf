package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
)

// configText is the text of the configuration that counts, as its source has it.
func (c *configuration) configText() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text
}

// enterConfig enters the configuration that counts in the table, packed, where it
// is another than the one there: who looks at a stack sees its commands and their
// limits. It keeps nobody from their run: what fails is tried again with the next
// event.
func (f *WorkerFunction) enterConfig(ctx context.Context) {
	text := f.config.configText()
	if f.store == nil || text == f.entered {
		return
	}
	if err := enterConfig(ctx, f.store, text); err != nil {
		f.log.WarnContext(ctx, "the configuration is not entered for operators", "error", err.Error())
		return
	}
	f.entered = text
}

func enterConfig(ctx context.Context, store ledger.Store, text string) error {
	plain, err := amx.Unpack([]byte(text))
	if err != nil {
		return fmt.Errorf("unpacking the configuration: %w", err)
	}
	packed := amx.Pack(plain)
	read, err := store.Get(ctx, ledger.ConfigKey)
	if err != nil {
		return err
	}
	r := read[0]
	if string(r.Value) == packed {
		return nil
	}
	r.Value = []byte(packed)
	if err := store.Put(ctx, r); err != nil && !errors.Is(err, ledger.ErrConflict) { // another worker's is as good
		return err
	}
	return nil
}
