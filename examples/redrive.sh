#!/bin/sh
# Hands what waits in the dead-letter queue to the SNS function once more, and
# deletes what it settles. SQS's own redrive does not do that: it moves messages
# only out of the dead-letter queues of other queues.
#
#   examples/redrive.sh STACK
#
# Needs the AWS command line 2, jq, and the rights cloudformation:DescribeStackResource,
# sqs:ReceiveMessage, sqs:DeleteMessage and lambda:InvokeFunction. Running it twice
# does no harm: amx runs nothing twice.
set -eu
stack=${1:?usage: redrive.sh STACK}

resource() {
	aws cloudformation describe-stack-resource --stack-name "$stack" --logical-resource-id "$1" \
		--query StackResourceDetail.PhysicalResourceId --output text
}
function=$(resource SNSFunction)
queue=$(resource DeadLetterQueue)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

settled=0 left=0
while :; do
	# One that fails again stays out of sight for longer than this takes, and
	# then is in the queue as before.
	aws sqs receive-message --queue-url "$queue" --max-number-of-messages 1 --wait-time-seconds 5 \
		--visibility-timeout 900 --output json >"$dir/received"
	[ -s "$dir/received" ] || break
	jq -e '.Messages[0]' "$dir/received" >/dev/null || break

	# What is in the queue is one of these: Lambda's record of a failure, which has
	# the event; the event itself; or the message alone, which is what SNS could
	# not deliver. Anything else has no notification to hand over.
	jq '.Messages[0].Body | (try fromjson catch null) |
		if type != "object" then null
		elif .requestPayload.Records then .requestPayload
		elif .Records then .
		elif .MessageId and .Message and (.requestContext | not) then {Records: [{EventSource: "aws:sns", EventVersion: "1.0", Sns: .}]}
		else null end' "$dir/received" >"$dir/event"
	if [ "$(cat "$dir/event")" = null ]; then
		left=$((left + 1))
		echo "left in the queue: $(jq -r '.Messages[0].MessageId' "$dir/received"): it has no notification"
		continue
	fi
	ids=$(jq -r '[.Records[].Sns.MessageId] | join(" ")' "$dir/event")
	failed=$(aws lambda invoke --function-name "$function" --cli-binary-format raw-in-base64-out \
		--payload "file://$dir/event" --query FunctionError --output text "$dir/answer")
	if [ "$failed" = None ]; then
		aws sqs delete-message --queue-url "$queue" --receipt-handle "$(jq -r '.Messages[0].ReceiptHandle' "$dir/received")"
		settled=$((settled + 1))
		echo "settled: $ids"
	else
		left=$((left + 1))
		echo "left in the queue: $ids: $(jq -r '.errorMessage // .' "$dir/answer")"
	fi
done
echo "$settled settled, $left left"
[ "$left" = 0 ]
