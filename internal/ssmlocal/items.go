package ssmlocal

import (
	"cmp"
	"time"
)

// item is the command as the API shows it. Server.mu is held.
func (c *command) item() commandItem {
	req, n := c.request, c.count()
	status, details := c.status()
	return commandItem{
		CommandId: c.id, DocumentName: *req.DocumentName, DocumentVersion: cmp.Or(deref(req.DocumentVersion), "$DEFAULT"),
		Comment:      deref(req.Comment),
		ExpiresAfter: epoch{c.expiresAfter()},
		Parameters:   req.Parameters, InstanceIds: orEmpty(req.InstanceIds), Targets: orEmpty(req.Targets),
		RequestedDateTime: epoch{c.requested},
		Status:            status, StatusDetails: details,
		OutputS3Region:     deref(req.OutputS3Region),
		OutputS3BucketName: deref(req.OutputS3BucketName), OutputS3KeyPrefix: deref(req.OutputS3KeyPrefix),
		MaxConcurrency: cmp.Or(deref(req.MaxConcurrency), "50"), MaxErrors: cmp.Or(deref(req.MaxErrors), "0"),
		TargetCount: len(c.invocations), CompletedCount: n.completed,
		ErrorCount: n.failed + n.executionTimedOut, DeliveryTimedOutCount: n.deliveryTimedOut,
		ServiceRole: deref(req.ServiceRoleArn), NotificationConfig: req.NotificationConfig,
		CloudWatchOutputConfig: req.CloudWatchOutputConfig, TimeoutSeconds: req.deliverySeconds(),
		AlarmConfiguration: req.AlarmConfiguration, TriggeredAlarms: c.alarms(),
	}
}

func (c *command) alarms() (states []alarmState) {
	for _, name := range c.triggered {
		states = append(states, alarmState{name, "ALARM"})
	}
	return states
}

// item is the invocation as the API shows it. With details the plugin's Output has the
// invocation's note; outputOf puts the output from the files before it. Server.mu is held.
func (inv *invocation) item(details bool) invocationItem {
	req := inv.command.request
	item := invocationItem{
		CommandId: inv.command.id, InstanceId: inv.node, Comment: deref(req.Comment),
		DocumentName: *req.DocumentName, DocumentVersion: cmp.Or(deref(req.DocumentVersion), "$DEFAULT"),
		RequestedDateTime: epoch{inv.command.requested},
		Status:            inv.status, StatusDetails: inv.details,
		CommandPlugins: []pluginItem{}, ServiceRole: deref(req.ServiceRoleArn),
		NotificationConfig: req.NotificationConfig, CloudWatchOutputConfig: req.CloudWatchOutputConfig,
	}
	if details && inv.status != statusPending {
		item.CommandPlugins = append(item.CommandPlugins, pluginItem{
			Name: shellPlugin, Status: inv.status, StatusDetails: inv.details, ResponseCode: inv.code,
			ResponseStartDateTime: orZero(inv.started), ResponseFinishDateTime: orZero(inv.finished), Output: inv.note,
			OutputS3Region: deref(req.OutputS3Region), OutputS3BucketName: deref(req.OutputS3BucketName),
			OutputS3KeyPrefix: deref(req.OutputS3KeyPrefix),
		})
	}
	return item
}

func orZero(t time.Time) epoch {
	if t.IsZero() {
		return epoch{}
	}
	return epoch{t}
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
