// Package conformance holds amx to the code that it has to agree with: it
// compares internal/amx with Alertmanager's own packages on random and hostile
// input, and reads the dashboard with Grafana's own types. It is a module of its
// own, so that amx depends on none of them.
package conformance
