package ssmlocal

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

const (
	web1 = "i-0123456789abcdef0"
	web2 = "i-0123456789abcdef1"
	db1  = "i-01234567"
)

// fleet is this machine as four nodes.
func fleet(o *Options) {
	o.Nodes = []Node{
		{ID: LocalNode},
		{ID: web1, Tags: map[string]string{"Role": "web", "Stage": "prod"}, Address: "10.0.0.1", Name: "web-1"},
		{ID: web2, Tags: map[string]string{"Role": "web", "Stage": "test"}, Address: "10.0.0.2", Name: "web-2"},
		{ID: db1, Tags: map[string]string{"Role": "db", "Stage": "prod", "Empty": ""}},
	}
}

func TestTargetsSelectNodes(t *testing.T) {
	w := start(t, fleet)
	target := func(key string, values ...string) types.Target { return types.Target{Key: &key, Values: values} }
	for _, tt := range []struct {
		name    string
		targets []types.Target
		want    []string
	}{
		{"one by its ID", []types.Target{target("InstanceIds", db1)}, []string{db1}},
		{"several by ID, in the order of the nodes", []types.Target{target("InstanceIds", db1, web1)}, []string{web1, db1}},
		{"by a tag", []types.Target{target("tag:Role", "web")}, []string{web1, web2}},
		{"by either value of a tag", []types.Target{target("tag:Role", "web", "db")}, []string{web1, web2, db1}},
		{"by two tags, both of which must hold", []types.Target{target("tag:Role", "web"), target("tag:Stage", "prod")}, []string{web1}},
		{"by a tag with an empty value", []types.Target{target("tag:Empty", "")}, []string{db1}},
		{"by having a tag", []types.Target{target("tag-key", "Empty", "Other")}, []string{db1}},
		{"by a tag and an ID", []types.Target{target("tag:Role", "web"), target("InstanceIds", web2, db1)}, []string{web2}},
		{"a tag's value is not a pattern", []types.Target{target("tag:Role", "we*")}, nil},
		{"a tag's name counts in its case", []types.Target{target("tag:role", "web")}, nil},
		{"a resource group has no nodes", []types.Target{target("resource-groups:Name", "web")}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := script("true")
			in.InstanceIds, in.Targets = nil, tt.targets
			out, err := w.client.SendCommand(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			if got := w.nodesOf(*out.Command.CommandId); !slices.Equal(got, tt.want) {
				t.Errorf("sent to %v, want %v", got, tt.want)
			}
		})
	}
}

func (w *world) nodesOf(id string) (nodes []string) {
	w.t.Helper()
	out, err := w.client.ListCommandInvocations(context.Background(), &ssm.ListCommandInvocationsInput{CommandId: &id})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, inv := range out.CommandInvocations {
		nodes = append(nodes, *inv.InstanceId)
	}
	return nodes
}

func TestEachNodeHasAStateDirectoryOfItsOwn(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	w := start(t, fleet, func(o *Options) { o.StateDir = state })
	in := script(`echo "$AWS_SSM_INSTANCE_ID $AMX_STATE_DIR"`)
	in.InstanceIds = []string{LocalNode, web1, web2}
	w.send(in)
	want := []string{LocalNode + " " + state, web1 + " " + state + "/" + web1, web2 + " " + state + "/" + web2}
	w.until("each node has told", func() bool {
		got := w.text("stdout")
		slices.Sort(got)
		slices.Sort(want)
		return slices.Equal(got, want)
	})
}

func TestNewRefusesNodes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		nodes []Node
		want  string
	}{
		{"a name for an ID", []Node{{ID: "web-1"}}, `starting ssmlocal: node "web-1" is not an instance ID: use i- or mi- and 17 characters`},
		{"one node twice", []Node{{ID: web1}, {ID: web1}}, `starting ssmlocal: node "` + web1 + `" is named twice: give it all its tags at once`},
	} {
		_, err := New(Options{Dir: t.TempDir(), Nodes: tt.nodes})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestDescribeInstanceInformation(t *testing.T) {
	w := start(t, fleet)
	for _, tt := range []struct {
		name string
		keys []string // a key and its values, separated by a space
		want []string
	}{
		{"all", nil, []string{LocalNode, web1, web2, db1}},
		{"by ID, of which one is unknown", []string{"InstanceIds " + db1 + " i-ffffffff"}, []string{db1}},
		{"by a tag", []string{"tag:Role web"}, []string{web1, web2}},
		{"by a tag's name", []string{"tag-key Empty"}, []string{db1}},
		{"by two filters", []string{"tag:Stage prod", "tag:Role web"}, []string{web1}},
		{"by type", []string{"ResourceType ManagedInstance"}, []string{LocalNode}},
		{"those online, on Linux", []string{"PingStatus Online", "PlatformTypes Linux"}, []string{LocalNode, web1, web2, db1}},
		{"those whose connection is lost", []string{"PingStatus ConnectionLost"}, nil},
		{"by a version that is not this", []string{"AgentVersion 2.0.0.0"}, nil},
	} {
		in := &ssm.DescribeInstanceInformationInput{}
		for _, k := range tt.keys {
			words := strings.Fields(k)
			in.Filters = append(in.Filters, types.InstanceInformationStringFilter{Key: &words[0], Values: words[1:]})
		}
		out, err := w.client.DescribeInstanceInformation(context.Background(), in)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var got []string
		for _, n := range out.InstanceInformationList {
			got = append(got, *n.InstanceId)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestANodeIsDescribed(t *testing.T) {
	w := start(t, fleet)
	out, err := w.client.DescribeInstanceInformation(context.Background(), &ssm.DescribeInstanceInformationInput{
		InstanceInformationFilterList: []types.InstanceInformationFilter{{Key: "InstanceIds", ValueSet: []string{web1}}},
	})
	if err != nil || len(out.InstanceInformationList) != 1 {
		t.Fatalf("got %+v, error %v", out, err)
	}
	n := out.InstanceInformationList[0]
	if *n.IPAddress != "10.0.0.1" || *n.ComputerName != "web-1" || n.PingStatus != "Online" || n.PlatformType != "Linux" ||
		n.ResourceType != "EC2Instance" || n.LastPingDateTime == nil || *n.AgentVersion != agentVersion {
		t.Errorf("the node is %+v", n)
	}
}

func TestDescribeInstanceInformationPages(t *testing.T) {
	var want []string
	w := start(t, func(o *Options) {
		for _, c := range "0123456789ab" {
			id := "i-0000000" + string(c)
			o.Nodes = append(o.Nodes, Node{ID: id})
			want = append(want, id)
		}
	})
	for _, size := range []int32{5, 6, 12, 50} {
		pages := ssm.NewDescribeInstanceInformationPaginator(w.client, &ssm.DescribeInstanceInformationInput{MaxResults: &size})
		var got []string
		for pages.HasMorePages() {
			out, err := pages.NextPage(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if len(out.InstanceInformationList) > int(size) {
				t.Errorf("a page of %d has %d", size, len(out.InstanceInformationList))
			}
			for _, n := range out.InstanceInformationList {
				got = append(got, *n.InstanceId)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: got %v, want %v", size, got, want)
		}
	}
}

func TestDescribeInstanceInformationRefuses(t *testing.T) {
	w := start(t)
	filter := func(key string, values ...string) []types.InstanceInformationStringFilter {
		return []types.InstanceInformationStringFilter{{Key: &key, Values: values}}
	}
	const invalid = "1 validation error detected: Value "
	for _, tt := range []struct {
		name          string
		in            ssm.DescribeInstanceInformationInput
		code, message string
	}{
		{
			"pages of four",
			ssm.DescribeInstanceInformationInput{MaxResults: aws.Int32(4)},
			"ValidationException", invalid + "'4' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 5",
		},
		{"an unknown key", ssm.DescribeInstanceInformationInput{Filters: filter("IPAddress", "10.0.0.1")}, "InvalidFilterKey", ""},
		{"an unknown key of the old form", ssm.DescribeInstanceInformationInput{
			InstanceInformationFilterList: []types.InstanceInformationFilter{{Key: "Name", ValueSet: []string{"x"}}},
		}, "ValidationException", invalid + "'Name' at 'instanceInformationFilterList.1.member.key' failed to satisfy constraint: " +
			"Member must satisfy enum value set: [InstanceIds, AgentVersion, PingStatus, PlatformTypes, ActivationIds, IamRole, ResourceType, AssociationStatus]"},
		{
			"no value",
			ssm.DescribeInstanceInformationInput{Filters: filter("InstanceIds", []string{}...)},
			"ValidationException", invalid + "'0 members' at 'filters.1.member.values' failed to satisfy constraint: Member must have length greater than or equal to 1",
		},
		{
			"a state that there is none of",
			ssm.DescribeInstanceInformationInput{Filters: filter("PingStatus", "Up")},
			"InvalidInstanceInformationFilterValue", `The filter value "Up" of PingStatus is not valid.`,
		},
		{
			"something that is no instance ID",
			ssm.DescribeInstanceInformationInput{Filters: filter("InstanceIds", "web-1")},
			"InvalidInstanceInformationFilterValue", `The filter value "web-1" of InstanceIds is not valid.`,
		},
		{"both forms of filters", ssm.DescribeInstanceInformationInput{
			Filters:                       filter("PingStatus", "Online"),
			InstanceInformationFilterList: []types.InstanceInformationFilter{{Key: "PingStatus", ValueSet: []string{"Online"}}},
		}, "ValidationException", "Filters and InstanceInformationFilterList can't be given together."},
		{
			"another list's token",
			ssm.DescribeInstanceInformationInput{NextToken: aws.String(cursor{1, 0}.token("ListCommands"))},
			"InvalidNextToken", "The specified token isn't valid.",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.client.DescribeInstanceInformation(context.Background(), &tt.in)
			wantError(t, err, tt.code, tt.message)
		})
	}
}
