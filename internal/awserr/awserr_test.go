package awserr

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/aws/smithy-go"
)

func TestErrorsOfTheSDK(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	answered := &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"}
	for _, tt := range []struct {
		name                 string
		err                  error
		code, message, plain string
	}{
		{
			"a service's answer", &smithy.OperationError{ServiceID: "SSM", OperationName: "SendCommand", Err: fmt.Errorf("exceeded maximum number of attempts: %w", answered)},
			"ThrottlingException", "Rate exceeded", "api error ThrottlingException: Rate exceeded",
		},
		{"no answer", &smithy.OperationError{ServiceID: "SSM", OperationName: "SendCommand", Err: dial}, "", "", "dial: connection refused"},
		{"an error of another's", dial, "", "", "dial: connection refused"},
		{"none", nil, "", "", "<nil>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if code, message := Code(tt.err), Message(tt.err); code != tt.code || message != tt.message {
				t.Errorf("code %q, message %q, want %q and %q", code, message, tt.code, tt.message)
			}
			plain := Plain(tt.err)
			if got := fmt.Sprint(plain); got != tt.plain {
				t.Errorf("plain: %s, want %s", got, tt.plain)
			}
			if errors.Is(tt.err, dial) != errors.Is(plain, dial) {
				t.Error("its cause is lost")
			}
		})
	}
}
