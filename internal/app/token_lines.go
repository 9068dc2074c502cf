package app

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
)

// A Token is one that is accepted. Only its hash is kept: comparing hashes takes
// the same time whatever is sent, its length included.
type Token struct {
	Name string // for logs and the history; 6 hex digits of the hash where none is given
	// Operator opens the operator's interface. Any other token can send
	// notifications and nothing else.
	Operator bool

	sum [sha256.Size]byte
}

// Tokens is the accepted tokens.
type Tokens []Token

// operator is the word of a line that makes its token an operator's.
const operator = "operator"

// ParseTokens reads tokens, one a line: `TOKEN`, `NAME TOKEN` or `NAME TOKEN
// operator`. Blank lines do not count. An error names the line, and never what
// is in it.
func ParseTokens(text string) (Tokens, error) {
	var ts Tokens
	n := 0
	for line := range strings.Lines(text) {
		n++
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) > 3 || len(fields) == 3 && fields[2] != operator {
			return nil, fmt.Errorf("line %d is not a token: want TOKEN, NAME TOKEN or NAME TOKEN operator", n)
		}
		t := Token{Operator: len(fields) == 3, sum: sha256.Sum256([]byte(fields[min(1, len(fields)-1)]))}
		if t.Name = hex.EncodeToString(t.sum[:3]); len(fields) > 1 {
			t.Name = fields[0]
		}
		ts = append(ts, t)
	}
	return ts, nil
}

// Find is the accepted token that was sent, nil if it is none of them. It takes
// constant time.
func (ts Tokens) Find(token string) *Token {
	sum, found := sha256.Sum256([]byte(token)), 0
	for i := range ts {
		same := subtle.ConstantTimeCompare(ts[i].sum[:], sum[:])
		found = subtle.ConstantTimeSelect(same, i+1, found)
	}
	if found == 0 {
		return nil
	}
	return &ts[found-1]
}
