package awstest

import (
	"encoding/json"
	"errors"
	"fmt"
)

// maxMessage is the size, in bytes, of a message of SQS, and maxDelay the
// longest delay, in seconds.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
const (
	maxMessage = 1 << 20
	maxDelay   = 900
)

// sqsRequests are the operations of SQS that amx and its tests call, as the
// service model (version 2012-11-05) has their requests.
var sqsRequests = map[string]*shape{
	"SendMessage": structure(map[string]*shape{
		"QueueUrl": anyText, "MessageBody": anyText, "DelaySeconds": number(0, 0),
	}, "QueueUrl", "MessageBody"),
	"ReceiveMessage": structure(map[string]*shape{
		"QueueUrl": anyText, "MaxNumberOfMessages": number(0, 0), "VisibilityTimeout": number(0, 0), "WaitTimeSeconds": number(0, 0),
	}, "QueueUrl"),
	"DeleteMessage": structure(map[string]*shape{
		"QueueUrl": anyText, "ReceiptHandle": anyText,
	}, "QueueUrl", "ReceiptHandle"),
	"ChangeMessageVisibility": structure(map[string]*shape{
		"QueueUrl": anyText, "ReceiptHandle": anyText, "VisibilityTimeout": number(0, 0),
	}, "QueueUrl", "ReceiptHandle", "VisibilityTimeout"),
	"GetQueueAttributes": structure(map[string]*shape{
		"QueueUrl": anyText,
		"AttributeNames": list(text(shape{enum: []string{
			"All", "Policy", "VisibilityTimeout", "MaximumMessageSize", "MessageRetentionPeriod", "ApproximateNumberOfMessages",
			"ApproximateNumberOfMessagesNotVisible", "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn",
			"ApproximateNumberOfMessagesDelayed", "DelaySeconds", "ReceiveMessageWaitTimeSeconds", "RedrivePolicy", "FifoQueue",
			"ContentBasedDeduplication", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "DeduplicationScope",
			"FifoThroughputLimit", "RedriveAllowPolicy", "SqsManagedSseEnabled",
		}}), 0, 0),
	}, "QueueUrl"),
}

// CheckSQS holds a request to SQS's service model, and to the limits of
// SendMessage that are documented in prose only. It answers all that is wrong.
func CheckSQS(operation string, body []byte) error {
	errs := check(sqsRequests, operation, body)
	if operation == "SendMessage" && len(errs) == 0 {
		errs = checkSendMessage(body)
	}
	return errors.Join(errs...)
}

func checkSendMessage(body []byte) (errs []error) {
	var in struct {
		MessageBody  string
		DelaySeconds int
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return []error{err}
	}
	if n := len(in.MessageBody); n < 1 || n > maxMessage {
		errs = append(errs, fmt.Errorf("SendMessage.MessageBody: %d bytes: want 1 to %d", n, maxMessage))
	}
	if in.DelaySeconds < 0 || in.DelaySeconds > maxDelay {
		errs = append(errs, fmt.Errorf("SendMessage.DelaySeconds: %d: want 0 to %d", in.DelaySeconds, maxDelay))
	}
	for i, r := range in.MessageBody {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			errs = append(errs, fmt.Errorf("SendMessage.MessageBody: byte %d is %U, which SQS refuses", i, r))
			break
		}
	}
	return errs
}
