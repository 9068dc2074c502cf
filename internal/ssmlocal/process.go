package ssmlocal

// system asks the operating system about processes. Tests replace it.
type system struct {
	boot      string                                // names this boot of the machine
	startTime func(pid int) (start string, ok bool) // of a process that is not a zombie

	platform, version string // as the agent names them, such as Ubuntu and 24.04; empty where unknown
}
