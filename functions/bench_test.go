package functions

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/lambdatest"
)

// starts is how often each function is begun: one after another in turn, so that
// whatever else the machine does meets all of them.
const starts = 40

// BenchmarkColdStart is the time from exec to the first poll, the median of many
// starts, of each function and of one that does nothing.
func BenchmarkColdStart(b *testing.B) {
	dir := b.TempDir()
	config := write(b, dir, "amx.yaml", benchConfig)
	env := []string{
		"AMX_CONFIG=file:" + config, "AMX_TABLE=amx", "AMX_QUEUE_URL=https://sqs/1/work", "AMX_DEAD_LETTER_URL=https://sqs/1/dead", "AMX_TOKEN_PARAMETER=/amx/tokens",
		"AMX_TOPIC_ARNS=arn:aws:sns:eu-central-1:123456789012:alerts",
	}
	names := []string{"bare", "webhook", "sns", "worker", "widget"}
	packages := map[string]string{
		"bare": "./internal/lambdatest/testdata/bare", "webhook": "./functions/webhook", "sns": "./functions/sns", "worker": "./functions/worker",
		"widget": "./functions/widget",
	}
	paths, times := map[string]string{}, map[string][]time.Duration{}
	for _, name := range names {
		paths[name] = lambdatest.Build(b, "..", packages[name], filepath.Join(dir, name))
	}
	for i := range starts + 3 {
		for _, name := range names {
			f := lambdatest.Start(b, paths[name], env...)
			took, err := f.Init()
			if err != nil {
				b.Fatalf("%s: %v\n%s", name, err, f.Log())
			}
			if _, err := f.Terminate(); err != nil {
				b.Fatal(err)
			}
			if i >= 3 { // the first ones read the binary from the disk
				times[name] = append(times[name], took)
			}
		}
	}
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			size, err := os.Stat(paths[name])
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(median(times[name]).Microseconds())/1e3, "ms/first-poll")
			b.ReportMetric(float64(median(times[name]))/float64(median(times["bare"])), "x/bare")
			b.ReportMetric(float64(size.Size())/(1<<20), "MiB")
		})
	}
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const benchConfig = `
targets: [{key: InstanceIds, values: ['{{ .Labels.instance_id }}']}]
commands:
  - cmd: systemctl
    args: [restart, nginx]
    matchers: ['severity=~"page|critical"', 'team!="dba"']
  - name: clean
    script: |
      df -h "$AMX_LABEL_mountpoint"
    match_labels: {alertname: DiskFull}
    scope: alert
`
