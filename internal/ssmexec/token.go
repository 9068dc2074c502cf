package ssmexec

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/amx-lambda/amx/internal/ledger"
)

// maxComment is SSM's limit on a command's comment.
const maxComment = 100

// A Token marks the commands of a run. It is the comment of each, and the
// second line of each script: SendCommand has no client token, so this is how
// a command whose answer was lost is found again. Its form never changes:
//
//	amx 3f2a9c0d1e2b4a5c 01JD8Z5T3M6Q9W2X4Y7B0C1D2E 1/2 restart-nginx
type Token struct {
	Entry   ledger.ID
	Run     string
	Chunk   int // from 0; written from 1
	Chunks  int
	Command string // the configured name, cut to fit
}

// String is the token as a comment, at most 100 characters.
func (t Token) String() string {
	s := fmt.Sprintf("amx %s %s %d/%d %s", t.Entry, t.Run, t.Chunk+1, t.Chunks, t.Command)
	return s[:min(len(s), maxComment)]
}

// signal is the comment of the command that signals the run's process. It does
// not parse as a token, so that it does not pass for the run in SSM's list.
func (t Token) signal(name string) string {
	s := fmt.Sprintf("amx-signal %s %s %s %s", t.Entry, t.Run, name, t.Command)
	return s[:min(len(s), maxComment)]
}

// ParseToken reads a comment; false where it is not one of amx.
func ParseToken(comment string) (Token, bool) {
	f := strings.SplitN(comment, " ", 5)
	if len(f) < 4 || f[0] != "amx" || len(f[1]) != 16 || len(f[2]) != ulid.EncodedSize {
		return Token{}, false
	}
	n, of, ok := strings.Cut(f[3], "/")
	chunk, err1 := strconv.Atoi(n)
	chunks, err2 := strconv.Atoi(of)
	if !ok || err1 != nil || err2 != nil || chunk < 1 || chunk > chunks {
		return Token{}, false
	}
	t := Token{Entry: ledger.ID(f[1]), Run: f[2], Chunk: chunk - 1, Chunks: chunks}
	if len(f) == 5 {
		t.Command = f[4]
	}
	return t, true
}

// ParseSignal reads the comment of a command that signals a run's process: whose
// it is, and the signal's name; false where it is not one. The token's part is
// not known.
func ParseSignal(comment string) (t Token, signal string, ok bool) {
	f := strings.SplitN(comment, " ", 5)
	if len(f) < 5 || f[0] != "amx-signal" || len(f[1]) != 16 || len(f[2]) != ulid.EncodedSize {
		return Token{}, "", false
	}
	return Token{Entry: ledger.ID(f[1]), Run: f[2], Command: f[4]}, f[3], true
}

// NewRunID makes a run's ID: a ULID, 26 characters that begin with the time. A
// counter would not do: the guard of an old run on a node must never swallow a
// new one.
func NewRunID(now time.Time, random io.Reader) (string, error) {
	id, err := ulid.New(ulid.Timestamp(now), random)
	if err != nil {
		return "", fmt.Errorf("making a run ID: %w", err)
	}
	return id.String(), nil
}

// RunTime is the time at which the run ID was made, to the millisecond.
func RunTime(id string) (time.Time, error) {
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}, fmt.Errorf("run ID %q: %w", id, err)
	}
	return u.Timestamp(), nil
}
