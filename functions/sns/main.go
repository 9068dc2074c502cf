// Command sns is the Lambda function that the topics are subscribed to, to which
// Alertmanager sends its notifications.
package main

import (
	"context"
	"os"

	"github.com/amx-lambda/amx/internal/app"
)

func main() {
	os.Exit(app.Serve(context.Background(), os.Getenv, os.Stdout, app.NewSNSFunction))
}
