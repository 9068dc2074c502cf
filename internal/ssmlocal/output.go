package ssmlocal

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// How many bytes of a step's output the agent sends: of each stream, and of both together
// in the step's Output, including its marks.
const (
	maxStream = 24_000
	maxOutput = 2_500

	streamMark    = "--output truncated--"
	outputMark    = "\n---Output truncated---"
	errorMark     = "\n---Error truncated----"
	outputDivider = "\n----------ERROR-------\n"
)

// sent is the part of an invocation's output that the agent sends.
type sent struct{ stdout, stderr, output string }

// outputOf reads the part of an output that the agent sends. note is the text that the
// agent adds to standard error, code the exit code.
func (s *Server) outputOf(inv *invocation, code int, note string) sent {
	dir := s.folder(inv)
	stdout := head(filepath.Join(dir, "stdout"), maxStream)
	stderr := head(filepath.Join(dir, "stderr"), maxStream) + note
	if code == exitSucceed {
		stderr = ""
	}
	out := sent{output: stepOutput(stdout, stderr)}
	switch code {
	case exitSucceed:
		stdout += stepExited(code, "succeeded")
	case exitFail:
		stdout += stepExited(code, statusFailed)
		stderr += stepExited(code, statusFailed)
	}
	out.stdout, out.stderr = stream(stdout), stream(stderr)
	return out
}

func stepExited(code int, as string) string {
	return fmt.Sprintf("\nStep exited with code %d. Therefore, marking step as %s. Further document steps will be skipped.", code, as)
}

// stream cuts standard output or standard error, even within a character.
func stream(text string) string {
	if len(text) < maxStream {
		return text
	}
	return text[:maxStream-len(streamMark)] + streamMark
}

// stepOutput puts both streams into the step's Output. If they do not fit, each gets half
// of the room. If one is shorter, the other gets its rest.
func stepOutput(stdout, stderr string) string {
	divider := ""
	if stderr != "" {
		divider = outputDivider
	}
	room := maxOutput - len(divider)
	if len(stdout)+len(stderr) < room {
		return stdout + divider + stderr
	}
	switch half := room / 2; {
	case len(stderr) < half:
		stdout = cut(stdout, room-len(stderr), outputMark)
	case len(stdout) < half:
		stderr = cut(stderr, room-len(stdout), errorMark)
	default:
		stdout, stderr = cut(stdout, half, outputMark), cut(stderr, half, errorMark)
	}
	return stdout + divider + stderr
}

func cut(text string, room int, mark string) string { return text[:room-len(mark)] + mark }

// head reads up to n bytes of a file. A missing file counts as empty.
func head(name string, n int64) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, n))
	if err != nil {
		return ""
	}
	return string(b)
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}
