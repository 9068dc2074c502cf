//go:build race

package simulation

// The race detector lets goroutines take turns at random, to find more: with it
// a seed does not replay.
func init() { turnsAtRandom = true }
