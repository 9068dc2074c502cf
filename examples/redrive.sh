#!/bin/sh
# Hands the messages of the dead-letter queue to the functions again, and deletes
# those that they settle. Notifications of SNS go to the SNS function, items of the
# work queue to the worker. SQS's own redrive cannot do this: it moves only messages
# that came from another queue, and only the functions may send to the work queue.
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
sns=$(resource SNSFunction 2>/dev/null) || sns= # a stack for the webhook alone has none
worker=$(resource WorkerFunction)
queue=$(resource DeadLetterQueue)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

settled=0 left=0
while :; do
	# A message that fails again stays hidden for longer than this script runs. Then
	# it is in the queue as before.
	aws sqs receive-message --queue-url "$queue" --max-number-of-messages 1 --wait-time-seconds 5 \
		--visibility-timeout 900 --output json >"$dir/received"
	[ -s "$dir/received" ] || break
	jq -e '.Messages[0]' "$dir/received" >/dev/null || break

	# If the worker gives an item up again, it sends it as a new message.
	id=$(jq -r '.Messages[0].MessageId' "$dir/received")
	sum=$(jq -r '.Messages[0].Body' "$dir/received" | cksum)
	if grep -qxF "$sum" "$dir/seen" 2>/dev/null; then
		left=$((left + 1))
		echo "left in the queue: $id: it was given up again"
		continue
	fi
	echo "$sum" >>"$dir/seen"

	# A message is one of these: an item of the work queue, as JSON or as base64 of
	# gzip; Lambda's record of a failure, which has the event; the event itself; or
	# only the SNS message that SNS could not deliver. Anything else cannot be handed
	# over.
	jq '.Messages[0] as $message | $message.Body | . as $text | (try fromjson catch null) |
		if ($text | startswith("H4sI")) or (type == "object" and .v and .kind)
			then {Records: [{messageId: $message.MessageId, receiptHandle: "none", body: $text, eventSource: "aws:sqs"}]}
		elif type != "object" then null
		elif .requestPayload.Records then .requestPayload
		elif .Records then .
		elif .MessageId and .Message and (.requestContext | not) then {Records: [{EventSource: "aws:sns", EventVersion: "1.0", Sns: .}]}
		else null end' "$dir/received" >"$dir/event"
	if [ "$(cat "$dir/event")" = null ]; then
		left=$((left + 1))
		echo "left in the queue: $id: it has no notification"
		continue
	fi
	ids=$(jq -r '[.Records[] | .Sns.MessageId // .messageId] | join(" ")' "$dir/event")
	function=$sns
	if jq -e '.Records[0].eventSource == "aws:sqs"' "$dir/event" >/dev/null; then
		function=$worker
	fi
	failed=$(aws lambda invoke --function-name "$function" --cli-binary-format raw-in-base64-out \
		--payload "file://$dir/event" --query FunctionError --output text "$dir/answer")
	# The worker's answer lists the items that it could not settle.
	if [ "$failed" = None ] && jq -e '(.batchItemFailures? // []) == []' "$dir/answer" >/dev/null; then
		aws sqs delete-message --queue-url "$queue" --receipt-handle "$(jq -r '.Messages[0].ReceiptHandle' "$dir/received")"
		settled=$((settled + 1))
		echo "settled: $ids"
	else
		left=$((left + 1))
		echo "left in the queue: $ids: $(jq -r '.errorMessage // (.batchItemFailures | values | "the worker could not settle it: see its log") // .' "$dir/answer")"
	fi
done
echo "$settled settled, $left left"
[ "$left" = 0 ]
