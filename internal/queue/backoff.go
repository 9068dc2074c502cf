package queue

import "time"

const (
	firstDelay   = 5 * time.Second
	longestDelay = 2 * time.Minute
	heldDelay    = 30 * time.Second
)

// Backoff is how long an item waits that was put off tries times before: 5 s,
// 10 s, 20 s and so on up to 2 min. random is in [0, 1), and spreads the delay
// over its second half, so that what was put off together comes back apart.
func Backoff(tries int, random float64) time.Duration {
	delay := firstDelay
	for range tries {
		if delay = min(2*delay, longestDelay); delay == longestDelay {
			break
		}
	}
	return jittered(delay, random)
}

// Held is how long an item waits that a limit or a pause holds back: 30 s each
// time, spread as [Backoff] does.
func Held(random float64) time.Duration { return jittered(heldDelay, random) }

func jittered(delay time.Duration, random float64) time.Duration {
	half := delay / 2
	return half + time.Duration(random*float64(half))
}
