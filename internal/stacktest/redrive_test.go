package stacktest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fakeAWS is the AWS command line as examples/redrive.sh calls it: the messages are
// the files of $QUEUE, and a message that names "bad" fails.
const fakeAWS = `#!/bin/sh
case "$1 $2" in
"cloudformation describe-stack-resource") echo "the-$6" ;;
"sqs receive-message")
	[ "$4" = the-DeadLetterQueue ] || exit 3
	for f in "$QUEUE"/*.json; do
		[ -e "$f" ] || exit 0
		mv "$f" "$f.seen"
		jq -Rs --arg handle "$f" '{Messages: [{MessageId: ($handle | split("/")[-1]), Body: ., ReceiptHandle: $handle}]}' "$f.seen"
		exit 0
	done ;;
"sqs delete-message") rm "$6.seen" ;;
"lambda invoke")
	event=${8#file://} answer=${13}
	case "$4" in
	the-SNSFunction) cat "$event" >>"$QUEUE/invoked" ;;
	the-WorkerFunction)
		cat "$event" >>"$QUEUE/worked"
		# What is given up is put into the dead-letter queue again.
		if grep -q stale "$event"; then jq -j '.Records[0].body' "$event" >"$QUEUE/9.json"; fi
		if grep -q unreadable "$event"; then
			jq '{batchItemFailures: [{itemIdentifier: .Records[0].messageId}]}' "$event" >"$answer"
		else
			echo '{"batchItemFailures": []}' >"$answer"
		fi
		echo None
		exit 0 ;;
	*) exit 3 ;;
	esac
	if grep -q '"MessageId": "bad"' "$event"; then
		echo '{"errorType": "errorString", "errorMessage": "message \"bad\": of no accepted form"}' >"$answer"
		echo Unhandled
	else
		echo null >"$answer"
		echo None
	fi ;;
*) exit 3 ;;
esac
`

func TestRedrive(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("examples/redrive.sh needs jq, which is not here")
	}
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("aws", fakeAWS, 0o700)
	write("1.json", `{"version": "1.0", "requestContext": {"condition": "RetriesExhausted"}, "requestPayload": {"Records": [{"Sns": {"MessageId": "failed"}}]}}`, 0o600)
	write("2.json", `{"Type": "Notification", "MessageId": "undelivered", "Message": "alerts: []"}`, 0o600)
	write("3.json", `{"requestPayload": {"Records": [{"Sns": {"MessageId": "bad"}}]}}`, 0o600)
	// AWS does not document the form in which SNS puts a message for a function
	// into a dead-letter queue.
	write("4.json", `{"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "event"}}]}`, 0o600)
	write("5.json", `{"version": "1.0", "requestContext": {"condition": "EventAgeExceeded"}, "MessageId": "x", "Message": "y"}`, 0o600)
	write("6.json", `Error - no JSON`, 0o600)
	write("7.json", `{"v":1,"kind":"notification","command":"restart"}`, 0o600)
	write("8a.json", `H4sIAAAAAAAA/packed`, 0o600)
	write("8b.json", `{"v":1,"kind":"unreadable"}`, 0o600)
	write("8c.json", `{"v":1,"kind":"stale"}`, 0o600)
	redrive := exec.Command("sh", root+"/examples/redrive.sh", "amx")
	redrive.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "QUEUE="+dir)
	out, err := redrive.CombinedOutput()
	want := "settled: failed\nsettled: undelivered\nleft in the queue: bad: message \"bad\": of no accepted form\nsettled: event\n" +
		"left in the queue: 5.json: it has no notification\nleft in the queue: 6.json: it has no notification\n" +
		"settled: 7.json\nsettled: 8a.json\nleft in the queue: 8b.json: the worker could not settle it: see its log\n" +
		"settled: 8c.json\nleft in the queue: 9.json: it was given up again\n6 settled, 5 left\n"
	if string(out) != want || err == nil {
		t.Errorf("%v\n%s\nwant exit 1 and\n%s", err, out, want)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.seen"))
	if names := strings.ReplaceAll(strings.Join(left, " "), dir+"/", ""); err != nil || names != "3.json.seen 5.json.seen 6.json.seen 8b.json.seen 9.json.seen" {
		t.Errorf("not deleted: %q (%v)", left, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "invoked"))
	if err != nil {
		t.Fatal(err)
	}
	var events []any
	for d := json.NewDecoder(strings.NewReader(string(text))); d.More(); {
		var e any
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	worked, err := os.ReadFile(filepath.Join(dir, "worked"))
	if want := `"body": "H4sIAAAAAAAA/packed"`; err != nil || !strings.Contains(string(worked), want) {
		t.Errorf("the worker was given %s (%v), want %s in it", worked, err, want)
	}
	message := object{"Type": "Notification", "MessageId": "undelivered", "Message": "alerts: []"}
	if len(events) != 4 {
		t.Fatalf("invoked %d times, want 4", len(events))
	}
	if got, want := events[1], any(object{"Records": []any{object{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": message}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("invoked with %v\nwant %v", got, want)
	}
}
