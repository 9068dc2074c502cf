package ssmlocal

import "os"

// pipe makes an output of the node's, whose lines end up in file: the agent is
// at the other end, and the document is not over before everybody has closed
// this one.
func (p *pass) pipe(file *os.File) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.pipes = append(p.pipes, r)
	p.copying.Go(func() { collect(r, file) })
	return w, nil
}

// collect writes what comes from a pipe into a file, until nobody holds the
// other end or this one is closed. A file that takes no more does not hold up
// the script, which would wait for its reader.
func collect(r, file *os.File) {
	defer r.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		_, _ = file.Write(buf[:n]) // a full disk: what fits is shown
		if err != nil {
			return
		}
	}
}

// letGo closes the agent's ends. Who writes then gets SIGPIPE.
func (p *pass) letGo() {
	for _, r := range p.pipes {
		r.Close()
	}
}
