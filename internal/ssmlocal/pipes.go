package ssmlocal

import "os"

// pipe makes an output for a document. The agent reads the other end and writes the lines
// into file. The document is over only when every process has closed this end.
func (p *pass) pipe(file *os.File) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.pipes = append(p.pipes, r)
	p.copying.Go(func() { collect(r, file) })
	return w, nil
}

// collect copies a pipe into a file, until every process has closed the other end or this
// one is closed. If the file takes no more, collect still reads: otherwise the script
// would wait.
func collect(r, file *os.File) {
	defer r.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		_, _ = file.Write(buf[:n]) // on a full disk the output shows as much as fits
		if err != nil {
			return
		}
	}
}

// letGo closes the agent's ends. A process that writes then gets SIGPIPE.
func (p *pass) letGo() {
	for _, r := range p.pipes {
		r.Close()
	}
}
