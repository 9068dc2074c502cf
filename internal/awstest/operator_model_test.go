package awstest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

func TestCheckOperator(t *testing.T) {
	for _, tt := range []struct {
		service, operation string
		in                 any
		want               string
	}{
		{"ssm", "GetParameter", &ssm.GetParameterInput{Name: aws.String("/amx/amx/tokens"), WithDecryption: aws.Bool(true)}, ""},
		{"ssm", "DescribeInstanceInformation", &ssm.DescribeInstanceInformationInput{MaxResults: aws.Int32(51)}, "DescribeInstanceInformation.MaxResults: 51 as a number: want 5 to 50"},
		{"ssm", "ListCommands", &ssm.ListCommandsInput{Filters: []types.CommandFilter{{Key: "InvokedAfter", Value: aws.String("x")}}}, ""},
		{"cloudwatch", "DescribeAlarms", map[string]any{"AlarmNames": []string{""}}, "DescribeAlarms.AlarmNames[0]: 0 characters: want 1 to 255"},
		{"cloudwatch", "PutMetricAlarm", map[string]any{}, "PutMetricAlarm of cloudwatch is not an operation that amx doctor may call"},
		{"sns", "Publish", map[string]any{"TopicArn": "a"}, "Publish.Message: missing"},
		{"ssm", "PutParameter", map[string]any{}, "PutParameter of ssm is not an operation that amx doctor may call"},
	} {
		got := ""
		if err := CheckOperator(tt.service, tt.operation, tt.in); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.operation, got, tt.want)
		}
	}
}

// .ci/moto names botocore's folder of models.
func TestTheModelsOfTheDoctorAreTheOfficialOnes(t *testing.T) {
	folder := os.Getenv("AMX_TEST_MODELS")
	if folder == "" {
		t.Skip("AMX_TEST_MODELS does not name botocore's folder data")
	}
	for service, requests := range operatorRequests {
		t.Run(service, func(t *testing.T) {
			found, err := filepath.Glob(filepath.Join(folder, service, "*", "service-2.json.gz"))
			if err != nil || len(found) != 1 {
				t.Fatalf("found %q (%v), want one model", found, err)
			}
			compareWithOfficial(t, found[0], requests)
		})
	}
}
