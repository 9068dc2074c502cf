package runner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
)

// A document runs what its parameters say, and nothing on the node keeps it from
// doing so twice.
const document = `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - name: fix
    document: Acme-Shell
    document_version: $DEFAULT
    parameters:
      commands:
        - 'echo x >>@DIR@/effects'
        - |
          cat <<'END'
          {{ toJson .Alerts }}
          END
          exit @EXIT@
    output: {s3_bucket: logs, s3_prefix: amx, cloudwatch_log_group: /amx/commands}
`

func TestADocumentIsGivenItsParameters(t *testing.T) {
	h := newHost(t, strings.ReplaceAll(document, "@EXIT@", "0"))
	h.want(h.deliver(endless, h.fires("{{ssm:a}} 'x'")), "", "run: firing: Success")
	h.want(h.deliver(endless, h.fires("{{ssm:a}} 'x'")), "", "skip: already started for this alert:")
	var in struct {
		DocumentName, DocumentVersion, Comment, OutputS3BucketName, OutputS3KeyPrefix string
		CloudWatchOutputConfig                                                        map[string]any
		Parameters                                                                    map[string][]string
	}
	h.wire.Calls("SendCommand")[0].Decode(t, &in)
	if in.DocumentName != "Acme-Shell" || in.DocumentVersion != "$DEFAULT" || !strings.HasSuffix(in.Comment, " 1/1 fix") ||
		in.OutputS3BucketName != "logs" || in.OutputS3KeyPrefix != "amx" || fmt.Sprint(in.CloudWatchOutputConfig) != "map[CloudWatchLogGroupName:/amx/commands CloudWatchOutputEnabled:true]" {
		t.Errorf("the request is %+v", in)
	}
	if text := in.Parameters["commands"][1]; !strings.Contains(text, `"instance":"{\u007bssm:a}} 'x'"`) {
		t.Errorf("the parameter is %s", text)
	}
	if _, ok := in.Parameters["executionTimeout"]; ok {
		t.Error("the document was given a parameter that nobody configured")
	}
}

func TestAParameterThatSSMWouldResolve(t *testing.T) {
	in(t, strings.ReplaceAll(document, "toJson .Alerts", "(index .Alerts 0).Labels.instance"), func(w *world) {
		w.want(w.deliver(30*time.Second, w.fires("{{ssm:a}}")), "",
			"refuse: parameters: commands[1]: its value has {{, which SSM would resolve on the node: toJson writes text without it:")
	})
}

func TestADocumentThatFails(t *testing.T) {
	h := newHost(t, strings.ReplaceAll(document, "@EXIT@", "7"))
	h.want(h.deliver(endless, h.fires("a")), "ended Failed; node mi-00000000000000000: Failed, exit 7: ", "run: firing: Failed")
}

// Without a guard an unknown send is not sent again until a look is proof that
// it never arrived.
func TestADocumentIsNotSentTwice(t *testing.T) {
	dropped, droppedAfter := &awstest.Fault{}, &awstest.Fault{After: true}
	for _, tt := range []struct {
		name  string
		fault *awstest.Fault
		lag   time.Duration
		sends int
	}{
		{"dropped before the effect", dropped, 0, 2},
		{"dropped after the effect", droppedAfter, 0, 1},
		{"dropped after the effect, and a list that lags", droppedAfter, 3 * time.Second, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, document, func(w *world) {
				w.cloud.Lag = tt.lag
				w.wire.Fault = faults("SendCommand", tt.fault)
				var reasons []string
				for deadline := time.Now().Add(time.Minute); ; time.Sleep(250 * time.Millisecond) {
					a := w.deliver(4*time.Second, w.fires("a"))
					if a.Err == nil {
						reasons = append(reasons, a.Results[0].Action)
						break
					}
					if !strings.Contains(a.Err.Error(), "it may have been sent, and SSM does not list it yet") {
						w.Fatal(a.Err)
					}
					if time.Now().After(deadline) {
						w.Fatalf("it is never settled: %v", a.Err)
					}
				}
				if !slices.Equal(reasons, []string{"run"}) {
					w.Errorf("in the end: %q", reasons)
				}
				if sends := len(w.wire.Calls("SendCommand")); sends != tt.sends {
					w.Errorf("SendCommand was called %d times, want %d", sends, tt.sends)
				}
				time.Sleep(time.Minute) // a send that is under way would have its effect by then
				if got := w.effects(); got != 1 {
					w.Errorf("the document ran %d times, want once", got)
				}
			})
		})
	}
}
