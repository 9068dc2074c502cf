package amx

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrTruncated is a message that its sender cut at 256 KB, in the middle of
	// a byte if need be: half of a message is none.
	ErrTruncated = errors.New(`it is marked "truncated": its sender cut it at 256 KB; group by more labels, or send fewer annotations`)
	// ErrReplaced is a message whose body its sender replaced by an error.
	ErrReplaced = errors.New("its sender replaced the body")
)

// cutNote is how AMP says in the attribute "modified" that it cut the body.
const cutNote = "Message: Error - Message has been truncated"

// spoilt returns an error if Amazon Managed Service for Prometheus cut or replaced
// the body. It goes by the attributes, not by the text, which anybody may write. A
// changed subject or other attribute does not spoil the body. Alertmanager itself
// sets "truncated" too.
// https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-alertmanager-receiver-validation-truncation.html
func (s *SNS) spoilt() error {
	modified := s.Attributes["modified"]
	rest := strings.ReplaceAll(modified, cutNote, "")
	if strings.Contains(rest, "Message: Error") {
		return replaced(modified)
	}
	if _, truncated := s.Attributes["truncated"]; truncated || rest != modified {
		return ErrTruncated
	}
	return nil
}

// replacedWithoutSayingSo is for a body that could not be read because it is
// such an error, although no attribute says so: whoever passed it on may have
// dropped them.
func (s *SNS) replacedWithoutSayingSo(err error) error {
	if text := strings.TrimSpace(s.Body); errors.Is(err, errNoForm) && strings.HasPrefix(text, "Error - ") {
		return replaced(text)
	}
	return nil
}

func replaced(why string) error {
	what := "see docs/amp.md"
	switch {
	case strings.Contains(why, "UTF-8"):
		what = "a label or an annotation is no valid UTF-8: look for one that was cut to a length"
	case strings.Contains(why, "empty"):
		what = "the template of the receiver's message wrote nothing: does it name one that is defined in template_files?"
	}
	return fmt.Errorf("%w (%.120q): %s", ErrReplaced, why, what)
}
