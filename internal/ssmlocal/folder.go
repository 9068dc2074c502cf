package ssmlocal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSpares limits how many used folders are kept for the next commands.
const maxSpares = 64

// folder is the folder of an invocation's script and output. The files have the agent's
// names.
func (s *Server) folder(inv *invocation) string {
	return filepath.Join(s.o.Dir, inv.command.id+"."+inv.node)
}

// files are an invocation's, opened for one pass.
type files struct{ stdout, stderr *os.File }

func (f *files) close() {
	for _, file := range []*os.File{f.stdout, f.stderr} {
		if file != nil {
			file.Close()
		}
	}
}

// openFolder makes inv's folder, writes its script and opens its output. To make a folder
// with three files can cost more than to run a short command. So it takes a folder with
// empty output of an earlier command, if there is one that no process can write to.
func (s *Server) openFolder(inv *invocation, text string) (files, error) {
	dir := s.folder(inv)
	if spare := s.takeSpare(inv); spare != "" {
		if err := syscall.Rename(spare, dir); err == nil {
			if f, err := openUsed(dir, text); err == nil {
				return f, nil
			}
			os.RemoveAll(dir)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return files{}, err
	}
	return openFiles(dir, text, os.O_CREATE, func(*os.File) error { return nil })
}

// openUsed opens the files of another command's folder, if no process has any of them
// open. A background child of that command might.
func openUsed(dir, text string) (files, error) {
	f, err := openFiles(dir, text, 0, onlyOurs)
	if err == nil && (!isEmpty(f.stdout) || !isEmpty(f.stderr)) {
		f.close()
		err = fmt.Errorf("a process wrote to folder %q after its command was over", dir)
	}
	return f, err
}

func openFiles(dir, text string, flags int, check func(*os.File) error) (files, error) {
	if err := writeScript(filepath.Join(dir, "_script.sh"), text, flags, check); err != nil {
		return files{}, err
	}
	var f files
	for _, o := range []struct {
		name string
		file **os.File
	}{{"stdout", &f.stdout}, {"stderr", &f.stderr}} {
		file, err := openOutput(dir, o.name, flags)
		if err == nil {
			*o.file = file
			err = check(file)
		}
		if err != nil {
			f.close()
			return files{}, err
		}
	}
	return f, nil
}

// openOutput appends, because a later pass adds to the output of the one before.
func openOutput(dir, stream string, flags int) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, stream), os.O_APPEND|os.O_RDWR|flags, 0o600)
}

// scriptText joins the lines as the agent does: a \r stays.
func scriptText(commands []string) string {
	return strings.Join(commands, "\n") + "\n"
}

// writeScript writes the file while no other goroutine can fork. Otherwise a child would
// have it open for writing until its exec, and executing the file would fail with
// ETXTBSY (https://go.dev/issue/22315).
func writeScript(name, text string, flags int, check func(*os.File) error) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := os.OpenFile(name, os.O_RDWR|flags, 0o700)
	if err != nil {
		return err
	}
	err = check(f)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil { // truncate afterwards: freeing blocks and taking them again costs more
		err = f.Truncate(int64(len(text)))
	}
	return errors.Join(err, f.Close())
}

// giveBack keeps the folder of an ended invocation for another one, if its output is
// empty. (The journal has its script.) The folder keeps its name until it is taken.
func (s *Server) giveBack(inv *invocation, f files) {
	empty := isEmpty(f.stdout) && isEmpty(f.stderr)
	f.close()
	if !empty {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if inv.over() && len(s.spares) < maxSpares {
		s.spares, inv.gaveFolder = append(s.spares, s.folder(inv)), true
	}
}

// takeSpare returns a spare folder for inv's first pass, if there is one.
func (s *Server) takeSpare(inv *invocation) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.spares)
	if n == 0 || inv.passes > 0 {
		return ""
	}
	dir := s.spares[n-1]
	s.spares = s.spares[:n-1]
	return dir
}

func isEmpty(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Size() == 0
}

// sweep removes folders of commands that are not in the journal: a process died after it
// had dropped them, before it removed their files.
func (s *Server) sweep() {
	entries, err := os.ReadDir(s.o.Dir)
	if err != nil {
		s.o.Log.Warn("ssmlocal: looking for old folders", "err", err)
		return
	}
	for _, e := range entries {
		id, _, _ := strings.Cut(e.Name(), ".")
		if e.IsDir() && commandIDPattern.MatchString(id) && s.commands[id] == nil {
			s.remove(filepath.Join(s.o.Dir, e.Name()))
		}
	}
}

func (s *Server) remove(folder string) {
	if err := os.RemoveAll(folder); err != nil {
		s.o.Log.Warn("ssmlocal: removing an old folder", "folder", folder, "err", err)
	}
}
