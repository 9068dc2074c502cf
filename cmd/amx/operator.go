package main

import (
	"time"

	"github.com/amx-lambda/amx/internal/history"
	historybolt "github.com/amx-lambda/amx/internal/history/bolt"
	"github.com/amx-lambda/amx/internal/operate"
)

// newDesk makes the desk of this process.
func (h *host) newDesk() *operate.Desk {
	h.history = &historybolt.Store{File: h.store, Keep: history.Default, Now: time.Now}
	return &operate.Desk{
		History: h.history, Ledger: h.store, Outputs: localClient(h.ssm), Queue: h.queueStatus, Log: h.log, Now: time.Now,
	}
}
