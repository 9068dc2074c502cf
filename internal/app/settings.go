package app

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// Getenv answers an environment variable, "" where it is not set: os.Getenv of
// main, which alone reads the environment.
type Getenv func(name string) string

const (
	defaultConfig  = "file:amx.yaml"
	defaultListLag = 2 * time.Minute
	defaultHistory = 90 * 24 * time.Hour
)

// settings are a function's environment variables.
type settings struct {
	config         string
	table          string
	queue          string // URL
	listLag        time.Duration
	history        time.Duration // how long a run's record is kept; 0: until the run is over
	tokenParameter string        // webhook; empty: the function URL itself authenticates
	topics         []string      // sns
	deadLetters    string        // worker, widget: URL
	control        bool          // widget: it may cancel, pause and resume
	stack          string        // widget: the name that it shows
}

// readSettings reads what all functions use. All that is wrong is in one error.
func readSettings(env Getenv, own func(*settings) error) (*settings, error) {
	s := &settings{config: cmp.Or(env("AMX_CONFIG"), defaultConfig), table: env("AMX_TABLE"), listLag: defaultListLag, history: defaultHistory}
	var errs []error
	if !strings.HasPrefix(s.config, "file:") && !strings.HasPrefix(s.config, "ssm:") {
		errs = append(errs, fmt.Errorf("AMX_CONFIG is %q: want \"file:\" and a path, or \"ssm:\" and the name of a parameter", s.config))
	}
	if s.table == "" {
		errs = append(errs, errors.New("AMX_TABLE is not set: give it the name of the DynamoDB table that holds the ledger"))
	}
	var err error
	if s.queue, err = queueURL("AMX_QUEUE_URL", env("AMX_QUEUE_URL"), "keeps what is put off"); err != nil {
		errs = append(errs, err)
	}
	if text := env("AMX_HISTORY"); text != "" {
		if s.history, err = amx.ParseDuration(text); err != nil || s.history < 0 {
			errs = append(errs, fmt.Errorf("AMX_HISTORY is %q: want a duration such as \"90d\", or \"0\" for no history", text))
		}
	}
	if text := env("AMX_LIST_LAG"); text != "" {
		if s.listLag, err = time.ParseDuration(text); err != nil || s.listLag < 0 {
			errs = append(errs, fmt.Errorf("AMX_LIST_LAG is %q: want a duration such as \"2m\"", text))
		}
	}
	if env("AWS_REGION") == "" {
		errs = append(errs, errors.New("AWS_REGION is not set: Lambda sets it; elsewhere give it the region of the nodes and the table"))
	}
	return s, errors.Join(append(errs, own(s))...)
}

// queueURL reads the URL of an SQS queue.
func queueURL(name, text, purpose string) (string, error) {
	if text == "" {
		return "", fmt.Errorf("%s is not set: give it the URL of the SQS queue that %s", name, purpose)
	}
	// https://sqs.eu-central-1.amazonaws.com/123456789012/amx-work
	if u, err := url.Parse(text); err != nil || u.Host == "" || strings.Count(strings.Trim(u.Path, "/"), "/") != 1 {
		return "", fmt.Errorf("%s is %q: want the URL of an SQS queue, not its name or ARN", name, text)
	}
	return text, nil
}

// workerSettings reads what only the worker uses.
func workerSettings(env Getenv) func(*settings) error {
	return func(s *settings) (err error) {
		s.deadLetters, err = queueURL("AMX_DEAD_LETTER_URL", env("AMX_DEAD_LETTER_URL"), "takes what is given up")
		return err
	}
}

// widgetSettings reads what only the widget uses. Without
// leave to act, the widget only shows.
func widgetSettings(env Getenv) func(*settings) error {
	return func(s *settings) (err error) {
		if s.deadLetters, err = queueURL("AMX_DEAD_LETTER_URL", env("AMX_DEAD_LETTER_URL"), "takes what is given up"); err != nil {
			return err
		}
		s.stack = env("AMX_STACK")
		switch mode := env("AMX_WIDGET"); mode {
		case "control":
			s.control = true
		case "read", "":
		default:
			return fmt.Errorf("AMX_WIDGET is %q: want \"read\" or \"control\"", mode)
		}
		return nil
	}
}

// webhookSettings reads what only the webhook uses. Without a token it takes
// nobody's message, unless AMX_AUTH says that Lambda authenticates.
func webhookSettings(env Getenv) func(*settings) error {
	return func(s *settings) error {
		switch auth := cmp.Or(env("AMX_AUTH"), "token"); auth {
		case "iam":
			return nil
		case "token":
			if s.tokenParameter = env("AMX_TOKEN_PARAMETER"); s.tokenParameter == "" {
				return errors.New("AMX_TOKEN_PARAMETER is not set: give it the name of a SecureString with the accepted tokens, one a line; or set AMX_AUTH to \"iam\" where the function URL authenticates")
			}
			return nil
		default:
			return fmt.Errorf("AMX_AUTH is %q: want \"token\" or \"iam\"", auth)
		}
	}
}

// snsSettings reads what only the SNS function uses.
func snsSettings(env Getenv) func(*settings) error {
	return func(s *settings) error {
		var errs []error
		for arn := range strings.SplitSeq(env("AMX_TOPIC_ARNS"), ",") {
			if arn = strings.TrimSpace(arn); arn == "" {
				continue
			}
			// arn:aws:sns:eu-central-1:123456789012:alerts
			if parts := strings.Split(arn, ":"); len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" {
				errs = append(errs, fmt.Errorf("AMX_TOPIC_ARNS has %q: want the ARN of an SNS topic", arn))
			}
			s.topics = append(s.topics, arn)
		}
		if len(s.topics) == 0 {
			errs = append(errs, errors.New("AMX_TOPIC_ARNS is not set: give it the ARNs of the topics whose messages are accepted, separated by commas"))
		}
		return errors.Join(errs...)
	}
}
