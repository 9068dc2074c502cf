// Command webhook is the Lambda function behind the function URL to which
// Alertmanager's webhook is pointed.
package main

import (
	"context"
	"os"

	"github.com/amx-lambda/amx/internal/app"
)

func main() {
	os.Exit(app.Serve(context.Background(), os.Getenv, os.Stdout, app.NewWebhookFunction))
}
