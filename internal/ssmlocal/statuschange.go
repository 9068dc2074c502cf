package ssmlocal

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// A StatusChange is the end of a command, or of its invocation on one node, as SSM reports
// it to EventBridge. SSM's events are best effort; here each comes once.
type StatusChange struct {
	CommandID    string
	InstanceID   string // "" for the command as a whole
	DocumentName string
	// Parameters are the command's parameters as they were sent: for a script, its
	// lines. The caller may read them, but not change them.
	Parameters map[string][]string

	Requested, ExpiresAfter time.Time
	At                      time.Time // of the change
	Status, StatusDetails   string    // terminal ones; StatusDetails is more exact, without spaces
}

// EventBridge is the change as a rule's target receives it, in JSON. The change of an
// invocation has no parameters.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/reference-eventbridge-events.html
func (c StatusChange) EventBridge(account, region string) ([]byte, error) {
	const form = "2006-01-02T15:04:05.000Z"
	detail := map[string]any{
		"command-id": c.CommandID, "document-name": c.DocumentName, "status": c.Status,
		"requested-date-time": c.Requested.UTC().Format(form), "expire-after": c.ExpiresAfter.UTC().Format(form),
	}
	kind, resources := "EC2 Command Status-change Notification", []string{}
	if c.InstanceID == "" {
		detail["parameters"] = c.Parameters
	} else {
		kind, detail["instance-id"] = "EC2 Command Invocation Status-change Notification", c.InstanceID
		resources = append(resources, nodeARN(account, region, c.InstanceID))
	}
	id := sha256.Sum256(fmt.Appendf(nil, "%s %s %s", c.CommandID, c.InstanceID, c.Status))
	text, err := json.Marshal(map[string]any{
		"version": "0", "id": fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16]),
		"detail-type": kind, "source": "aws.ssm", "account": account, "region": region,
		"time": c.At.UTC().Format(time.RFC3339), "resources": resources, "detail": detail,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the status change of command %q: %w", c.CommandID, err)
	}
	return text, nil
}

// nodeARN names a node as IAM and EventBridge do.
func nodeARN(account, region, node string) string {
	if len(node) > 3 && node[:3] == "mi-" {
		return fmt.Sprintf("arn:aws:ssm:%s:%s:managed-instance/%s", region, account, node)
	}
	return fmt.Sprintf("arn:aws:ec2:%s:%s:instance/%s", region, account, node)
}

// notify reports the end of inv, or of c if inv is nil. Server.mu is held.
func (s *Server) notify(c *command, inv *invocation) {
	if s.o.Notify == nil {
		return
	}
	change := StatusChange{
		CommandID: c.id, DocumentName: *c.request.DocumentName, Parameters: c.request.Parameters,
		Requested: c.requested, ExpiresAfter: c.expiresAfter(), At: s.o.Now(),
	}
	if inv != nil {
		change.InstanceID, change.Status, change.StatusDetails = inv.node, inv.status, inv.details
	} else {
		change.Status, change.StatusDetails = c.status()
	}
	go s.o.Notify(change) // Server.mu is held, and the callee may call back
}
