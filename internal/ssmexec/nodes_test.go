package ssmexec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/amx"
)

func managed(id, ip, computer, name string, ping types.PingStatus) types.InstanceInformation {
	return types.InstanceInformation{InstanceId: aws.String(id), IPAddress: aws.String(ip), ComputerName: aws.String(computer), Name: aws.String(name), PingStatus: ping}
}

var fleet = []types.InstanceInformation{
	managed("i-1", "10.0.0.1", "ip-10-0-0-1.ec2.internal", "", types.PingStatusOnline),
	managed("i-2", "10.0.0.2", "web.example.com", "", types.PingStatusOnline),
	managed("i-3", "10.0.0.2", "gone.example.com", "", types.PingStatusConnectionLost), // terminated, and its address is i-2's
	managed("mi-4", "fd00::4", "db", "Database", types.PingStatusOnline),
	managed("i-5", "10.0.0.5", "twin", "", types.PingStatusOnline),
	managed("i-6", "10.0.0.6", "twin", "", types.PingStatusOnline),
	managed("i-7", "10.0.0.7", "asleep", "", types.PingStatusConnectionLost),
}

func TestAddresses(t *testing.T) {
	none := func(a string) string { return fmt.Sprintf("target Address %q: no managed node has it", a) }
	for address, want := range map[string]string{
		"10.0.0.1": "i-1", "10.0.0.1:9100": "i-1", "::ffff:10.0.0.1": "i-1",
		"ip-10-0-0-1.ec2.internal": "i-1", "IP-10-0-0-1:9100": "i-1", "ip-10-0-0-1.ec2.internal.:9100": "i-1",
		"10.0.0.2": "i-2", "web": "i-2", "web.example.com:443": "i-2",
		"gone": "i-3", "gone.example.com": "i-3",
		"[fd00::4]:9100": "mi-4", "fd00::4": "mi-4", "FD00:0::4": "mi-4", "db:9100": "mi-4", "database": "mi-4", "db.example.com": "mi-4", "mi-4": "mi-4",
		"10.0.0.7":        "i-7",
		"web.example.org": none("web.example.org"), "example.com": none("example.com"), "10.0.0": none("10.0.0"), "10": none("10"), "": none(""), ":9100": none(":9100"),
		"twin":     `target Address "twin": 2 managed nodes have it (i-5, i-6): name the one with InstanceIds`,
		"10.0.0.9": none("10.0.0.9"),
	} {
		f := &fake{nodes: fleet}
		got, err := (&Executor{Client: f, Nodes: f}).Resolve(t.Context(), []amx.Target{{Key: KeyAddress, Values: []string{address}}})
		text := ""
		if err != nil {
			text = strings.TrimSuffix(err.Error(), ": is its SSM agent running?")
		} else {
			text = strings.Join(got[0].Values, " ")
		}
		if text != want || err == nil && got[0].Key != KeyInstanceIDs {
			t.Errorf("%q: %s, want %s", address, text, want)
		}
	}
}

func TestTargetsOfSSMsOwnAreLeftAlone(t *testing.T) {
	got, err := (&Executor{}).Resolve(t.Context(), []amx.Target{{Key: "tag:Role", Values: []string{"web", "db"}}, {Key: "resource-groups:Name", Values: []string{"x"}}})
	want := []amx.Target{{Key: "tag:Role", Values: []string{"web", "db"}}, {Key: "resource-groups:Name", Values: []string{"x"}}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTheNodesAreListedAgain(t *testing.T) {
	now := noon
	f := &fake{nodes: fleet[:2]}
	x := &Executor{Client: f, Nodes: f, Now: func() time.Time { return now }}
	resolve := func(address string) error {
		_, err := x.Resolve(t.Context(), []amx.Target{{Key: KeyAddress, Values: []string{address}}})
		return err
	}
	wantCalls := func(want int, after string) {
		t.Helper()
		if f.describes != want {
			t.Errorf("%s: listed %d times, want %d", after, f.describes, want)
		}
	}
	_ = resolve("10.0.0.1")
	_ = resolve("10.0.0.2")
	wantCalls(1, "two addresses")
	now = now.Add(59 * time.Second)
	_ = resolve("10.0.0.1")
	wantCalls(1, "the same within a minute")
	f.nodes = append(f.nodes[:2:2], fleet[4])
	if err := resolve("10.0.0.5"); err != nil {
		t.Error(err)
	}
	wantCalls(3, "one that is new: a page more, at once")
	for range 5 {
		_ = resolve("10.9.9.9")
	}
	wantCalls(3, "an unknown one, right after")
	now = now.Add(6 * time.Second)
	_ = resolve("10.9.9.9")
	wantCalls(5, "an unknown one, later")
	now = now.Add(time.Minute)
	_ = resolve("10.0.0.1")
	wantCalls(7, "a minute later")
}

func TestNodesThatCannotBeListedAreNoAnswer(t *testing.T) {
	f := &fake{nodesErr: apiError("AccessDeniedException")}
	for _, x := range []*Executor{{Nodes: f}, {}} {
		if _, err := x.Resolve(t.Context(), []amx.Target{{Key: KeyAddress, Values: []string{"a"}}}); !errors.Is(err, ErrNodes) {
			t.Errorf("%v, want ErrNodes", err)
		}
	}
}
