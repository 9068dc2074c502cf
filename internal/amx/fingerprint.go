package amx

import (
	"fmt"
	"maps"
	"slices"
)

// FNV-1a's parameters for 64 bits, and the byte that prometheus/common puts
// after each name and value: 0xff is in no valid UTF-8 string, so that no two
// sets run together.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
	separator = 0xff
)

// Fingerprint is the identity of an alert: FNV-1a over the sorted labels, as
// prometheus/common's model.LabelSet.Fingerprint computes it, in 16 hex digits.
func Fingerprint(labels KV) string {
	sum := uint64(fnvOffset)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		sum = hashText(hashText(sum, name), labels[name])
	}
	return fmt.Sprintf("%016x", sum)
}

// hash is FNV-1a over a text, in 16 hex digits.
func hash(text string) string { return fmt.Sprintf("%016x", hashText(fnvOffset, text)) }

func hashText(sum uint64, s string) uint64 {
	for i := 0; i < len(s); i++ {
		sum = (sum ^ uint64(s[i])) * fnvPrime
	}
	return (sum ^ separator) * fnvPrime
}
