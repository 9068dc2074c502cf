// Package awserr reads the errors of AWS's SDK.
package awserr

import (
	"errors"

	"github.com/aws/smithy-go"
)

// Code is the service's name of an error that it answered, such as
// "ThrottlingException". It is empty where err is not a service's answer.
func Code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// Message is the service's sentence about an error that it answered. It is empty
// where err is not a service's answer.
func Message(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorMessage()
	}
	return ""
}

// Plain drops what the SDK wraps around an error: the operation, which callers
// name themselves, the URL and the number of attempts. A service's answer stays,
// or else the reason why there is none.
func Plain(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api
	}
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		return op.Err
	}
	return err
}
