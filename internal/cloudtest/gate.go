package cloudtest

import (
	"encoding/json"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
)

// A Gate is a ledger's gate as the store keeps it.
type Gate struct {
	Slots []struct {
		Run  string
		At   time.Time // when it was first taken
		Over bool
	}
	Breaker struct {
		Failures []struct{ Run string }
		Until    time.Time // zero: it is closed
		Trial    struct {
			Run   string
			Until time.Time
		}
	}
}

// ReadGate reads the value of a record whose key begins with gate/.
func ReadGate(r ledger.Record) (*Gate, error) {
	g := &Gate{}
	if len(r.Value) == 0 {
		return g, nil
	}
	return g, json.Unmarshal(r.Value, g)
}
