package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awserr"
)

// checkConfiguration reads the configuration that the functions read, where that
// is in Parameter Store, and compares it with the file.
func (d *doctor) checkConfiguration(ctx context.Context, file string) {
	text, err := fileText(file)
	if err != nil {
		d.wrong("configuration", "reading --file: %v", err)
		return
	}
	if file != "" {
		if d.config = d.parse(file, text); d.config == nil {
			return
		}
	}
	if d.stack.parameters["ConfigSource"] != "parameter" {
		if file == "" {
			d.skip("configuration", "it is built into the functions: name its file with -f to have its nodes checked")
		} else {
			d.skip("configuration", "%s is good. amx doctor cannot see which configuration is built into the functions: to be sure, deploy again: sam build && sam deploy", file)
		}
		return
	}
	name := d.parameterName("config")
	out, err := d.parameters.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	switch {
	case awserr.Code(err) == "ParameterNotFound":
		d.wrong("configuration", "there is no parameter %q, so no function starts: put there what amx config --pack prints", name)
		return
	case err != nil:
		d.wrong("configuration", "%q cannot be read: %s; get yourself the right to read it", name, said("GetParameter", err))
		return
	}
	kept, err := amx.Unpack([]byte(aws.ToString(out.Parameter.Value)))
	if err != nil {
		d.wrong("configuration", "%s: %v", name, err)
		return
	}
	if d.config = d.parse(name, kept); d.config == nil {
		return
	}
	if file != "" && !bytes.Equal(kept, text) {
		d.wrong("configuration", "%s differs from %s: put the output of amx config --pack %s there, or use what is there (amx config)", name, file, file)
		return
	}
	d.ok("configuration", "%s is good, %d %s", name, len(d.config.Commands), plural(len(d.config.Commands), "command"))
}

// parse reads a configuration as the functions do; nil: it is wrong, and that is
// said.
func (d *doctor) parse(name string, text []byte) *amx.Config {
	c, err := amx.ParseConfig(name, text)
	if err == nil {
		err = c.ForLambda()
	}
	if err != nil {
		d.wrong("configuration", "%v", strings.ReplaceAll(err.Error(), "\n", "; "))
		return nil
	}
	return c
}

// checkNodes looks at the nodes that the configuration names, at the one of
// --node, and at those that alerts may name.
func (d *doctor) checkNodes(ctx context.Context, node string) {
	key, value := d.stack.parameters["NodeTagKey"], d.stack.parameters["NodeTagValue"]
	tag := key + "=" + value
	managed, err := d.nodes(ctx)
	if err != nil {
		d.wrong("nodes", "%s; you need the right ssm:DescribeInstanceInformation", said("DescribeInstanceInformation", err))
		return
	}
	tagged, err := d.nodes(ctx, filter("tag:"+key, value))
	if err != nil {
		d.wrong("nodes", "%s", said("DescribeInstanceInformation", err))
		return
	}
	problems := d.problems
	named := map[string]bool{}
	if node != "" {
		named[node] = true
	}
	d.fixedTargets(ctx, named)
	for id := range tagged {
		named[id] = true
	}
	if len(tagged) == 0 {
		d.wrong("nodes", "none has the tag %s, so nothing can run: aws ec2 create-tags, or for mi- nodes aws ssm add-tags-to-resource", tag)
	}
	for _, id := range slices.Sorted(maps.Keys(named)) {
		d.checkNode(id, tag, managed, tagged)
	}
	if d.problems == problems {
		d.ok("nodes", "%d managed, %d of them with the tag %s, all online", len(managed), len(tagged), tag)
	}
}

func (d *doctor) checkNode(id, tag string, managed, tagged map[string]ssmtypes.InstanceInformation) {
	info, isManaged := managed[id]
	_, isTagged := tagged[id]
	version := aws.ToString(info.AgentVersion)
	switch {
	case !isManaged:
		d.wrong("node "+id, "SSM does not know it: give it a role, then restart its agent (docs/first-steps.md)")
	case info.PingStatus != ssmtypes.PingStatusOnline:
		d.wrong("node "+id, "its agent is %s: start the instance or its agent, or take the tag away", info.PingStatus)
	case !isTagged:
		d.wrong("node "+id, "it lacks the tag %s, so IAM refuses commands for it: tag it", tag)
	case tooOld(version):
		d.wrong("node "+id, "its agent is of version %s: update it to 3.0 or later, with the document AWS-UpdateSSMAgent", version)
	}
}

// tooOld says that an agent is of a release before 3, which no longer gets
// corrections. A version of no known form is let pass.
func tooOld(version string) bool {
	major, _, ok := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return ok && err == nil && n < 3
}

// fixedTargets adds the nodes that commands name without a template. Those that
// alerts name are not known.
func (d *doctor) fixedTargets(ctx context.Context, named map[string]bool) {
	if d.config == nil {
		return
	}
	seen := map[string]bool{} // commands often share targets
	for _, c := range d.config.Commands {
		var filters []ssmtypes.InstanceInformationStringFilter
		what := ""
		for _, t := range c.Targets {
			if slices.ContainsFunc(t.Values, func(v string) bool { return strings.Contains(v, "{{") }) {
				filters = nil
				break
			}
			what = fmt.Sprintf("%s %s=%s", what, t.Key, strings.Join(t.Values, ","))
			switch {
			case t.Key == amx.KeyInstanceIDs:
				for _, id := range t.Values {
					named[id] = true
				}
			case strings.HasPrefix(t.Key, "tag:"):
				filters = append(filters, filter(t.Key, t.Values...))
			}
		}
		if len(filters) == 0 || seen[what] {
			continue
		}
		seen[what] = true
		found, err := d.nodes(ctx, filters...)
		if err != nil {
			d.wrong("nodes", "%s", said("DescribeInstanceInformation", err))
			continue
		}
		if len(found) == 0 {
			d.wrong("nodes", "command %q: no managed node has%s: tag one, or change the targets", c.Name, what)
		}
		for id := range found {
			named[id] = true
		}
	}
}

// nodes are the managed nodes that pass the filters, by their IDs.
func (d *doctor) nodes(ctx context.Context, filters ...ssmtypes.InstanceInformationStringFilter) (map[string]ssmtypes.InstanceInformation, error) {
	found := map[string]ssmtypes.InstanceInformation{}
	in := &ssm.DescribeInstanceInformationInput{Filters: filters, MaxResults: aws.Int32(50)}
	for {
		page, err := d.commands.DescribeInstanceInformation(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, i := range page.InstanceInformationList {
			found[aws.ToString(i.InstanceId)] = i
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return found, nil
		}
	}
}

func filter(key string, values ...string) ssmtypes.InstanceInformationStringFilter {
	return ssmtypes.InstanceInformationStringFilter{Key: &key, Values: values}
}
