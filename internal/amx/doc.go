// Package amx is what every other part of amx speaks about: an Alertmanager
// notification (Message), the configured commands (Config, Command), and what
// follows from the two: which command acts on which alert, with which
// arguments, targets and AMX_* variables.
//
// The package is pure. It reads no clock, file or environment, and knows
// nothing of AWS beyond the limits that Run Command sets to a configuration.
package amx
