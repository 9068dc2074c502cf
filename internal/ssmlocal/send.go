package ssmlocal

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

const (
	shellDocument = "AWS-RunShellScript"

	// A document and its parameters may have 64 KB together. documentSize is about
	// the size of AWS-RunShellScript itself.
	maxDocumentSize = 64 << 10
	documentSize    = 1 << 10

	defaultTimeout = 3600 // seconds, of delivery and of execution
)

// executionTimeoutPattern is the document's allowedPattern. It allows 1 to 4 seconds, but
// the agent replaces these.
var executionTimeoutPattern = whole(`([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800)`)

func (s *Server) sendCommand(req *sendCommandRequest) (*sendCommandResponse, error) {
	if err := req.validate(); err != nil {
		return nil, err
	}
	if err := req.checkDocument(); err != nil {
		return nil, err
	}
	nodes, denied, err := s.resolve(req)
	if err != nil {
		return nil, err
	}
	id, err := s.newCommandID()
	if err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, &apiError{"InternalServerError", "ssmlocal is closed"}
	}
	c := newCommand(id, s.seq+1, s.o.Now(), req, nodes)
	if err := s.journal.append(sentEvent(c)); err != nil {
		return nil, fmt.Errorf("recording command: %w", err)
	}
	s.add(c)
	s.pruneNowAndThen()
	item := c.item()
	for _, node := range denied {
		s.settle(c.invocation(node), outcome{status: statusFailed, details: detailsAccessDenied, code: -1})
	}
	s.armExpiry(c)
	s.dispatch(c)
	if len(c.invocations) == 0 {
		s.tellEnded(c)
	}
	return &sendCommandResponse{Command: item}, nil
}

func (s *Server) add(c *command) {
	s.commands[c.id] = c
	s.order = append(s.order, c)
	s.seq = max(s.seq, c.seq)
}

func (req *sendCommandRequest) validate() error {
	var v violations
	v.instanceIDs("instanceIds", req.InstanceIds)
	v.count("targets", len(req.Targets), 0, 5)
	for i, t := range req.Targets {
		path := fmt.Sprintf("targets.%d.member.", i+1)
		v.length(path+"key", t.Key, 1, 163)
		v.pattern(path+"key", t.Key, targetKeyPattern)
		v.count(path+"values", len(t.Values), 0, 50)
	}
	v.required("documentName", req.DocumentName)
	v.pattern("documentName", req.DocumentName, documentNamePattern)
	v.pattern("documentVersion", req.DocumentVersion, documentVersionPattern)
	v.length("documentHash", req.DocumentHash, 0, 256)
	v.enum("documentHashType", req.DocumentHashType, "Sha256", "Sha1")
	v.between("timeoutSeconds", req.TimeoutSeconds, 30, 2592000)
	v.length("comment", req.Comment, 0, 100)
	v.length("outputS3Region", req.OutputS3Region, 3, 20)
	v.length("outputS3BucketName", req.OutputS3BucketName, 3, 63)
	v.length("outputS3KeyPrefix", req.OutputS3KeyPrefix, 0, 500)
	v.length("maxConcurrency", req.MaxConcurrency, 1, 7)
	v.pattern("maxConcurrency", req.MaxConcurrency, maxConcurrencyPattern)
	v.length("maxErrors", req.MaxErrors, 1, 7)
	v.pattern("maxErrors", req.MaxErrors, maxErrorsPattern)
	if n := req.NotificationConfig; n != nil {
		for i := range n.NotificationEvents {
			v.enum(fmt.Sprintf("notificationConfig.notificationEvents.%d.member", i+1), &n.NotificationEvents[i],
				"All", "InProgress", "Success", "TimedOut", "Cancelled", "Failed")
		}
		v.enum("notificationConfig.notificationType", n.NotificationType, "Command", "Invocation")
	}
	if c := req.CloudWatchOutputConfig; c != nil {
		v.length("cloudWatchOutputConfig.cloudWatchLogGroupName", c.CloudWatchLogGroupName, 1, 512)
	}
	if a := req.AlarmConfiguration; a != nil {
		v.count("alarmConfiguration.alarms", len(a.Alarms), 1, 1)
		for i, al := range a.Alarms {
			path := fmt.Sprintf("alarmConfiguration.alarms.%d.member.name", i+1)
			v.required(path, al.Name)
			v.length(path, al.Name, 1, 255)
		}
	}
	return v.err()
}

// checkDocument checks the parameters by the document's rules.
func (req *sendCommandRequest) checkDocument() error {
	if *req.DocumentName != shellDocument {
		return &apiError{"InvalidDocument", fmt.Sprintf("Document with name %s does not exist.", *req.DocumentName)}
	}
	if v := deref(req.DocumentVersion); v != "" && v != "1" && v[0] != '$' {
		return &apiError{"InvalidDocumentVersion", fmt.Sprintf("Document %s has no version %s.", shellDocument, v)}
	}
	size := documentSize
	for name, values := range req.Parameters {
		size += len(name)
		for _, v := range values {
			size += len(v)
		}
	}
	if size > maxDocumentSize {
		return &apiError{"MaxDocumentSizeExceeded", "The size limit of a document is 64 KB."}
	}
	for name, values := range req.Parameters {
		switch name {
		case "commands":
		case "workingDirectory", "executionTimeout":
			if len(values) != 1 {
				return &apiError{"InvalidParameters", fmt.Sprintf("Parameter %s takes one value.", name)}
			}
		default:
			return &apiError{"InvalidParameters", fmt.Sprintf("Parameter %q is not defined in document %s.", name, shellDocument)}
		}
	}
	if len(req.Parameters["commands"]) == 0 {
		return &apiError{"InvalidParameters", fmt.Sprintf("Document %s requires the parameter commands.", shellDocument)}
	}
	// If the value is a reference, the agent checks the value behind it.
	v, ok := req.parameter("executionTimeout")
	if ok && !executionTimeoutPattern.MatchString(v) && !parameterReference.MatchString(v) {
		return &apiError{"InvalidParameters", fmt.Sprintf("Parameter executionTimeout %q does not match %s.", v, bare(executionTimeoutPattern))}
	}
	return nil
}

func (req *sendCommandRequest) parameter(name string) (string, bool) {
	if v := req.Parameters[name]; len(v) > 0 {
		return v[0], true
	}
	return "", false
}

func (req *sendCommandRequest) deliverySeconds() int {
	if req.TimeoutSeconds != nil {
		return *req.TimeoutSeconds
	}
	return defaultTimeout
}

// executionTimeout is the timeout that the agent uses. If the parameter is outside of 5 s
// to 48 h, the agent silently takes an hour.
func executionTimeout(parameters map[string][]string) time.Duration {
	v := ""
	if values := parameters["executionTimeout"]; len(values) > 0 {
		v = values[0]
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 5 || n > 172800 {
		n = defaultTimeout
	}
	return time.Duration(n) * time.Second
}

// newCommandID is a random UUID (version 4), in lower case.
func (s *Server) newCommandID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.o.Rand, b[:]); err != nil {
		return "", fmt.Errorf("making a command ID: %w", err)
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}
