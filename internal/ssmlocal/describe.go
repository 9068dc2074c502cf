package ssmlocal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// agentVersion is a version with every behaviour that this package imitates.
const agentVersion = "3.3.2746.0"

type describeInstanceInformationRequest struct {
	InstanceInformationFilterList []struct { // the older form of Filters
		Key      *string  `json:"key"`
		ValueSet []string `json:"valueSet"`
	}
	Filters []struct {
		Key    *string
		Values []string
	}
	MaxResults *int
	NextToken  *string
}

type describeInstanceInformationResponse struct {
	InstanceInformationList []instanceInformation
	NextToken               string `json:",omitempty"`
}

type instanceInformation struct {
	InstanceId, PingStatus  string
	LastPingDateTime        epoch
	AgentVersion            string
	IsLatestVersion         bool
	PlatformType            string
	PlatformName            string
	PlatformVersion         string `json:",omitempty"`
	ResourceType            string
	Name                    string `json:",omitempty"` // of a hybrid activation only
	IPAddress, ComputerName string
}

// nodeFilter is a filter in either form.
type nodeFilter struct {
	key    string
	values []string
}

// olderFilterKeys are the keys of the older form, from the service model. The newer form
// has more keys; they are in the API reference.
var olderFilterKeys = []string{
	"InstanceIds", "AgentVersion", "PingStatus", "PlatformTypes", "ActivationIds", "IamRole", "ResourceType", "AssociationStatus",
}

func (s *Server) describeInstanceInformation(req *describeInstanceInformationRequest) (*describeInstanceInformationResponse, error) {
	filters, err := req.filters()
	if err != nil {
		return nil, err
	}
	first := 0
	if t := deref(req.NextToken); t != "" {
		from, ok := parseCursor("DescribeInstanceInformation", t)
		if !ok || from.index < 0 {
			return nil, &apiError{"InvalidNextToken", "The specified token isn't valid."}
		}
		first = from.index
	}
	limit := 50
	if req.MaxResults != nil {
		limit = *req.MaxResults
	}
	resp := &describeInstanceInformationResponse{InstanceInformationList: []instanceInformation{}}
	for i := first; i < len(s.o.Nodes); i++ {
		info := s.information(s.o.Nodes[i])
		if slices.ContainsFunc(filters, func(f nodeFilter) bool { return !f.wants(s.o.Nodes[i], info) }) {
			continue
		}
		if len(resp.InstanceInformationList) == limit {
			resp.NextToken = cursor{index: i}.token("DescribeInstanceInformation")
			break
		}
		resp.InstanceInformationList = append(resp.InstanceInformationList, info)
	}
	return resp, nil
}

func (s *Server) information(n Node) instanceInformation {
	info := instanceInformation{
		InstanceId: n.ID, PingStatus: "Online", LastPingDateTime: epoch{s.o.Now()},
		AgentVersion: agentVersion, IsLatestVersion: true, PlatformType: "Linux",
		PlatformName: cmp.Or(s.sys.platform, "Linux"), PlatformVersion: s.sys.version,
		ResourceType: "EC2Instance", IPAddress: n.Address, ComputerName: n.Name,
	}
	if n.Terminated {
		info.PingStatus = "ConnectionLost"
	}
	if strings.HasPrefix(n.ID, "mi-") {
		info.ResourceType, info.Name = "ManagedInstance", n.Name
	}
	return info
}

// filters returns the request's filters, of either form, validated.
func (req *describeInstanceInformationRequest) filters() (filters []nodeFilter, err error) {
	var v violations
	v.between("maxResults", req.MaxResults, 5, 50)
	for i, f := range req.InstanceInformationFilterList {
		path := fmt.Sprintf("instanceInformationFilterList.%d.member.", i+1)
		v.required(path+"key", f.Key)
		v.enum(path+"key", f.Key, olderFilterKeys...)
		v.count(path+"valueSet", len(f.ValueSet), 1, 100)
		filters = append(filters, nodeFilter{deref(f.Key), f.ValueSet})
	}
	for i, f := range req.Filters {
		path := fmt.Sprintf("filters.%d.member.", i+1)
		v.required(path+"key", f.Key)
		v.length(path+"key", f.Key, 1, 0)
		v.count(path+"values", len(f.Values), 1, 100)
		filters = append(filters, nodeFilter{deref(f.Key), f.Values})
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	if len(req.Filters) > 0 && len(req.InstanceInformationFilterList) > 0 {
		return nil, &apiError{"ValidationException", "Filters and InstanceInformationFilterList can't be given together."}
	}
	for _, f := range filters {
		if err := f.check(); err != nil {
			return nil, err
		}
	}
	return filters, nil
}

func (f nodeFilter) check() error {
	valid := func(string) bool { return true }
	switch {
	case f.key == "InstanceIds":
		valid = instanceIDPattern.MatchString
	case f.key == "PingStatus":
		valid = oneOf("Online", "ConnectionLost", "Inactive")
	case f.key == "PlatformTypes":
		valid = oneOf("Windows", "Linux", "MacOS")
	case f.key == "ResourceType":
		valid = oneOf("ManagedInstance", "EC2Instance")
	case f.key == "SourceIds", f.key == "SourceTypes", f.key == "tag-key", strings.HasPrefix(f.key, "tag:"):
	case !slices.Contains(olderFilterKeys, f.key):
		return &apiError{"InvalidFilterKey", fmt.Sprintf("The filter key %q is not valid.", f.key)}
	}
	for _, value := range f.values {
		if !valid(value) {
			return &apiError{"InvalidInstanceInformationFilterValue", fmt.Sprintf("The filter value %q of %s is not valid.", value, f.key)}
		}
	}
	return nil
}

func oneOf(values ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(values, s) }
}

// wants reports whether n passes the filter. Nodes here have no activation or role,
// so no value of such a filter matches.
func (f nodeFilter) wants(n Node, info instanceInformation) bool {
	tag, isTag := strings.CutPrefix(f.key, "tag:")
	switch {
	case f.key == "tag-key":
		return n.hasTagKey(f.values)
	case isTag:
		return n.hasTag(tag, f.values)
	}
	has := map[string]string{
		"InstanceIds": n.ID, "AgentVersion": info.AgentVersion, "PingStatus": info.PingStatus,
		"PlatformTypes": info.PlatformType, "ResourceType": info.ResourceType,
	}[f.key]
	return has != "" && slices.Contains(f.values, has)
}
