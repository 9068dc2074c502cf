package amx

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// Sends is 8 hex digits of a hash over what the command sends: a run that was
// claimed under another configuration is not sent under this one.
func (c *Command) Sends() string {
	text, err := json.Marshal([]any{
		c.Cmd, c.Script, c.Document, c.DocumentVersion, c.Args, c.Parameters, c.Platform, c.Shell, c.User, c.WorkingDirectory,
	})
	if err != nil { // strings always marshal
		panic(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))[:8]
}
