package ssmexec

import (
	"fmt"
	"regexp"
	"sync"
	"unicode/utf8"

	"github.com/amx-lambda/amx/internal/amx"
)

// The limits of SendCommand's targets that the configuration does not know; how
// many values a tag may have it has checked:
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
const (
	maxTargetKey    = 163
	maxTargetValues = 50 // of one key
)

var instanceID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(i-(\w{8}|\w{17})|mi-\w{17})$`)
})

// checkTargets holds rendered targets to SSM's terms: SSM would refuse the whole call
// otherwise. Instance IDs may be more than one call takes.
func checkTargets(targets []amx.Target) error {
	switch {
	case len(targets) == 0:
		return fmt.Errorf("targets: none: want at least one")
	case len(targets) > amx.MaxTargetKeys:
		return fmt.Errorf("targets: %d keys: SSM takes at most %d", len(targets), amx.MaxTargetKeys)
	}
	for _, t := range targets {
		switch n := utf8.RuneCountInString(t.Key); {
		case n > maxTargetKey:
			return fmt.Errorf("targets: key %q: %d characters: SSM takes at most %d", t.Key, n, maxTargetKey)
		case len(t.Values) == 0:
			return fmt.Errorf("targets: key %q: no value", t.Key)
		case t.Key == KeyInstanceIDs:
			for _, id := range t.Values {
				if !instanceID().MatchString(id) {
					return fmt.Errorf("targets: %s: %q is no instance ID: want i- and 8 or 17 characters, or mi- and 17", t.Key, id)
				}
			}
		case len(t.Values) > maxTargetValues:
			return fmt.Errorf("targets: key %q: %d values: SSM takes at most %d", t.Key, len(t.Values), maxTargetValues)
		}
	}
	return nil
}
