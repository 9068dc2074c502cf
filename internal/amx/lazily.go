package amx

import (
	"regexp"
	"sync"
)

// lazily is a regular expression that is compiled when it is first used: most
// configurations use few of those here, and each would cost a function's cold
// start.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
