package ssmlocal

// system is what the operating system says of processes; tests replace it.
type system struct {
	boot      string                                // names this boot of the machine
	startTime func(pid int) (start string, ok bool) // of a process that is not a zombie
}
