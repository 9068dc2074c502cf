package amx

import "fmt"

// A RoutingKey is a secret of PagerDuty's, which a PagerDuty-shaped block
// carries. It goes on only where `routing_key: from_message` says so: neither a
// log, nor a variable, nor a template shows it.
type RoutingKey string

// Format hides the key from every verb of fmt.
func (k RoutingKey) Format(s fmt.State, _ rune) {
	if k != "" {
		_, _ = s.Write([]byte("(routing key)"))
	}
}
