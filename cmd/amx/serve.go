package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/app"
)

type serveCmd struct {
	File      string        `short:"f" placeholder:"FILE" help:"Configuration file (default: amx.yaml, unless a script is given)."`
	Listen    string        `short:"l" placeholder:"ADDRESS" help:"Address to listen on; overrides listen_address."`
	Verbose   bool          `short:"v" help:"Log more, such as the body of each notification."`
	TokenFile string        `placeholder:"FILE" xor:"auth" help:"File with the bearer tokens to accept, one a line."`
	NoAuth    bool          `xor:"auth" help:"Accept requests without a token, from anybody who can reach the port."`
	Ledger    string        `placeholder:"FILE" help:"The ledger's file (default: $XDG_STATE_HOME/amx/ledger.db, or ~/.local/state/amx/ledger.db)."`
	Drain     time.Duration `default:"5s" help:"How long commands may go on after you stop amx."`
	LogFormat string        `enum:"text,json" default:"text" help:"Format of the log: text (logfmt) or json."`
	SSMListen string        `name:"ssm-listen" placeholder:"ADDRESS" help:"Loopback address at which other programs on this machine can use amx's Run Command and Parameter Store."`
	Node      []string      `sep:"none" placeholder:"ID,tag:NAME=VALUE,…" help:"A managed node for this machine to play: commands with targets find it. Can be repeated."`
	Script    []string      `arg:"" optional:"" passthrough:"partial" help:"A command that runs for every alert, with its arguments, in addition to those of the file."`
}

// Run serves until ctx ends.
func (c *serveCmd) Run(ctx context.Context, std stdio) (err error) {
	if c.Drain < 0 {
		return usageError{fmt.Errorf("--drain=%v: want 0s or more", c.Drain)}
	}
	if len(c.Script) > 0 && c.Script[0] == "--" {
		c.Script = c.Script[1:]
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if c.Verbose || cfg.Verbose {
		level = slog.LevelDebug
	}
	log := newLog(std.err, c.LogFormat, level)
	address, err := c.address(cfg)
	if err != nil {
		return err
	}
	var accepts func(context.Context, string) (*app.Token, error)
	if c.TokenFile != "" {
		if accepts, err = acceptFile(c.TokenFile); err != nil {
			return err
		}
	}
	ledgerFile, err := ledgerFile(c.Ledger, std.env)
	if err != nil {
		return err
	}
	nodes, err := c.nodes()
	if err := errors.Join(err, checkSSMListen(c.SSMListen)); err != nil {
		return err
	}
	h, err := newHost(cfg, ledgerFile, std.env, log, nodes...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	listener, scheme, err := listen(address, cfg)
	if err != nil {
		return err
	}
	stopSSM, err := h.serveSSM(ctx, c.SSMListen, std.err)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer stopSSM()
	stopSocket, err := h.serveSocket(socketBeside(ledgerFile))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer stopSocket()
	h.reload = c.config
	defer h.reloadOn(std.hup)()
	defer h.workQueue(ctx)()
	server := newServer(h, accepts)
	log.InfoContext(ctx, "started", "version", version, "ledger", ledgerFile, "commands", len(cfg.Commands),
		"address", listener.Addr().String(), "socket", socketBeside(ledgerFile))
	fmt.Fprintf(std.err, "listening on %s://%s\n", scheme, listener.Addr())
	printPage(std.err, h.page, scheme, listener.Addr())
	return serve(ctx, server, listener, h, c.Drain, std.hurry)
}

// newLog is the log of amx serve.
func newLog(out io.Writer, format string, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

// listen listens, with TLS where the configuration names a certificate.
func listen(address string, cfg *amx.Config) (l net.Listener, scheme string, err error) {
	scheme = "http"
	var secure *tls.Config
	if cfg.TLSCrt != "" {
		cert, err := tls.LoadX509KeyPair(cfg.TLSCrt, cfg.TLSKey)
		if err != nil {
			return nil, "", fmt.Errorf("reading tls_crt %q and tls_key %q: %w", cfg.TLSCrt, cfg.TLSKey, err)
		}
		scheme, secure = "https", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	l, err = net.Listen("tcp", address)
	if err != nil {
		return nil, "", fmt.Errorf("listening on %q: %w", address, err)
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	return l, scheme, nil
}

// config is the file's configuration, with the command line's own command.
func (c *serveCmd) config() (*amx.Config, error) {
	cfg := &amx.Config{}
	file := c.File
	if file == "" && len(c.Script) == 0 {
		file = "amx.yaml"
	}
	if file != "" {
		var err error
		if cfg, err = loadConfig(file); errors.Is(err, os.ErrNotExist) && c.File == "" {
			return nil, usageError{fmt.Errorf("%w; name a configuration with -f, or a script to run for every alert", err)}
		} else if err != nil {
			return nil, err
		}
	}
	if len(c.Script) > 0 {
		own, err := scriptCommand(c.Script, cfg.Commands)
		if err != nil {
			return nil, err
		}
		cfg.Commands = append(cfg.Commands, own)
	}
	if len(cfg.Commands) == 0 {
		return nil, usageError{fmt.Errorf("no command to run: add one under `commands` in %q, or give a script", file)}
	}
	return cfg, nil
}

// address is where to listen. Who can reach it can run commands: without a token
// that is this machine alone, unless the caller says otherwise.
func (c *serveCmd) address(cfg *amx.Config) (string, error) {
	address := c.Listen
	if address == "" {
		address = cfg.ListenAddress
	}
	open := c.TokenFile != "" || c.NoAuth
	if address == "" {
		if open {
			return ":8080", nil
		}
		return "127.0.0.1:8080", nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", usageError{fmt.Errorf("address to listen on %q: %w; write HOST:PORT, or :PORT for all interfaces", address, err)}
	}
	if ip := net.ParseIP(host); !open && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", usageError{fmt.Errorf("%q can be reached from other machines: add --token-file FILE with an accepted token, or --no-auth to let everybody run the commands", address)}
	}
	return address, nil
}

func getenv(env []string, name string) string {
	value := ""
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// acceptFile accepts the tokens of a file, as they are when amx starts.
func acceptFile(file string) (func(context.Context, string) (*app.Token, error), error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the tokens: %w", err)
	}
	tokens, err := app.ParseTokens(string(text))
	if err != nil {
		return nil, fmt.Errorf("reading the tokens: %q: %w", file, err)
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("reading the tokens: %q has none: write one a line", file)
	}
	return func(_ context.Context, token string) (*app.Token, error) { return tokens.Find(token), nil }, nil
}

// serve answers requests until ctx ends; then it takes no more, lets what runs
// go on for the time of the drain, or until hurry is closed, and ends it.
func serve(ctx context.Context, server *http.Server, listener net.Listener, h *host, drain time.Duration, hurry <-chan struct{}) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	h.log.InfoContext(ctx, "stopping", "drain", drain, "runs", h.metrics.goingOn(), "note", "a second signal ends what runs at once")
	ctx = context.WithoutCancel(ctx)
	wait, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	go func() {
		select {
		case <-hurry:
			cancel()
		case <-wait.Done():
		}
	}()
	if server.Shutdown(wait) == nil && h.ssm.Wait(wait) == nil {
		return nil
	}
	h.log.WarnContext(ctx, "cancelling what still runs", "runs", h.metrics.goingOn())
	h.stopCommands(ctx)
	last, cancelLast := context.WithTimeout(ctx, time.Second)
	defer cancelLast()
	if server.Shutdown(last) != nil {
		// Those who waited for a command have been answered. The other connections
		// have most likely sent no request, which anybody can do at any time.
		h.log.WarnContext(ctx, "closing connections that have no answer yet")
		_ = server.Close() // they are closed one way or the other
	}
	return nil
}
