// Command widget is the Lambda function behind the custom widget of the stack's
// dashboard in CloudWatch.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/operate/desk"
	"github.com/amx-lambda/amx/internal/widget"
)

func main() {
	os.Exit(app.Serve(context.Background(), os.Getenv, os.Stdout, func(ctx context.Context, env app.Getenv, log *slog.Logger, out io.Writer) (*app.WidgetFunction, error) {
		return app.NewWidgetFunction(ctx, env, log, out, newWidget)
	}))
}

// newWidget shows the stack, and acts on it only where it was given what stops runs.
func newWidget(p app.WidgetParts) app.WidgetHandler {
	d := desk.Stack{
		DB: p.DB, RunCommand: p.RunCommand, Queues: p.Queues, Table: p.Table, Queue: p.Queue, DeadLetters: p.DeadLetters,
		Keep: p.Keep, Window: p.Window, Log: p.Log,
	}.Desk()
	d.Log, d.LookBack = p.Log, widget.LookBack
	w := &widget.Widget{Viewer: d, Place: p.Stack, Log: p.Log, Now: time.Now}
	if p.RunCommand != nil {
		w.Actor = d
	}
	return w
}
