package runner_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/cloudtest"
)

func ids(nodes ...int) (all []string) {
	for _, i := range nodes {
		all = append(all, machine(i).ID)
	}
	return all
}

func (w *world) wantReached(want ...string) {
	w.Helper()
	if got := w.reached(); !slices.Equal(got, want) {
		w.Errorf("the command ran on %q\nwant %q", got, want)
	}
}

// on is a command that runs on targets, which is YAML.
func on(targets string) string {
	return `
commands:
  - name: fix
    cmd: /bin/fix
    max_targets: 200
    targets: ` + targets
}

func TestTargetsReachTheirNodes(t *testing.T) {
	for _, tt := range []struct {
		name, targets string
		alerts        []string
		reached       []string
	}{
		{"a fixed instance ID", `[{key: InstanceIds, values: [` + machine(3).ID + `]}]`, []string{"a"}, ids(3)},
		{
			"an ID for each alert, once", `[{key: InstanceIds, values: ['{{ .Labels.instance }}']}]`,
			[]string{machine(2).ID, machine(1).ID, machine(2).ID},
			ids(1, 2),
		},
		{"a tag", `[{key: 'tag:Role', values: ['{{ .Labels.instance }}']}]`, []string{"db"}, ids(1, 3, 5, 7)},
		{"an IP address", `[{key: Address, values: ['{{ .Labels.instance }}']}]`, []string{"10.0.0.4"}, ids(4)},
		{"an instance label", `[{key: Address, values: ['{{ .Labels.instance }}']}]`, []string{"10.0.0.4:9100", "10.0.0.5:9100"}, ids(4, 5)},
		{"a host name with a port", `[{key: Address, values: ['{{ .Labels.instance }}']}]`, []string{"IP-10-0-0-6.ec2.internal:9100"}, ids(6)},
		{"a host name without its domain", `[{key: Address, values: ['{{ .Labels.instance }}']}]`, []string{"ip-10-0-0-6:9100"}, ids(6)},
		{"two addresses of one node", `[{key: Address, values: ['{{ .Labels.instance }}', 'ip-10-0-0-4']}]`, []string{"10.0.0.4"}, ids(4)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, on(tt.targets), func(w *world) {
				w.want(w.deliver(30*time.Second, w.fires(tt.alerts...)), "", "run: firing: Success")
				w.wantReached(tt.reached...)
			}, machines(8)...)
		})
	}
}

func TestTargetsThatRefuseARun(t *testing.T) {
	twins := []cloudtest.Node{{ID: machine(1).ID, Address: "10.0.0.1", Name: "web"}, {ID: machine(2).ID, Address: "10.0.0.1", Name: "web"}}
	for _, tt := range []struct {
		name, targets, alert, reason string
		nodes                        []cloudtest.Node
	}{
		{
			"an unknown address", `[{key: Address, values: ['{{ .Labels.instance }}']}]`, "10.9.9.9:9100",
			`refuse: target Address "10.9.9.9:9100": no managed node has it: is its SSM agent running?:`, machines(3),
		},
		{
			"an address of two nodes", `[{key: Address, values: ['{{ .Labels.instance }}']}]`, "10.0.0.1",
			`refuse: target Address "10.0.0.1": 2 managed nodes have it (i-00000000000000001, i-00000000000000002): name the one with InstanceIds:`, twins,
		},
		{
			"a host name of two nodes", `[{key: Address, values: ['{{ .Labels.instance }}']}]`, "web:9100",
			`refuse: target Address "web:9100": 2 managed nodes have it (i-00000000000000001, i-00000000000000002): name the one with InstanceIds:`, twins,
		},
		{
			"no instance ID", `[{key: InstanceIds, values: ['{{ .Labels.instance }}']}]`, "web-1",
			`refuse: targets: InstanceIds: "web-1" is no instance ID: want i- and 8 or 17 characters, or mi- and 17:`, machines(3),
		},
		{
			"no label", `[{key: InstanceIds, values: ['{{ .Labels.instance_id }}']}]`, "web-1",
			`refuse: rendering targets[0].values[0] "{{ .Labels.instance_id }}" of command "fix": alert 0000000000000000: the value is empty: does the alert have the label?:`, machines(3),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, on(tt.targets), func(w *world) {
				m := w.fires(tt.alert)
				m.Alerts[0].Fingerprint = "0000000000000000"
				w.want(w.deliver(30*time.Second, m), "", tt.reason)
				if sends := w.wire.Calls("SendCommand"); len(sends) != 0 {
					w.Errorf("SendCommand was called %d times", len(sends))
				}
			}, tt.nodes...)
		})
	}
}

// A group of three, one of which has an unknown address: the two others get their
// command, and so does a fourth that comes hours later.
func TestAnUnknownAddressKeepsNobodyFromTheirCommand(t *testing.T) {
	in(t, on(`[{key: Address, values: ['{{ .Labels.instance }}']}]`), func(w *world) {
		const unknown = `refuse: target Address "10.9.9.9": no managed node has it: is its SSM agent running?:`
		w.want(w.deliver(30*time.Second, w.fires("10.0.0.1", "10.9.9.9", "10.0.0.2")), "", "run: firing: Success", unknown)
		w.wantReached(ids(1, 2)...)
		time.Sleep(4 * time.Hour)
		a := w.deliver(30*time.Second, w.fires("10.0.0.1", "10.9.9.9", "10.0.0.2", "10.0.0.3"))
		w.want(a, "", "skip: already started for this alert:", "run: firing: Success", unknown)
		w.wantReached(ids(1, 2, 3)...)
	}, machines(3)...)
}

func TestMoreTargetsThanMaxTargets(t *testing.T) {
	config := strings.ReplaceAll(on(`[{key: Address, values: ['{{ .Labels.instance }}']}]`), "max_targets: 200", "max_targets: 2")
	in(t, config, func(w *world) {
		w.want(w.deliver(30*time.Second, w.fires("10.0.0.1", "10.0.0.2", "10.0.0.3")), "", "refuse: 3 targets, over max_targets: 2:")
		w.want(w.deliver(30*time.Second, w.fires("10.0.0.1", "10.0.0.2")), "", "run: firing: Success")
		w.wantReached(ids(1, 2)...)
	}, machines(4)...)
}

// Where a group's targets are refused, each alert is asked for by itself: SSM is
// not asked again for the same tag.
func TestATagOfManyAlertsIsCountedOnce(t *testing.T) {
	config := strings.ReplaceAll(on(`[{key: 'tag:Role', values: [web]}]`), "max_targets: 200", "max_targets: 2")
	in(t, config, func(w *world) {
		a := w.deliver(30*time.Second, w.fires("a", "b", "c", "d", "e"))
		for _, r := range a.Results {
			if r.Action != "refuse" || r.Reason != "more than 2 nodes, over max_targets: 2" {
				w.Errorf("%+v", r)
			}
		}
		if asked := len(w.wire.Calls("DescribeInstanceInformation")); len(a.Results) != 5 || asked != 1 {
			w.Errorf("%d results, and DescribeInstanceInformation was called %d times", len(a.Results), asked)
		}
	}, machines(8)...)
}

func TestTheListOfNodesIsReadAtMostOnceAMinute(t *testing.T) {
	in(t, on(`[{key: Address, values: ['{{ .Labels.instance }}']}]`), func(w *world) {
		for i := 1; i <= 3; i++ {
			m := w.fires(fmt.Sprintf("10.0.0.%d", i))
			m.GroupLabels = amx.KV{"group": fmt.Sprint(i)}
			w.want(w.deliver(30*time.Second, m), "", "run: firing: Success")
		}
		if pages := len(w.wire.Calls("DescribeInstanceInformation")); pages != 3 {
			w.Errorf("DescribeInstanceInformation was called %d times, want once for each of 3 pages", pages)
		}
	}, machines(120)...)
}

// SSM cannot be asked for its nodes: that is no answer about the address.
func TestNodesThatCannotBeListed(t *testing.T) {
	in(t, on(`[{key: Address, values: ['{{ .Labels.instance }}']}]`), func(w *world) {
		w.wire.Fault = always("DescribeInstanceInformation", awstest.Fault{Error: "AccessDeniedException"})
		w.want(w.deliver(30*time.Second, w.fires("10.0.0.1")),
			`command "fix": target Address "10.0.0.1": the managed nodes are not known: DescribeInstanceInformation: AccessDeniedException: a fault of the test`)
		w.wire.Fault = nil
		w.want(w.deliver(30*time.Second, w.fires("10.0.0.1")), "", "run: firing: Success")
	}, machines(3)...)
}

// One delivery cannot read the list of 10,000 nodes to its end: the next goes on
// where it stopped, so that an address on the last page is found.
func TestALongListOfNodesIsReadByOneDeliveryAfterTheOther(t *testing.T) {
	in(t, on(`[{key: Address, values: ['{{ .Labels.instance }}']}]`), func(w *world) {
		later := &waiting{}
		w.runner.Queue = later
		w.wire.Next = w.cloud.Process("slow", func(c cloudtest.Call) cloudtest.Fate {
			if c.Op == "DescribeInstanceInformation" {
				return cloudtest.Fate{Takes: 150 * time.Millisecond}
			}
			return cloudtest.Fate{Takes: time.Millisecond}
		})
		last := machine(10_000)
		w.want(w.deliver(9*time.Second, w.fires(last.Address)), "",
			`later: target Address "10.0.39.16": the managed nodes are not known: no time left to read on after 1950 of them: the next try goes on from there:`)
		w.workWithin(later, 9*time.Second, 10*time.Minute)
		w.wantReached(last.ID)
		if pages := len(w.wire.Calls("DescribeInstanceInformation")); pages > 220 {
			w.Errorf("DescribeInstanceInformation was called %d times for 200 pages", pages)
		}
	}, machines(10_000)...)
}

func TestMoreNodesThanOneCallTakes(t *testing.T) {
	in(t, on(`[{key: InstanceIds, values: ['{{ .Labels.instance }}']}]`), func(w *world) {
		var names []string
		for i := 1; i <= 120; i++ {
			names = append(names, machine(i).ID)
		}
		a := w.deliver(60*time.Second, w.fires(names...))
		w.want(a, "", "run: firing: Success")
		w.wantReached(names...)
		var sizes []int
		for _, c := range w.wire.Calls("SendCommand") {
			var in struct {
				InstanceIds []string
				Comment     string
			}
			c.Decode(w.T, &in)
			sizes = append(sizes, len(in.InstanceIds))
			if !regexp.MustCompile(`^amx [0-9a-f]{16} [0-9A-Z]{26} [123]/3 fix$`).MatchString(in.Comment) {
				w.Errorf("comment %q", in.Comment)
			}
		}
		slices.Sort(sizes)
		if !slices.Equal(sizes, []int{20, 50, 50}) || len(a.Results[0].CommandIDs) != 3 {
			w.Errorf("SendCommands to %v nodes, recorded %q", sizes, a.Results[0].CommandIDs)
		}
	}, machines(120)...)
}

// One node that SSM refuses costs the whole call, and must not cost the others
// their run. It is put off by itself, and has its own when SSM takes it.
func TestANodeThatSSMRefuses(t *testing.T) {
	gone := func(i int) string { return fmt.Sprintf("i-f%016x", i) }
	refused := func(i int) string { return fmt.Sprintf("node %s: SendCommand: InvalidInstanceId: ", gone(i)) }
	for _, tt := range []struct {
		name    string
		alerts  []string
		results []string
		reached []string
		sends   int
	}{
		{"one of three", append(ids(1, 2), gone(1)), []string{"later: " + refused(1) + ":", "run: firing:"}, ids(1, 2), 3},
		{"two of four", append(ids(1, 2), gone(1), gone(2)), []string{
			"later: " + refused(1) + "\n" + refused(2) + ":", "run: firing:",
		}, ids(1, 2), 4},
		{"the only one", []string{gone(1)}, []string{"later: " + refused(1) + ":"}, nil, 1},
		{"all", []string{gone(1), gone(2)}, []string{"later: " + refused(1) + "\n" + refused(2) + ":"}, nil, 3},
	} {
		for _, blind := range []bool{false, true} { // where SSM lists its nodes, and where it cannot be asked
			t.Run(fmt.Sprintf("%s, blind %v", tt.name, blind), func(t *testing.T) {
				in(t, on(`[{key: InstanceIds, values: ['{{ .Labels.instance }}']}]`), func(w *world) {
					later := &waiting{}
					w.runner.Queue = later
					if blind {
						w.wire.Fault = always("DescribeInstanceInformation", awstest.Fault{Error: "AccessDeniedException"})
					}
					a := w.deliver(30*time.Second, w.fires(tt.alerts...))
					for i := range a.Results { // what SSM says of the node is its own
						a.Results[i].Reason = regexp.MustCompile(`(InvalidInstanceId: )[^\n]*`).ReplaceAllString(a.Results[i].Reason, "$1")
					}
					w.want(a, "", tt.results...)
					if sends := len(w.wire.Calls("SendCommand")); !blind && sends != tt.sends {
						w.Errorf("SendCommand was called %d times, want %d", sends, tt.sends)
					}
					w.work(later, time.Minute)
					w.wantReached(tt.reached...)
					if blind || len(tt.alerts) > 3 {
						return
					}
					w.work(later, 7*time.Hour)
					if len(later.items) > 0 {
						w.Errorf("it still waits: %+v", later.items)
					}
					w.wantReached(tt.reached...)
				}, machines(8)...)
			})
		}
	}
}
