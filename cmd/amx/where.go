package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/amx-lambda/amx/internal/operate"
)

// where is the amx that a command asks: a stack on AWS, an amx serve at a URL, or
// the amx serve of this machine, at the socket beside its ledger.
type where struct {
	Stack     string `group:"where" placeholder:"NAME" help:"Ask the amx of this CloudFormation stack."`
	Table     string `group:"where" placeholder:"NAME" help:"Ask the amx with this DynamoDB table."`
	Queue     string `group:"where" placeholder:"URL" help:"With --table: the SQS queue of that amx. amx reads only its attributes."`
	Profile   string `group:"where" placeholder:"NAME" help:"Profile of the AWS configuration."`
	Region    string `group:"where" placeholder:"NAME" help:"AWS region."`
	URL       string `group:"where" name:"url" placeholder:"URL" help:"Ask the amx serve at this URL."`
	TokenFile string `group:"where" placeholder:"FILE" help:"With --url: file with an operator's token."`
	Ledger    string `group:"where" placeholder:"FILE" help:"Ask the amx serve on this machine with this ledger (default: the same as in amx serve)."`
}

// operator answers the operator of the place that the flags name. It is an error
// to give more than one of --stack, --table and --url.
func (w *where) operator(ctx context.Context, std stdio) (operate.Operator, error) {
	places := 0
	for _, place := range []string{w.Stack, w.Table, w.URL, w.Ledger} {
		if place != "" {
			places++
		}
	}
	onAWS := w.Stack != "" || w.Table != ""
	switch {
	case places > 1:
		return operate.Operator{}, usageError{errors.New("--stack, --table, --url and --ledger name different places: give one of them")}
	case !onAWS && (w.Profile != "" || w.Region != ""):
		return operate.Operator{}, usageError{errors.New("--profile and --region are for an amx on AWS: add --stack NAME, or --table NAME and --queue URL")}
	case w.Queue != "" && w.Table == "":
		return operate.Operator{}, usageError{errors.New("--queue is for an amx on AWS: add --table NAME")}
	case w.TokenFile != "" && w.URL == "":
		return operate.Operator{}, usageError{errors.New("--token-file is for an amx serve at a URL: add --url URL")}
	case onAWS:
		return w.onAWS(ctx)
	case w.URL != "":
		return w.atURL()
	}
	file, err := ledgerFile(w.Ledger, std.env)
	if err != nil {
		return operate.Operator{}, err
	}
	return operate.OnSocket(socketBeside(file)).Operator(), nil
}

func (w *where) atURL() (operate.Operator, error) {
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return operate.Operator{}, usageError{fmt.Errorf("--url %q: want http://HOST:PORT or https://HOST:PORT", w.URL)}
	}
	if w.TokenFile == "" {
		return operate.Operator{}, usageError{errors.New("--url needs an operator's token: add --token-file FILE; on amx serve's own machine leave --url out")}
	}
	token, err := operatorToken(w.TokenFile)
	if err != nil {
		return operate.Operator{}, err
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return (&operate.Client{Base: w.URL, Token: token, HTTP: client}).Operator(), nil
}

// operatorToken is the token of a file that has one alone, or the first operator's
// of a file as amx serve has it.
func operatorToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	first := ""
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		token := fields[min(1, len(fields)-1)]
		if len(fields) > 2 {
			return token, nil
		}
		if first == "" {
			first = token
		}
	}
	if first == "" {
		return "", fmt.Errorf("reading the token: %q has none", file)
	}
	return first, nil
}

// ledgerFile is where the ledger of amx serve is.
func ledgerFile(given string, env []string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	if dir := getenv(env, "XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "amx", "ledger.db"), nil
	}
	if home := getenv(env, "HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "amx", "ledger.db"), nil
	}
	return "", usageError{errors.New("no place for the ledger: neither XDG_STATE_HOME nor HOME is set; name a file with --ledger")}
}

// socketBeside is the socket of the amx serve that has a ledger.
func socketBeside(ledgerFile string) string { return strings.TrimSuffix(ledgerFile, ".db") + ".sock" }
