package ssmlocal

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// The types and tiers of a parameter.
const (
	typeString       = "String"
	typeStringList   = "StringList"
	typeSecureString = "SecureString"

	tierStandard    = "Standard"
	tierAdvanced    = "Advanced"
	tierIntelligent = "Intelligent-Tiering"
)

// A value may have this many bytes.
const (
	maxStandard = 4 << 10
	maxAdvanced = 8 << 10
)

const maxHierarchy = 15 // levels of a name

var (
	keyIDPattern         = whole(`^([a-zA-Z0-9:/_-]+)$`)
	tagPattern           = whole(`^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`)
	parameterNamePattern = whole(`(/?[\w.-]+)(/[\w.-]+)*`)
)

type getParameterRequest struct {
	Name           *string
	WithDecryption bool
}

type getParameterResponse struct{ Parameter parameterItem }

type parameterItem struct {
	Name, Type, Value string
	Version           int64
	Selector          string `json:",omitempty"`
	LastModifiedDate  epoch
	ARN, DataType     string
}

type putParameterRequest struct {
	Name, Description, Value, Type, KeyId, AllowedPattern, Tier, Policies, DataType *string

	Overwrite bool
	Tags      []struct{ Key, Value *string }
}

type putParameterResponse struct {
	Version int64
	Tier    string
}

func (s *Server) getParameter(req *getParameterRequest) (*getParameterResponse, error) {
	var v violations
	v.required("name", req.Name)
	v.length("name", req.Name, 1, 2048)
	if err := v.err(); err != nil {
		return nil, err
	}
	name, selector, p, err := s.parameters.find(*req.Name)
	if err != nil {
		return nil, err
	}
	item := parameterItem{
		Name: name, Type: p.Type, Value: p.Value, Version: p.Version, LastModifiedDate: epoch{p.Modified},
		ARN:      "arn:aws:ssm:" + s.o.Region + ":000000000000:parameter/" + strings.TrimPrefix(name, "/"),
		DataType: p.DataType,
	}
	if selector != "" {
		item.Selector = ":" + selector
	}
	if p.Type == typeSecureString && !req.WithDecryption {
		// The service returns ciphertext, which nobody can read.
		item.Value = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "encrypted: version %d of %s", p.Version, name))
	}
	return &getParameterResponse{item}, nil
}

func (s *Server) putParameter(req *putParameterRequest) (*putParameterResponse, error) {
	if err := req.validate(); err != nil {
		return nil, err
	}
	if err := checkParameterName(*req.Name); err != nil {
		return nil, err
	}
	if err := req.checkOptions(); err != nil {
		return nil, err
	}
	p, err := s.parameters.put(*req.Name, func(latest *parameter) (parameter, error) {
		next, err := req.after(latest)
		next.Modified = s.o.Now()
		return next, err
	})
	if err != nil {
		return nil, err
	}
	return &putParameterResponse{p.Version, p.Tier}, nil
}

func (req *putParameterRequest) validate() error {
	var v violations
	v.required("name", req.Name)
	v.length("name", req.Name, 1, 2048)
	v.length("description", req.Description, 0, 1024)
	v.required("value", req.Value)
	v.length("value", req.Value, 1, 0)
	v.enum("type", req.Type, typeString, typeStringList, typeSecureString)
	v.length("keyId", req.KeyId, 1, 256)
	v.pattern("keyId", req.KeyId, keyIDPattern)
	v.length("allowedPattern", req.AllowedPattern, 0, 1024)
	v.count("tags", len(req.Tags), 0, 1000)
	for i, t := range req.Tags {
		path := fmt.Sprintf("tags.%d.member.", i+1)
		v.required(path+"key", t.Key)
		v.length(path+"key", t.Key, 1, 128)
		v.pattern(path+"key", t.Key, tagPattern)
		v.required(path+"value", t.Value)
		v.length(path+"value", t.Value, 0, 256)
		v.pattern(path+"value", t.Value, tagPattern)
	}
	v.enum("tier", req.Tier, tierStandard, tierAdvanced, tierIntelligent)
	v.length("policies", req.Policies, 1, 4096)
	v.length("dataType", req.DataType, 0, 128)
	return v.err()
}

// checkParameterName checks a name by the rules of
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
func checkParameterName(name string) error {
	first := strings.ToLower(strings.TrimPrefix(name, "/"))
	levels := strings.Count(strings.TrimPrefix(name, "/"), "/") + 1
	switch {
	case strings.HasPrefix(first, "aws") || strings.HasPrefix(first, "ssm"):
		return &apiError{"ValidationException", `Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`}
	case !parameterNamePattern.MatchString(name):
		return &apiError{"ValidationException", "Parameter name: can consist of sub-paths divided by a slash; each sub-path is a mix of letters, numbers and the following 3 symbols: .-_"}
	case levels > 1 && name[0] != '/':
		return &apiError{"ValidationException", "Parameter name must be a fully qualified name."}
	case levels > maxHierarchy:
		return &apiError{"HierarchyLevelLimitExceededException", fmt.Sprintf("A parameter name can have at most %d levels.", maxHierarchy)}
	}
	return nil
}

// nested matches a reference to another parameter.
var nested = regexp.MustCompile(`(?s)\{\{.*\}\}`)

// checkOptions refuses options that are wrong whatever is stored already.
func (req *putParameterRequest) checkOptions() error {
	switch d := deref(req.DataType); {
	case nested.MatchString(*req.Value):
		return &apiError{"ValidationException", `Parameter value can't nest another parameter. Do not use "{{}}" in the value.`}
	case d != "" && d != "text" && d != "aws:ec2:image" && d != "aws:ssm:integration":
		return &apiError{"ValidationException", fmt.Sprintf("The following data type is not supported: %s (Data type names are all lowercase.)", d)}
	case req.Overwrite && len(req.Tags) > 0:
		return &apiError{"ValidationException", "Invalid request: tags and overwrite can't be used together."}
	case req.KeyId != nil && req.Type != nil && *req.Type != typeSecureString:
		return &apiError{"ValidationException", "KeyId is required for SecureString type parameter only."}
	case req.Policies != nil: // the service would let the parameter expire, and this one cannot
		return &apiError{"InvalidPolicyTypeException", "amx serve has no parameter policies: leave them out."}
	}
	pattern := deref(req.AllowedPattern)
	re, err := regexp.Compile(pattern)
	if err != nil {
		return &apiError{"InvalidAllowedPatternException", fmt.Sprintf("The allowed pattern %q is not a regular expression: %v", pattern, err)}
	}
	if pattern != "" && !re.MatchString(*req.Value) {
		return &apiError{"ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: " + pattern}
	}
	return nil
}

// after returns the new version that the request makes from the latest one.
func (req *putParameterRequest) after(latest *parameter) (parameter, error) {
	if latest == nil {
		latest = &parameter{DataType: "text"}
		if req.Type == nil {
			return parameter{}, &apiError{"ValidationException", "A parameter type is required when you create a parameter."}
		}
	} else {
		if !req.Overwrite {
			return parameter{}, &apiError{"ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."}
		}
		if req.Type != nil && *req.Type != latest.Type {
			return parameter{}, &apiError{"HierarchyTypeMismatchException", fmt.Sprintf("The parameter is a %s and can't become a %s: create another one.", latest.Type, *req.Type)}
		}
	}
	tier, err := tierFor(len(*req.Value), latest.Tier, deref(req.Tier))
	return parameter{
		Type: cmp.Or(deref(req.Type), latest.Type), Value: *req.Value, Tier: tier,
		DataType:    cmp.Or(deref(req.DataType), latest.DataType),
		Description: cmp.Or(deref(req.Description), latest.Description), AllowedPattern: deref(req.AllowedPattern),
	}, err
}

// tierFor is the tier of a value of this size. An advanced parameter stays advanced, and
// Intelligent-Tiering takes the advanced tier if the value needs it.
func tierFor(size int, had, asked string) (string, error) {
	tier := cmp.Or(asked, had, tierStandard)
	switch {
	case had == tierAdvanced && asked == tierStandard:
		return "", &apiError{"ValidationException", "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier."}
	case tier == tierIntelligent && (size > maxStandard || had == tierAdvanced):
		tier = tierAdvanced
	case tier == tierIntelligent:
		tier = tierStandard
	}
	switch {
	case tier == tierStandard && size > maxStandard:
		return "", &apiError{"ValidationException", "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."}
	case size > maxAdvanced:
		return "", &apiError{"ValidationException", "Advanced tier parameters support a maximum parameter value of 8192 characters."}
	}
	return tier, nil
}
