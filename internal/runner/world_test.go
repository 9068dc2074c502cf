package runner_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// A delivering has a runner and what it needs to be given messages.
type delivering struct {
	*testing.T
	wire   *awstest.Wire // to SSM
	runner *runner.Runner
	began  time.Time // of the alerts
}

// A world has a runner before a model of SSM and its nodes, under fake time. The
// wire between them can fail, and holds every request to SSM's model.
type world struct {
	delivering
	cloud *cloudtest.Cloud
}

// window is how long SSM's list may lag in these tests.
const window = 4 * time.Second

// in plays a test in a world of its own, that has these nodes, or else the one
// that the configurations name.
func in(t *testing.T, config string, play func(w *world), nodes ...cloudtest.Node) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		cloud := cloudtest.New()
		defer cloud.Close()
		cloud.IDs, cloud.Page = "00000000-0000-4000-8000-%012d", 50
		if cloud.Nodes = nodes; len(nodes) == 0 {
			cloud.Nodes = []cloudtest.Node{{ID: "mi-00000000000000000"}}
		}
		process := cloud.Process("amx", func(cloudtest.Call) cloudtest.Fate { return cloudtest.Fate{Takes: time.Millisecond} })
		w := &world{cloud: cloud, delivering: delivering{T: t, began: time.Now().Add(-time.Minute)}}
		w.wire = &awstest.Wire{Next: process, Check: awstest.CheckSSM}
		w.runner = newRunner(t, config, w.wire.SSM(t), process.Table())
		play(w)
	})
}

func newRunner(t *testing.T, config string, client *ssm.Client, store ledger.Store) *runner.Runner {
	t.Helper()
	c, err := amx.ParseConfig("amx.yaml", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return &runner.Runner{
		Config: func() *amx.Config { return c }, Store: store, Window: window,
		Log:  slog.New(slog.NewTextHandler(t.Output(), nil)),
		Exec: &ssmexec.Executor{Client: client, Nodes: client, Outputs: client, Poll: 10 * time.Millisecond, Backoff: 20 * time.Millisecond},
	}
}

// fires is a message in which these alerts fire.
func (d *delivering) fires(names ...string) *amx.Message { return d.message(amx.Firing, names) }

// resolves is a message in which they are resolved.
func (d *delivering) resolves(names ...string) *amx.Message { return d.message(amx.Resolved, names) }

func (d *delivering) message(status string, names []string) *amx.Message {
	m := &amx.Message{}
	m.Receiver, m.Status, m.GroupLabels, m.CommonLabels = "amx", status, amx.KV{"alertname": "Down"}, amx.KV{}
	for _, name := range names {
		a := amx.Alert{Status: status, Labels: amx.KV{"alertname": "Down", "instance": name}, StartsAt: d.began}
		if status == amx.Resolved {
			a.EndsAt = time.Now()
		}
		a.Fingerprint = amx.Fingerprint(a.Labels)
		m.Alerts = append(m.Alerts, a)
	}
	return m
}

// deliver hands over a message that has this long.
func (d *delivering) deliver(limit time.Duration, m *amx.Message) runner.Answer {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return d.runner.Handle(ctx, m, runner.Source{Waits: true})
}

// want compares an answer with lines of `action reason status`, and its error
// with a text that it has in it; "" is none.
func (d *delivering) want(a runner.Answer, failure string, results ...string) {
	d.Helper()
	var got []string
	for _, r := range a.Results {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s: %s: %s", r.Action, r.Reason, r.Status)))
	}
	if fmt.Sprint(got) != fmt.Sprint(results) {
		d.Errorf("results %q\nwant    %q", got, results)
	}
	if (a.Err == nil) != (failure == "") || a.Err != nil && !strings.Contains(a.Err.Error(), failure) {
		d.Errorf("error %v\nwant  %q", a.Err, failure)
	}
}

// effects is how often a node has begun the command.
func (w *world) effects() int { return len(w.reached()) }

// reached is the nodes that have begun the command, sorted; one that has begun it
// twice is there twice.
func (w *world) reached() (ids []string) {
	w.cloud.Mu.Lock()
	defer w.cloud.Mu.Unlock()
	for _, p := range w.cloud.Passes {
		ids = append(ids, p.Node)
	}
	slices.Sort(ids)
	return ids
}

// lasting makes commands run for so long on their nodes.
func (w *world) lasting(d time.Duration) {
	w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return d, 0 }
}

// faults hands out one fault for each call of an operation, then none.
func faults(operation string, list ...*awstest.Fault) func(awstest.Call) *awstest.Fault {
	var mu sync.Mutex
	return func(c awstest.Call) *awstest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if c.Operation != operation || len(list) == 0 {
			return nil
		}
		f := list[0]
		list = list[1:]
		return f
	}
}

// always is a fault of every call of an operation.
func always(operation string, f awstest.Fault) func(awstest.Call) *awstest.Fault {
	return func(c awstest.Call) *awstest.Fault {
		if c.Operation != operation {
			return nil
		}
		return &f
	}
}

// machine is the i-th of many nodes.
func machine(i int) cloudtest.Node {
	return cloudtest.Node{
		ID: fmt.Sprintf("i-%017x", i), Address: fmt.Sprintf("10.0.%d.%d", i/256, i%256), Name: fmt.Sprintf("ip-10-0-%d-%d.ec2.internal", i/256, i%256),
		Tags: map[string]string{"Role": []string{"web", "db"}[i%2]},
	}
}

func machines(count int) (all []cloudtest.Node) {
	for i := 1; i <= count; i++ {
		all = append(all, machine(i))
	}
	return all
}
