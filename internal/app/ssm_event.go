package app

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/amx-lambda/amx/internal/ssmexec"
)

const (
	// ssmSource is the source of Run Command's events in EventBridge.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitoring-eventbridge-events.html
	ssmSource = "aws.ssm"
	// commandChanged is the event of a command as a whole, and invocationChanged
	// that of a command on one node.
	commandChanged    = "EC2 Command Status-change Notification"
	invocationChanged = "EC2 Command Invocation Status-change Notification"
)

// ssmEvent is a status change of a command, as EventBridge hands it on.
type ssmEvent struct {
	Source     string
	DetailType string `json:"detail-type"`
	Detail     struct {
		CommandID  string        `json:"command-id"`
		Document   string        `json:"document-name"`
		Instance   string        `json:"instance-id"` // of an invocation
		Status     string        // with spaces or without
		Parameters ssmParameters // of a command
	}
}

// ssmParameters are the parameters of a command: an object of lists, or JSON
// text of one. Anything else counts as none.
type ssmParameters map[string][]string

// UnmarshalJSON takes both forms.
func (p *ssmParameters) UnmarshalJSON(text []byte) error {
	var inner string
	if json.Unmarshal(text, &inner) == nil {
		text = []byte(inner)
	}
	var lists map[string]json.RawMessage
	if json.Unmarshal(text, &lists) != nil {
		return nil // no parameters, so no token
	}
	*p = ssmParameters{}
	for name, raw := range lists {
		var values []string
		if json.Unmarshal(raw, &values) == nil {
			(*p)[name] = values
		}
	}
	return nil
}

// token is the one in the second line of a script of amx; false where there is
// none.
func (p ssmParameters) token() (ssmexec.Token, bool) {
	lines := strings.SplitN(strings.Join(p["commands"], "\n"), "\n", 3)
	if len(lines) < 2 {
		return ssmexec.Token{}, false
	}
	comment, ok := strings.CutPrefix(strings.TrimSuffix(lines[1], "\r"), "# ")
	if !ok {
		return ssmexec.Token{}, false
	}
	return ssmexec.ParseToken(comment)
}

// decodeSSMEvent reads an event of EventBridge. ended says that it tells of the
// end of a command as a whole; other events of Run Command are of no concern.
func decodeSSMEvent(text []byte) (e *ssmEvent, ended bool, err error) {
	e = &ssmEvent{}
	if err := json.Unmarshal(text, e); err != nil {
		return nil, false, fmt.Errorf("decoding the event of %q: %w", ssmSource, err)
	}
	switch {
	case e.DetailType == invocationChanged:
		return e, false, nil
	case e.DetailType != commandChanged:
		return nil, false, fmt.Errorf("the event is a %.80q: want %q", e.DetailType, commandChanged)
	case e.Detail.CommandID == "":
		return nil, false, fmt.Errorf("the %q has no command-id", commandChanged)
	}
	return e, ssmexec.Terminal(strings.ReplaceAll(e.Detail.Status, " ", "")), nil
}
