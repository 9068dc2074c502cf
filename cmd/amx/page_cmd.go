package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/page"
)

type pageCmd struct {
	File   string `short:"f" placeholder:"FILE" help:"Configuration file for the views Commands and Try (default: the stack's own, if it is in Parameter Store)."`
	Listen string `short:"l" default:"127.0.0.1:0" placeholder:"ADDRESS" help:"Loopback address to listen on (default: 127.0.0.1:0, which picks a port)."`
	Where  where  `embed:""`
}

// lookEvery is how often an open page looks for news on AWS: each look is a small
// read of the table.
const lookEvery = 10 * time.Second

// Run serves the page of another amx on loopback until ctx ends, for who has the
// key that it prints.
func (c *pageCmd) Run(ctx context.Context, std stdio) error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return usageError{fmt.Errorf("address to listen on %q: %w; write 127.0.0.1:PORT", c.Listen, err)}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usageError{fmt.Errorf("%q can be reached from other machines, and the page acts with your rights: give a loopback address, such as 127.0.0.1:8080", c.Listen)}
	}
	o, err := c.options(ctx, std)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening on %q: %w", c.Listen, err)
	}
	p := page.New(o)
	printPage(std.err, p, "http", l.Addr())
	return servePage(ctx, p, l)
}

// servePage serves until ctx ends.
func servePage(ctx context.Context, p *page.Page, l net.Listener) error {
	server := limited(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.Takes(r) {
			http.NotFound(w, r)
			return
		}
		p.ServeHTTP(w, r)
	}))
	stop := context.AfterFunc(ctx, func() {
		p.Close()
		_ = server.Close() // what is open reads only, or has been done
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// options is the page of the place that the flags name.
func (c *pageCmd) options(ctx context.Context, std stdio) (o page.Options, err error) {
	o = page.Options{Key: newKey(), Who: userName(os.Getuid()), Version: version, Now: time.Now}
	if o.Operator, err = c.Where.operator(ctx, std); err != nil {
		return o, err
	}
	o.Place = cmp.Or(c.Where.Stack, c.Where.Table, c.Where.URL)
	var parameter func(context.Context) (*amx.Config, error)
	if c.Where.Stack != "" || c.Where.Table != "" {
		o.Every = lookEvery
		cfg, err := awsConfig(ctx, c.Where.Profile, c.Where.Region)
		if err != nil {
			return o, err
		}
		client := ssm.NewFromConfig(cfg)
		o.Sent = sentBy(client)
		if c.Where.Stack != "" {
			parameter = configOf(client, "/amx/"+c.Where.Stack+"/config")
		}
	}
	cfg, err := c.config(ctx, parameter)
	if err != nil || cfg == nil {
		return o, err
	}
	o.Config = func(context.Context) (page.Configuration, error) { return page.Configuration{Config: cfg}, nil }
	o.Explain = func(_ context.Context, body []byte, subject string) ([]page.Explained, error) {
		return explainTo(cfg, body, subject, time.Now())
	}
	return o, nil
}

// config is the file's, else the parameter's; nil where there is neither.
func (c *pageCmd) config(ctx context.Context, parameter func(context.Context) (*amx.Config, error)) (*amx.Config, error) {
	switch {
	case c.File != "":
		return loadConfig(c.File)
	case parameter != nil:
		return parameter(ctx)
	}
	return nil, nil
}

// configOf reads a stack's configuration from Parameter Store; nil where it is
// built into the functions, or this user may not read it.
func configOf(client *ssm.Client, name string) func(context.Context) (*amx.Config, error) {
	return func(ctx context.Context) (*amx.Config, error) {
		out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
		if err != nil {
			if code := awserr.Code(err); code != "" {
				return nil, nil //nolint:nilerr // AWS's refusal: the page is as good without it
			}
			return nil, fmt.Errorf("reading the configuration: GetParameter of %q: %w", name, err)
		}
		text, err := amx.Unpack([]byte(aws.ToString(out.Parameter.Value)))
		if err != nil {
			return nil, fmt.Errorf("reading the configuration: parameter %q: %w", name, err)
		}
		return amx.ParseConfig(name, text)
	}
}
