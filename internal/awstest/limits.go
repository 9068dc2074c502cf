package awstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// maxDocument is the size of a document and its parameters together, and
// shellDocument about what AWS-RunShellScript takes of it.
// https://docs.aws.amazon.com/general/latest/gr/ssm.html
const (
	maxDocument   = 64 << 10
	shellDocument = 4 << 10
)

// sendCommand is a SendCommand request, as far as its limits and the [SSM] of
// the tests look at it.
type sendCommand struct {
	InstanceIds []string
	Targets     []struct {
		Key    string
		Values []string
	}
	DocumentName string
	Comment      string
	Parameters   map[string][]string
}

// checkSendCommand is what the documentation says and the model does not.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
func checkSendCommand(body []byte) (errs []error) {
	var in sendCommand
	if err := json.Unmarshal(body, &in); err != nil {
		return []error{err}
	}
	if (len(in.InstanceIds) == 0) == (len(in.Targets) == 0) {
		errs = append(errs, errors.New("SendCommand: want either InstanceIds or Targets"))
	}
	for i, t := range in.Targets {
		if strings.HasPrefix(t.Key, "tag:") && len(t.Values) > 5 {
			errs = append(errs, fmt.Errorf("SendCommand.Targets[%d]: %d values of a tag: want at most 5", i, len(t.Values)))
		}
	}
	parameters, err := json.Marshal(in.Parameters)
	if err != nil {
		return append(errs, err)
	}
	if n := len(parameters) + shellDocument; n > maxDocument {
		errs = append(errs, fmt.Errorf("SendCommand: document and parameters are about %d bytes, over %d", n, maxDocument))
	}
	return errs
}
