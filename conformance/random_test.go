package conformance

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// pieces are what random texts are made of: what names and values usually have,
// and what breaks parsers and hashes.
var pieces = []string{
	"a", "b", "Z", "0", "9", "_", ":", "-", ".", " ", "\t", "\n", "\r", "foo", "bar", "alertname", "severity", "page",
	"é", "ß", "日本", "🙂", "\u00a0", "\u2028", "\u200b", "\ufffd", "\x00", "\x7f", "\xff", "\xc3",
	`"`, `'`, "`", `\`, `\\`, `\"`, `\n`, `\t`, `\d`, `\x41`, `\u00e9`, `\377`,
	"=", "!=", "=~", "!~", "!", "~", "==", ",", ", ", "{", "}", "(", ")", "[", "]", "*", ".*", ".+", "|", "?", "^", "$", "(?i)",
	"{{", "}}", "<b>", "&amp;", "$(x)", "%s",
}

func text(r *rand.Rand, most int) string {
	var b strings.Builder
	for range r.IntN(most + 1) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

func labels(r *rand.Rand, most int) amx.KV {
	kv := amx.KV{}
	for range r.IntN(most + 1) {
		kv[text(r, 4)] = text(r, 6)
	}
	return kv
}

func instant(r *rand.Rand) time.Time {
	if r.IntN(4) == 0 {
		return time.Time{}
	}
	zone := time.FixedZone("", (r.IntN(27)-12)*3600)
	return time.Unix(4e7+r.Int64N(39e8), r.Int64N(1e9)).In(zone) // after 1970, before sent
}
