package ssmexec

import (
	"errors"
	"net"

	"github.com/amx-lambda/amx/internal/awserr"
)

// A Verdict says what an error of SendCommand proves.
type Verdict int

const (
	// Unknown: the command may have been accepted. Only SSM's list tells.
	Unknown Verdict = iota
	// Refused: nothing was sent, and the same would be refused again.
	Refused
	// Unavailable: nothing was sent; the same may be accepted later.
	Unavailable
	// Throttled: nothing was sent; the same may be accepted in a moment.
	Throttled
)

// verdicts are the errors of SendCommand that SSM gives before it does
// anything: about the request itself, about rights and credentials (which can
// be mended while the alert still fires), about its rate.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html
var verdicts = map[string]Verdict{
	"DuplicateInstanceId":       Refused,
	"InvalidDocument":           Refused,
	"InvalidDocumentVersion":    Refused,
	"InvalidInstanceId":         Refused,
	"InvalidNotificationConfig": Refused,
	"InvalidOutputFolder":       Refused,
	"InvalidParameters":         Refused,
	"InvalidRole":               Refused,
	"MaxDocumentSizeExceeded":   Refused,
	"UnsupportedPlatformType":   Refused,
	"ValidationException":       Refused,

	"AccessDeniedException":          Unavailable,
	"ExpiredTokenException":          Unavailable,
	"IncompleteSignatureException":   Unavailable,
	"InvalidSignatureException":      Unavailable,
	"MissingAuthenticationToken":     Unavailable,
	"OptInRequired":                  Unavailable,
	"UnrecognizedClientException":    Unavailable,
	"MissingAuthenticationException": Unavailable,

	"RequestLimitExceeded":     Throttled,
	"Throttling":               Throttled,
	"ThrottlingException":      Throttled,
	"TooManyRequestsException": Throttled,
}

// errNotSent says that there was no time to send anything.
type errNotSent struct{ error }

// Judge says what an error of SendCommand proves. An error that it does
// not know is [Unknown]: a wrong guess the other way would run a command twice.
func Judge(err error) Verdict {
	if code := awserr.Code(err); code != "" {
		return verdicts[code]
	}
	if errors.As(err, &errNotSent{}) {
		return Unavailable
	}
	if op := new(net.OpError); errors.As(err, &op) && op.Op == "dial" {
		return Unavailable // there was no connection
	}
	return Unknown
}
