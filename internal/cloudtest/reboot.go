package cloudtest

import (
	"strings"
	"time"
)

// A Reboot is what a node does while it runs a command.
type Reboot struct {
	Asked bool          // the command ends with 194, which asks for a reboot and to be run again
	After time.Duration // the node restarts so long after the command began; 0: it does not
	Away  time.Duration // until the agent is back
	Deaf  bool          // it then goes on before it hears of a cancellation
}

// asksAgain is the exit code with which a command asks for a reboot, and to be run
// again after it.
const asksAgain = 194

// A downtime is a node's latest restart.
type downtime struct {
	next chan struct{} // closed when it restarts once more
	back time.Time
}

func (c *Cloud) downtime(node string) *downtime {
	d := c.downtimes[node]
	if d == nil {
		d = &downtime{next: make(chan struct{})}
		c.downtimes[node] = d
	}
	return d
}

// down is closed when the node restarts. The caller holds Mu.
func (c *Cloud) down(node string) <-chan struct{} { return c.downtime(node).next }

// goesDown has a node restart, under all that it runs. The caller holds Mu.
func (c *Cloud) goesDown(node string, away time.Duration) {
	d := c.downtime(node)
	if now := time.Now(); d.back.Before(now.Add(away)) {
		d.back = now.Add(away)
	}
	close(d.next)
	d.next = make(chan struct{})
	c.Note("%s restarts", node)
}

// untilBack is how long it takes until the node's agent is back.
func (c *Cloud) untilBack(node string) time.Duration {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	return time.Until(c.downtime(node).back)
}

// Forgets has a node lose its guards.
func (c *Cloud) Forgets(node string) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	for key := range c.guards {
		if strings.HasPrefix(key, node+" ") {
			delete(c.guards, key)
		}
	}
	c.lost[node] = append(c.lost[node], time.Now())
	c.Note("%s loses its guards", node)
}

// LostBetween says that the node lost its guards in that time.
func (c *Cloud) LostBetween(node string, from, to time.Time) bool {
	for _, t := range c.lost[node] {
		if !t.Before(from) && !t.After(to) {
			return true
		}
	}
	return false
}
