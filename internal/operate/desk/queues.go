package desk

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/amx-lambda/amx/internal/operate"
)

// Attributes is the part of SQS that counts what is on a queue. It receives none of
// it.
type Attributes interface {
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

// counts is how many items the queues hold.
func (s Stack) counts(ctx context.Context) (q operate.Queue, err error) {
	items, err := s.count(ctx, s.Queue)
	if err != nil {
		return q, err
	}
	dead, err := s.count(ctx, s.DeadLetters)
	return operate.Queue{Items: items, DeadLetters: dead}, err
}

func (s Stack) count(ctx context.Context, url string) (int, error) {
	if url == "" {
		return -1, nil
	}
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}
	out, err := s.Queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		return 0, fmt.Errorf("GetQueueAttributes of %q: %w", url, err)
	}
	sum := 0
	for _, name := range names {
		n, err := strconv.Atoi(cmp.Or(out.Attributes[string(name)], "0"))
		if err != nil {
			return 0, fmt.Errorf("GetQueueAttributes of %q: %s is %q", url, name, out.Attributes[string(name)])
		}
		sum += n
	}
	return sum, nil
}
