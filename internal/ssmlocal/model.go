package ssmlocal

import (
	"math"
	"strconv"
	"time"
)

// Requests and answers of the service model. A nil pointer is an absent member. The
// journal keeps a sendCommandRequest as it came.

type target struct {
	Key    *string  `json:",omitempty"`
	Values []string `json:",omitempty"`
}

type notificationConfig struct {
	NotificationArn    *string  `json:",omitempty"`
	NotificationEvents []string `json:",omitempty"`
	NotificationType   *string  `json:",omitempty"`
}

type cloudWatchOutputConfig struct {
	CloudWatchLogGroupName  *string `json:",omitempty"`
	CloudWatchOutputEnabled *bool   `json:",omitempty"`
}

type alarm struct {
	Name *string `json:",omitempty"`
}

type alarmConfiguration struct {
	Alarms                 []alarm `json:",omitempty"`
	IgnorePollAlarmFailure *bool   `json:",omitempty"`
}

type alarmState struct{ Name, State string }

type sendCommandRequest struct {
	InstanceIds            []string                `json:",omitempty"`
	Targets                []target                `json:",omitempty"`
	DocumentName           *string                 `json:",omitempty"`
	DocumentVersion        *string                 `json:",omitempty"`
	DocumentHash           *string                 `json:",omitempty"`
	DocumentHashType       *string                 `json:",omitempty"`
	TimeoutSeconds         *int                    `json:",omitempty"`
	Comment                *string                 `json:",omitempty"`
	Parameters             map[string][]string     `json:",omitempty"`
	OutputS3Region         *string                 `json:",omitempty"`
	OutputS3BucketName     *string                 `json:",omitempty"`
	OutputS3KeyPrefix      *string                 `json:",omitempty"`
	MaxConcurrency         *string                 `json:",omitempty"`
	MaxErrors              *string                 `json:",omitempty"`
	ServiceRoleArn         *string                 `json:",omitempty"`
	NotificationConfig     *notificationConfig     `json:",omitempty"`
	CloudWatchOutputConfig *cloudWatchOutputConfig `json:",omitempty"`
	AlarmConfiguration     *alarmConfiguration     `json:",omitempty"`
}

type sendCommandResponse struct{ Command commandItem }

type cancelCommandRequest struct {
	CommandId   *string
	InstanceIds []string
}

type cancelCommandResponse struct{}

type filter struct {
	Key   *string `json:"key"`
	Value *string `json:"value"`
}

type listRequest struct {
	CommandId  *string
	InstanceId *string
	MaxResults *int
	NextToken  *string
	Filters    []filter
	Details    bool // ListCommandInvocations only
}

type listCommandsResponse struct {
	Commands  []commandItem
	NextToken string `json:",omitempty"`
}

type listCommandInvocationsResponse struct {
	CommandInvocations []invocationItem
	NextToken          string `json:",omitempty"`
}

type commandItem struct {
	CommandId, DocumentName, DocumentVersion, Comment string
	ExpiresAfter                                      epoch
	Parameters                                        map[string][]string
	InstanceIds                                       []string
	Targets                                           []target
	RequestedDateTime                                 epoch
	Status, StatusDetails                             string
	OutputS3Region                                    string `json:",omitempty"`
	OutputS3BucketName, OutputS3KeyPrefix             string
	MaxConcurrency, MaxErrors                         string
	TargetCount, CompletedCount, ErrorCount           int
	DeliveryTimedOutCount                             int
	ServiceRole                                       string
	NotificationConfig                                *notificationConfig     `json:",omitempty"`
	CloudWatchOutputConfig                            *cloudWatchOutputConfig `json:",omitempty"`
	TimeoutSeconds                                    int
	AlarmConfiguration                                *alarmConfiguration `json:",omitempty"`
	TriggeredAlarms                                   []alarmState        `json:",omitempty"`
}

type invocationItem struct {
	CommandId, InstanceId, InstanceName, Comment string
	DocumentName, DocumentVersion                string
	RequestedDateTime                            epoch
	Status, StatusDetails                        string
	StandardOutputUrl, StandardErrorUrl          string
	CommandPlugins                               []pluginItem
	ServiceRole                                  string
	NotificationConfig                           *notificationConfig     `json:",omitempty"`
	CloudWatchOutputConfig                       *cloudWatchOutputConfig `json:",omitempty"`
}

type pluginItem struct {
	Name, Status, StatusDetails           string
	ResponseCode                          int
	ResponseStartDateTime                 epoch `json:",omitzero"`
	ResponseFinishDateTime                epoch `json:",omitzero"`
	Output                                string
	StandardOutputUrl, StandardErrorUrl   string
	OutputS3Region                        string `json:",omitempty"`
	OutputS3BucketName, OutputS3KeyPrefix string
}

// epoch is a time as the protocol writes it: seconds with a fraction of
// milliseconds.
type epoch struct{ time.Time }

func (e epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, math.Floor(float64(e.UnixMicro())/1e3)/1e3, 'f', -1, 64), nil
}
